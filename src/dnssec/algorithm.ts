import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";

/**
 * Signature and digest algorithms of DNSSEC (IANA "DNS Security Algorithm Numbers", "DS RR Type Digest Algorithms").
 *
 * What is not in the table is unsupported: zones that use nothing else are insecure (RFC 4035 §5.2), not bogus. What is in the table but
 * comes with a key that cannot be used (malformed, too short, too costly) is a key that verifies nothing.
 */

/** RFC 5702 §2 allows 512 bits; what one computer factors in a day authenticates nobody. */
export const MIN_RSA_BITS = 1024;
/** RFC 3110 §2, RFC 5702 §2.1; verification time grows with the square. */
export const MAX_RSA_BITS = 4096;
/** In use are 3, 65537 and 2^32 + 1. Verification time grows with the length of the exponent, and the zone chooses it. */
export const MAX_RSA_EXPONENT_BITS = 64;

export type VerifyingKey = { kind: "key"; verifies: (data: Buffer, signature: Buffer) => boolean };
export type UnusableKey = { kind: "unusable"; reason: string };

export type SignatureAlgorithm = {
  mnemonic: string;
  /** Of one verification; usual when not given. OpenSSL has no fast code for P-384: it takes six times as long as P-256. */
  cost?: "usual" | "high";
  /** `publicKey` is the public key field of a DNSKEY. Costs about as much as a verification: keep the result. */
  importKey: (publicKey: Buffer) => VerifyingKey | UnusableKey;
};

export type DigestAlgorithm = { mnemonic: string; octets: number; digest: (data: Buffer) => Buffer };

/** What a validator supports; tests inject further algorithms by building a table of their own. */
export type AlgorithmTable = {
  signatures: ReadonlyMap<number, SignatureAlgorithm>;
  digests: ReadonlyMap<number, DigestAlgorithm>;
};

/** `sha1`: what zones with nothing better than SHA-1 are. RFC 9905 has them insecure; RFC 8624 §3.1 still had them validated. */
export function algorithmTable(options: { sha1: "insecure" | "validate" }): AlgorithmTable {
  return options.sha1 === "validate"
    ? { signatures: new Map([...SIGNATURES, ...SHA1_SIGNATURES]), digests: new Map([...DIGESTS, SHA1_DIGEST]) }
    : { signatures: new Map(SIGNATURES), digests: new Map(DIGESTS) };
}

/** RSA with PKCS #1 v1.5 padding (RFC 3110, RFC 5702). */
export function rsa(mnemonic: string, hash: "sha1" | "sha256" | "sha512", minimumBits = MIN_RSA_BITS): SignatureAlgorithm {
  return { mnemonic, importKey: (publicKey) => importRsa(publicKey, hash, minimumBits) };
}

function importRsa(publicKey: Buffer, hash: string, minimumBits: number): VerifyingKey | UnusableKey {
  const parts = rsaParts(publicKey);
  if ("kind" in parts) return parts;
  const { exponent, modulus } = parts;
  const bits = bitLength(modulus);
  if (bits < minimumBits) return unusable(`RSA key of ${bits} bits (${minimumBits} at least)`);
  if (bits > MAX_RSA_BITS) return unusable(`RSA key of ${bits} bits (${MAX_RSA_BITS} at most)`);
  if (bitLength(exponent) > MAX_RSA_EXPONENT_BITS) return unusable(`RSA exponent of ${bitLength(exponent)} bits`);
  // With exponent 1 a signature is the padded hash itself: anybody can write it. Even ones belong to no RSA key.
  if (bitLength(exponent) < 2 || ((exponent.at(-1) ?? 0) & 1) === 0) return unusable("RSA exponent that is not odd and above 1");
  const n = modulus.toString("base64url");
  const e = exponent.toString("base64url");
  return verifyingKey(
    () => createPublicKey({ key: { kty: "RSA", n, e }, format: "jwk" }),
    (key, data, signature) => signature.length === modulus.length && verify(hash, data, key, signature),
  );
}

/** RFC 3110 §2: exponent length in one octet, or in the two after a zero; exponent; modulus. Leading zeros are dropped. */
function rsaParts(publicKey: Buffer): { exponent: Buffer; modulus: Buffer } | UnusableKey {
  const short = publicKey[0] ?? 0;
  const start = short === 0 ? 3 : 1;
  if (publicKey.length <= start) return unusable("RSA key too short");
  const length = short === 0 ? publicKey.readUInt16BE(1) : short;
  if (publicKey.length <= start + length) return unusable("RSA key ends within its exponent");
  const exponent = withoutLeadingZeros(publicKey.subarray(start, start + length));
  return { exponent, modulus: withoutLeadingZeros(publicKey.subarray(start + length)) };
}

function withoutLeadingZeros(octets: Buffer): Buffer {
  const first = octets.findIndex((octet) => octet !== 0);
  return first === -1 ? Buffer.alloc(0) : octets.subarray(first);
}

function bitLength(octets: Buffer): number {
  const first = octets[0];
  return first === undefined ? 0 : 8 * octets.length - (Math.clz32(first) - 24);
}

/** SubjectPublicKeyInfo up to the key itself, which for these curves has a fixed length (RFC 5480 §2, RFC 8410 §4). */
const SPKI_PREFIX = {
  "P-256": Buffer.from("3059301306072a8648ce3d020106082a8648ce3d03010703420004", "hex"),
  "P-384": Buffer.from("3076301006072a8648ce3d020106052b8104002203620004", "hex"),
  Ed25519: Buffer.from("302a300506032b6570032100", "hex"),
  Ed448: Buffer.from("3043300506032b6571033a00", "hex"),
} as const;

/** RFC 6605 §4: the key is the point without its leading octet 04, the signature r and s one after the other. */
function ecdsa(mnemonic: string, curve: "P-256" | "P-384", hash: string, octets: number): SignatureAlgorithm {
  const importKey = (publicKey: Buffer): VerifyingKey | UnusableKey =>
    importCurve(curve, octets, publicKey, (key, data, signature) => {
      return signature.length === octets && verify(hash, data, key, ecdsaSigValue(signature));
    });
  return { mnemonic, importKey, cost: curve === "P-384" ? "high" : "usual" };
}

/** RFC 3279 §2.2.3: the two integers as DER. Node can do this too (`dsaEncoding`), and then a verification takes half as long again. */
function ecdsaSigValue(signature: Buffer): Buffer {
  const half = signature.length / 2;
  const integers = [signature.subarray(0, half), signature.subarray(half)].map((octets) => {
    const digits = withoutLeadingZeros(octets);
    const positive = (digits[0] ?? 0x80) >= 0x80 ? [0] : [];
    return Buffer.from([0x02, positive.length + digits.length, ...positive, ...digits]);
  });
  const body = Buffer.concat(integers);
  return Buffer.concat([Buffer.of(0x30, body.length), body]);
}

/** RFC 8080 §3, §4. */
function eddsa(mnemonic: string, curve: "Ed25519" | "Ed448", keyOctets: number, signatureOctets: number): SignatureAlgorithm {
  const importKey = (publicKey: Buffer): VerifyingKey | UnusableKey =>
    importCurve(curve, keyOctets, publicKey, (key, data, signature) => {
      return signature.length === signatureOctets && verify(null, data, key, signature);
    });
  return { mnemonic, importKey };
}

type Check = (key: KeyObject, data: Buffer, signature: Buffer) => boolean;

function importCurve(
  curve: keyof typeof SPKI_PREFIX,
  octets: number,
  publicKey: Buffer,
  check: Check,
): VerifyingKey | UnusableKey {
  if (publicKey.length !== octets) return unusable(`${curve} key of ${publicKey.length} octets (not ${octets})`);
  const spki = Buffer.concat([SPKI_PREFIX[curve], publicKey]);
  return verifyingKey(() => createPublicKey({ key: spki, format: "der", type: "spki" }), check);
}

function verifyingKey(open: () => KeyObject, check: Check): VerifyingKey | UnusableKey {
  let key: KeyObject;
  try {
    key = open();
  } catch (error) {
    return unusable(`not a public key (${error instanceof Error ? error.message : "unknown error"})`);
  }
  const verifies = (data: Buffer, signature: Buffer): boolean => {
    try {
      return check(key, data, signature);
    } catch {
      return false; // A key that OpenSSL imports but cannot compute with (an even modulus) has verified nothing.
    }
  };
  return { kind: "key", verifies };
}

function unusable(reason: string): UnusableKey {
  return { kind: "unusable", reason };
}

function digest(mnemonic: string, hash: string, octets: number): DigestAlgorithm {
  return { mnemonic, octets, digest: (data) => createHash(hash).update(data).digest() };
}

const SIGNATURES: readonly [number, SignatureAlgorithm][] = [
  [8, rsa("RSASHA256", "sha256")],
  [10, rsa("RSASHA512", "sha512")],
  [13, ecdsa("ECDSAP256SHA256", "P-256", "sha256", 64)],
  [14, ecdsa("ECDSAP384SHA384", "P-384", "sha384", 96)],
  [15, eddsa("ED25519", "Ed25519", 32, 64)],
  [16, eddsa("ED448", "Ed448", 57, 114)],
];

const SHA1_SIGNATURES: readonly [number, SignatureAlgorithm][] = [
  [5, rsa("RSASHA1", "sha1")],
  [7, rsa("RSASHA1-NSEC3-SHA1", "sha1")],
];

/** RFC 4509, RFC 6605. */
const DIGESTS: readonly [number, DigestAlgorithm][] = [
  [2, digest("SHA-256", "sha256", 32)],
  [4, digest("SHA-384", "sha384", 48)],
];

const SHA1_DIGEST: [number, DigestAlgorithm] = [1, digest("SHA-1", "sha1", 20)];
