import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from "node:crypto";
import type { Tlsa } from "../../src/dane/tlsa.ts";
import type { KeyUsage } from "../../src/x509/extension.ts";
import {
  bitString,
  boolean,
  explicit,
  implicit,
  integer,
  objectIdentifier,
  octetString,
  sequence,
  set,
  time,
  utf8String,
} from "./derWriter.ts";

/**
 * Real keys and certificates for tests, sound ones by default, spoiled ones on request:
 *
 *     const root = makeAuthority({ commonName: "Root" });
 *     const leaf = makeLeaf({ names: ["mx.example.org"], issuer: root });
 *     tlsaFor(root.der, 2, 0, 1); chainPem(leaf, root); leaf.keyPem
 */
export type KeyPair = { privateKey: KeyObject; publicKey: KeyObject };

export type MadeCertificate = {
  certificatePem: string;
  keyPem: string;
  der: Buffer;
  keys: KeyPair;
  /** DER of the subject Name. */
  subject: Buffer;
};

export type KeyKind = "p256" | "p384" | "rsa1024" | "rsa2048" | "rsa768" | "ed25519";

export type RawExtension = { identifier: string; critical: boolean; value: Buffer };

export type CertificateOptions = {
  /** One common name, or several; [] for an empty subject. */
  commonName?: string | readonly string[];
  /** The whole subject as DER, in place of `commonName`. */
  subject?: Buffer;
  /** Undefined: self-signed. */
  issuer?: MadeCertificate;
  /** A key to be used again: renewal, cross-signing, rollover to the same key. */
  keys?: KeyPair;
  keyKind?: KeyKind;
  notBefore?: Date;
  notAfter?: Date;
  /** Version 1 has no extensions. */
  version?: 1 | 3;
  digest?: "sha256" | "sha384" | "sha1" | "md5";
  basicConstraints?: { ca: boolean; pathLength?: number } | "absent";
  keyUsage?: readonly KeyUsage[] | "absent";
  extendedKeyUsage?: readonly string[] | "absent";
  /** dNSNames of the subjectAltName extension; [] or unset: no such extension. */
  names?: readonly string[];
  /** GeneralNames as DER, behind those of `names`. */
  generalNames?: readonly Buffer[];
  nameConstraints?: { permitted?: readonly Buffer[]; excluded?: readonly Buffer[] };
  keyIdentifiers?: "present" | "absent";
  extensions?: readonly RawExtension[];
  /** Flips a bit of the signature. */
  brokenSignature?: boolean;
};

export const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
export const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
export const ANY_EXTENDED_KEY_USAGE = "2.5.29.37.0";

/** Spread into the options of a certificate. */
export const EXPIRED = { notBefore: new Date("2019-01-01T00:00:00Z"), notAfter: new Date("2020-01-01T00:00:00Z") };
export const NOT_YET_VALID = { notBefore: new Date("2090-01-01T00:00:00Z"), notAfter: new Date("2099-01-01T00:00:00Z") };
export const UNKNOWN_CRITICAL: RawExtension = { identifier: "1.3.6.1.4.1.99999.1", critical: true, value: Buffer.from([5, 0]) };

export const dnsName = (text: string): Buffer => implicit(2, Buffer.from(text, "latin1"));
export const emailName = (text: string): Buffer => implicit(1, Buffer.from(text, "latin1"));
export const uriName = (text: string): Buffer => implicit(6, Buffer.from(text, "latin1"));
/** 4 or 16 octets; with the mask behind them in a name constraint. */
export const ipName = (octets: readonly number[]): Buffer => implicit(7, Buffer.from(octets));
export const directoryName = (commonName: string): Buffer => explicit(4, distinguishedName([commonName]));

const VALID_FROM = new Date("2020-01-01T00:00:00Z");
const VALID_TO = new Date("2120-01-01T00:00:00Z");
const KEY_USAGE_BITS: readonly KeyUsage[] = [
  "digitalSignature",
  "nonRepudiation",
  "keyEncipherment",
  "dataEncipherment",
  "keyAgreement",
  "keyCertSign",
  "cRLSign",
];

export function makeKeys(kind: KeyKind = "p256"): KeyPair {
  switch (kind) {
    case "p256":
      return generateKeyPairSync("ec", { namedCurve: "P-256" });
    case "p384":
      return generateKeyPairSync("ec", { namedCurve: "P-384" });
    case "ed25519":
      return generateKeyPairSync("ed25519");
    case "rsa768":
    case "rsa1024":
    case "rsa2048":
      return generateKeyPairSync("rsa", { modulusLength: Number(kind.slice(3)) });
    default:
      return kind satisfies never;
  }
}

export function distinguishedName(commonNames: readonly string[]): Buffer {
  return sequence(...commonNames.map((text) => set(sequence(objectIdentifier("2.5.4.3"), utf8String(text)))));
}

export function publicKeyInfo(key: KeyObject): Buffer {
  return key.export({ type: "spki", format: "der" });
}

function keyIdentifier(key: KeyObject): Buffer {
  return createHash("sha1").update(publicKeyInfo(key)).digest();
}

const SIGNATURE_ALGORITHMS: Readonly<Record<string, string>> = {
  "ec sha1": "1.2.840.10045.4.1",
  "ec sha256": "1.2.840.10045.4.3.2",
  "ec sha384": "1.2.840.10045.4.3.3",
  "rsa md5": "1.2.840.113549.1.1.4",
  "rsa sha1": "1.2.840.113549.1.1.5",
  "rsa sha256": "1.2.840.113549.1.1.11",
  "rsa sha384": "1.2.840.113549.1.1.12",
  "ed25519 sha256": "1.3.101.112",
};

function signatureAlgorithm(key: KeyObject, digest: string): Buffer {
  const dotted = SIGNATURE_ALGORITHMS[`${key.asymmetricKeyType} ${digest}`];
  if (dotted === undefined) throw new Error(`no signature algorithm for ${key.asymmetricKeyType} with ${digest}`);
  const parameters = key.asymmetricKeyType === "rsa" ? [Buffer.from([5, 0])] : [];
  return sequence(objectIdentifier(dotted), ...parameters);
}

function extension({ identifier, critical, value }: RawExtension): Buffer {
  return sequence(objectIdentifier(identifier), ...(critical ? [boolean(true)] : []), octetString(value));
}

function keyUsageBits(usages: readonly KeyUsage[]): Buffer {
  const octet = usages.reduce((bits, usage) => bits | (0x80 >> KEY_USAGE_BITS.indexOf(usage)), 0);
  return bitString(Buffer.from([octet]));
}

function subtrees(number: number, names: readonly Buffer[] | undefined): Buffer[] {
  return names === undefined ? [] : [explicit(number, ...names.map((name) => sequence(name)))];
}

function extensionsOf(options: CertificateOptions, keys: KeyPair, issuerKey: KeyObject): Buffer[] {
  const list: RawExtension[] = [];
  const { basicConstraints, keyUsage, extendedKeyUsage, nameConstraints } = options;
  if (basicConstraints !== undefined && basicConstraints !== "absent") {
    const { ca, pathLength } = basicConstraints;
    const fields = [...(ca ? [boolean(true)] : []), ...(pathLength === undefined ? [] : [integer(pathLength)])];
    list.push({ identifier: "2.5.29.19", critical: true, value: sequence(...fields) });
  }
  if (keyUsage !== undefined && keyUsage !== "absent") {
    list.push({ identifier: "2.5.29.15", critical: true, value: keyUsageBits(keyUsage) });
  }
  if (extendedKeyUsage !== undefined && extendedKeyUsage !== "absent") {
    list.push({ identifier: "2.5.29.37", critical: false, value: sequence(...extendedKeyUsage.map(objectIdentifier)) });
  }
  const names = [...(options.names ?? []).map(dnsName), ...(options.generalNames ?? [])];
  if (names.length > 0) list.push({ identifier: "2.5.29.17", critical: false, value: sequence(...names) });
  if (nameConstraints !== undefined) {
    const value = sequence(...subtrees(0, nameConstraints.permitted), ...subtrees(1, nameConstraints.excluded));
    list.push({ identifier: "2.5.29.30", critical: true, value });
  }
  if (options.keyIdentifiers !== "absent") {
    list.push({ identifier: "2.5.29.14", critical: false, value: octetString(keyIdentifier(keys.publicKey)) });
    list.push({ identifier: "2.5.29.35", critical: false, value: sequence(implicit(0, keyIdentifier(issuerKey))) });
  }
  return [...list, ...(options.extensions ?? [])].map(extension);
}

/** A certificate with exactly the extensions that the options name, and key identifiers. */
export function makeCertificate(options: CertificateOptions): MadeCertificate {
  const keys = options.keys ?? makeKeys(options.keyKind);
  const signer = options.issuer?.keys ?? keys;
  const { commonName = [], digest = "sha256" } = options;
  const subject = options.subject ?? distinguishedName(typeof commonName === "string" ? [commonName] : commonName);
  const algorithm = signatureAlgorithm(signer.privateKey, digest);
  const body = sequence(
    ...(options.version === 1 ? [] : [explicit(0, integer(2))]),
    integer(Buffer.concat([Buffer.from([0x01]), randomBytes(8)])),
    algorithm,
    options.issuer?.subject ?? subject,
    sequence(time(options.notBefore ?? VALID_FROM), time(options.notAfter ?? VALID_TO)),
    subject,
    publicKeyInfo(keys.publicKey),
    ...(options.version === 1 ? [] : [explicit(3, sequence(...extensionsOf(options, keys, signer.publicKey)))]),
  );
  const signature = sign(signer.privateKey.asymmetricKeyType === "ed25519" ? null : digest, body, signer.privateKey);
  if (options.brokenSignature) signature[signature.length - 1] = signature.readUInt8(signature.length - 1) ^ 1;
  const bytes = sequence(body, algorithm, bitString(signature));
  const base64 = bytes
    .toString("base64")
    .replace(/(.{64})/g, "$1\n")
    .trimEnd();
  return {
    certificatePem: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
    keyPem: keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    der: bytes,
    keys,
    subject,
  };
}

/** A CA certificate: self-signed root without `issuer`, intermediate with one. */
export function makeAuthority(options: CertificateOptions = {}): MadeCertificate {
  return makeCertificate({
    commonName: "Test CA",
    basicConstraints: { ca: true },
    keyUsage: ["keyCertSign", "cRLSign"],
    ...options,
  });
}

/** A server certificate for `names`; self-signed without `issuer`. */
export function makeLeaf(options: CertificateOptions = {}): MadeCertificate {
  return makeCertificate({
    commonName: [],
    keyUsage: ["digitalSignature"],
    extendedKeyUsage: [SERVER_AUTH],
    ...options,
  });
}

/** What a server's certificate file holds: PEM, leaf first. */
export function chainPem(...certificates: readonly MadeCertificate[]): string {
  return certificates.map((certificate) => certificate.certificatePem).join("");
}

/** The TLSA record of those parameters that the certificate matches (RFC 6698 §2.1). */
export function tlsaFor(certificate: Buffer | MadeCertificate, usage: number, selector: number, matchingType: number): Tlsa {
  const bytes = Buffer.isBuffer(certificate) ? certificate : certificate.der;
  const selected = selector === 0 ? bytes : publicKeyInfo(new X509Certificate(bytes).publicKey);
  const data =
    matchingType === 0
      ? selected
      : createHash(matchingType === 1 ? "sha256" : "sha512")
          .update(selected)
          .digest();
  return { usage, selector, matchingType, data };
}
