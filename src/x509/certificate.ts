import { createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import {
  context,
  DerSequence,
  derElement,
  INTEGER,
  OBJECT_IDENTIFIER,
  objectIdentifier,
  orMalformed,
  SEQUENCE,
  smallInteger,
} from "./der.ts";
import { type Extensions, NO_EXTENSIONS, readExtensions } from "./extension.ts";

/**
 * Certificates (RFC 5280 §4.1) as DANE needs them: the octets that TLSA records are compared with, exactly as they came, and beside
 * them what path validation asks for. OpenSSL (through node:crypto) parses and verifies; only what it does not tell is read here.
 */
export type Certificate = {
  kind: "certificate";
  der: Buffer;
  x509: X509Certificate;
  /** SubjectPublicKeyInfo, as it came: what selector 1 is about (RFC 6698 §2.1.2). */
  publicKeyInfo: Buffer;
  /** Undefined where this OpenSSL knows no such kind of key. */
  publicKey: KeyObject | undefined;
  /** 1 and 3 in practice. */
  version: number;
  /** Names as DER, for equality. */
  subject: Buffer;
  issuer: Buffer;
  /** Object identifier of the algorithm that its issuer signed it with. */
  signatureAlgorithm: string;
  /** Parameters of that algorithm (of RSASSA-PSS: its hash), as DER; empty without. */
  signatureParameters: Buffer;
  /** Milliseconds since the epoch; NaN where the certificate's own text of it is unreadable. */
  notBefore: number;
  notAfter: number;
  /** Read even where they do not matter (usage 3), so a malformed one is no reason to refuse the certificate here. */
  extensions: Extensions | MalformedExtensions;
};

export type MalformedExtensions = { kind: "malformed"; because: string };
export type MalformedCertificate = { kind: "malformed"; because: string };

/** Larger certificates are refused unread; the largest in use have a few hundred names and less than 16 KiB. */
export const MAX_CERTIFICATE_OCTETS = 65_536;

type Parts = Pick<
  Certificate,
  "publicKeyInfo" | "version" | "subject" | "issuer" | "signatureAlgorithm" | "signatureParameters" | "extensions"
>;

function readVersion(tbs: DerSequence): number {
  const version = tbs.optional(context(0, "constructed"));
  return version === undefined ? 1 : smallInteger(derElement(version.value, INTEGER).value) + 1;
}

/** Walks Certificate and TBSCertificate (RFC 5280 §4.1). */
function readParts(der: Buffer): Parts {
  const certificate = new DerSequence(derElement(der, SEQUENCE).value);
  const tbs = new DerSequence(certificate.required(SEQUENCE).value);
  const algorithm = new DerSequence(certificate.required(SEQUENCE).value);
  const version = readVersion(tbs);
  tbs.required(INTEGER);
  tbs.required(SEQUENCE);
  const issuer = tbs.required(SEQUENCE).raw;
  tbs.required(SEQUENCE);
  const subject = tbs.required(SEQUENCE).raw;
  const publicKeyInfo = tbs.required(SEQUENCE).raw;
  tbs.optional(context(1, "primitive"));
  tbs.optional(context(2, "primitive"));
  const extensions = tbs.optional(context(3, "constructed"));
  return {
    version,
    issuer,
    subject,
    publicKeyInfo,
    signatureAlgorithm: objectIdentifier(algorithm.required(OBJECT_IDENTIFIER).value),
    signatureParameters: algorithm.rest(),
    extensions: extensions === undefined ? NO_EXTENSIONS : orMalformed(() => readExtensions(extensions.value)),
  };
}

/** The key in a SubjectPublicKeyInfo; undefined when it is none that this OpenSSL knows, or octets follow it. */
export function parsePublicKey(publicKeyInfo: Buffer): KeyObject | undefined {
  const element = orMalformed(() => derElement(publicKeyInfo, SEQUENCE));
  if ("kind" in element) return undefined;
  try {
    return createPublicKey({ key: publicKeyInfo, format: "der", type: "spki" });
  } catch {
    // OpenSSL has many words for it; all of them mean that no signature can be checked with this key.
    return undefined;
  }
}

function parseX509(der: Buffer): X509Certificate | MalformedCertificate {
  try {
    return new X509Certificate(der);
  } catch (error) {
    return { kind: "malformed", because: error instanceof Error ? error.message : String(error) };
  }
}

/** Parses one certificate in DER, with nothing behind it. Malformed is a value: it is the peer who decides what it sends. */
export function parseCertificate(der: Buffer): Certificate | MalformedCertificate {
  if (der.length > MAX_CERTIFICATE_OCTETS) {
    return { kind: "malformed", because: `certificate of ${der.length} octets (${MAX_CERTIFICATE_OCTETS} allowed)` };
  }
  // Our own walk first: X509Certificate would also take PEM, and DER with octets behind it.
  const parts = orMalformed(() => readParts(der));
  if ("kind" in parts) return parts;
  const x509 = parseX509(der);
  if ("kind" in x509) return x509;
  return {
    kind: "certificate",
    der,
    x509,
    publicKey: parsePublicKey(parts.publicKeyInfo),
    notBefore: x509.validFromDate.getTime(),
    notAfter: x509.validToDate.getTime(),
    ...parts,
  };
}
