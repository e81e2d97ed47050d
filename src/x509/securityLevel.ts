import type { KeyObject } from "node:crypto";
import type { Certificate } from "./certificate.ts";
import { context, DerSequence, derElement, OBJECT_IDENTIFIER, objectIdentifier, orMalformed, SEQUENCE } from "./der.ts";

/**
 * OpenSSL's security levels (SSL_CTX_set_security_level(3)): how many bits of security a key or a signature has to have. Level 1 refuses
 * RSA below 1024 bits and signatures over MD5 or SHA-1; level 2 RSA below 2048 bits.
 */
export type SecurityLevel = 0 | 1 | 2 | 3 | 4 | 5;

const REQUIRED_BITS: Readonly<Record<SecurityLevel, number>> = { 0: 0, 1: 80, 2: 112, 3: 128, 4: 192, 5: 256 };

/** Modulus bits -> security bits (NIST SP 800-57 part 1, table 2), strongest first; RSA, RSA-PSS, DSA. */
const MODULUS_STRENGTH: readonly (readonly [number, number])[] = [
  [15_360, 256],
  [7_680, 192],
  [3_072, 128],
  [2_048, 112],
  [1_024, 80],
];

/** Curve -> security bits; a curve that is not here counts as worthless. */
const CURVE_STRENGTH: ReadonlyMap<string, number> = new Map([
  ["prime192v1", 96],
  ["secp224r1", 112],
  ["prime256v1", 128],
  ["secp256k1", 128],
  ["brainpoolP256r1", 128],
  ["secp384r1", 192],
  ["brainpoolP384r1", 192],
  ["secp521r1", 256],
  ["brainpoolP512r1", 256],
]);

const KEY_TYPE_STRENGTH: ReadonlyMap<string, number> = new Map([
  ["ed25519", 128],
  ["ed448", 224],
  ["ml-dsa-44", 128],
  ["ml-dsa-65", 192],
  ["ml-dsa-87", 256],
]);

/** OpenSSL's figures for broken digests: 39 for MD5, 63 for SHA-1. */
const DIGEST_STRENGTH: ReadonlyMap<string, number> = new Map([
  ["1.3.14.3.2.26", 63],
  ["2.16.840.1.101.3.4.2.4", 112],
  ["2.16.840.1.101.3.4.2.1", 128],
  ["2.16.840.1.101.3.4.2.2", 192],
  ["2.16.840.1.101.3.4.2.3", 256],
]);

const SIGNATURE_STRENGTH: ReadonlyMap<string, number> = new Map([
  ["1.2.840.113549.1.1.4", 39], // md5WithRSAEncryption
  ["1.2.840.113549.1.1.5", 63], // sha1WithRSAEncryption
  ["1.2.840.113549.1.1.14", 112], // sha224WithRSAEncryption
  ["1.2.840.113549.1.1.11", 128], // sha256WithRSAEncryption
  ["1.2.840.113549.1.1.12", 192], // sha384WithRSAEncryption
  ["1.2.840.113549.1.1.13", 256], // sha512WithRSAEncryption
  ["1.2.840.10045.4.1", 63], // ecdsa-with-SHA1
  ["1.2.840.10045.4.3.1", 112], // ecdsa-with-SHA224
  ["1.2.840.10045.4.3.2", 128], // ecdsa-with-SHA256
  ["1.2.840.10045.4.3.3", 192], // ecdsa-with-SHA384
  ["1.2.840.10045.4.3.4", 256], // ecdsa-with-SHA512
  ["2.16.840.1.101.3.4.3.2", 128], // dsa-with-sha256
  ["2.16.840.1.101.3.4.3.10", 128], // ecdsa-with-SHA3-256
  ["2.16.840.1.101.3.4.3.11", 192], // ecdsa-with-SHA3-384
  ["2.16.840.1.101.3.4.3.12", 256], // ecdsa-with-SHA3-512
  ["2.16.840.1.101.3.4.3.14", 128], // RSASSA-PKCS1-v1_5 with SHA3-256
  ["2.16.840.1.101.3.4.3.15", 192], // RSASSA-PKCS1-v1_5 with SHA3-384
  ["2.16.840.1.101.3.4.3.16", 256], // RSASSA-PKCS1-v1_5 with SHA3-512
  ["1.3.101.112", 128], // Ed25519
  ["1.3.101.113", 224], // Ed448
  ["2.16.840.1.101.3.4.3.17", 128], // ML-DSA-44
  ["2.16.840.1.101.3.4.3.18", 192], // ML-DSA-65
  ["2.16.840.1.101.3.4.3.19", 256], // ML-DSA-87
]);

const RSASSA_PSS = "1.2.840.113549.1.1.10";
/** RFC 4055 §3.1: the default hash of RSASSA-PSS-params is SHA-1. */
const PSS_DEFAULT_DIGEST = "1.3.14.3.2.26";

function pssDigest(parameters: Buffer): string {
  const fields = new DerSequence(derElement(parameters, SEQUENCE).value);
  const hash = fields.optional(context(0, "constructed"));
  if (hash === undefined) return PSS_DEFAULT_DIGEST;
  const algorithm = new DerSequence(derElement(hash.value, SEQUENCE).value);
  return objectIdentifier(algorithm.required(OBJECT_IDENTIFIER).value);
}

/** Security bits of the signature on `certificate`; 0 for an algorithm unknown here. */
export function signatureStrength(certificate: Certificate): number {
  if (certificate.signatureAlgorithm !== RSASSA_PSS) return SIGNATURE_STRENGTH.get(certificate.signatureAlgorithm) ?? 0;
  const digest = orMalformed(() => pssDigest(certificate.signatureParameters));
  return typeof digest === "string" ? (DIGEST_STRENGTH.get(digest) ?? 0) : 0;
}

/** Security bits of a public key; 0 for one that this OpenSSL or this table does not know. */
export function keyStrength(key: KeyObject | undefined): number {
  if (key === undefined) return 0;
  const { asymmetricKeyType = "", asymmetricKeyDetails } = key;
  const modulus = asymmetricKeyDetails?.modulusLength;
  if (modulus !== undefined) return MODULUS_STRENGTH.find(([bits]) => modulus >= bits)?.[1] ?? 0;
  const curve = asymmetricKeyDetails?.namedCurve;
  if (curve !== undefined) return CURVE_STRENGTH.get(curve) ?? 0;
  return KEY_TYPE_STRENGTH.get(asymmetricKeyType) ?? 0;
}

export function isStrongEnough(bits: number, level: SecurityLevel): boolean {
  return bits >= REQUIRED_BITS[level];
}
