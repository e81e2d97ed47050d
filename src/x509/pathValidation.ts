import type { Certificate } from "./certificate.ts";
import { DerSequence, derElement, OBJECT_IDENTIFIER, objectIdentifier, orMalformed, SEQUENCE } from "./der.ts";
import type { Extensions } from "./extension.ts";
import { ConstraintVerdicts } from "./nameConstraints.ts";
import { isStrongEnough, keyStrength, type SecurityLevel, signatureStrength } from "./securityLevel.ts";

/**
 * Whether a path of certificates, each signed by the next, may be believed (RFC 5280 §6.1, with OpenSSL's choices where the RFC leaves
 * one). The path runs from the server's certificate (depth 0) to the trust anchor; its signatures were verified when it was built.
 *
 * The anchor's own dates and constraints count where its certificate is there (RFC 7671 §5.2.1), its signature does not.
 */
export type CertificatePath = readonly [Certificate, ...Certificate[]];

export type PathFailure =
  | "malformed"
  | "unknown-critical-extension"
  | "not-an-authority"
  | "path-length"
  | "key-usage"
  | "purpose"
  | "weak-key"
  | "weak-signature"
  | "not-yet-valid"
  | "expired"
  | "name-constraints";

/** `depth`: which certificate of the path; `because`: a clause that goes on after that certificate's name. */
export type PathVerdict = { kind: "valid" } | { kind: "invalid"; failure: PathFailure; depth: number; because: string };

export type PathRules = {
  /** Milliseconds since the epoch. */
  now: number;
  securityLevel: SecurityLevel;
  /** `topmost`: the last certificate is the trust anchor. `beyond`: a bare public key is, which signed the last certificate. */
  anchor: "topmost" | "beyond";
  /** Shared by the paths of one judgement. */
  constraints?: ConstraintVerdicts;
};

/** Paths judged for one server; each may cost milliseconds where a peer made its certificates for it, and real chains have two or three. */
export const MAX_JUDGED_PATHS = 16;

type Defect = { failure: PathFailure; because: string };

const SERVER_AUTHENTICATION = "1.3.6.1.5.5.7.3.1";

/** RFC 5280 §4.2: unreadable or unknown critical extensions mean rejection, in the anchor's certificate too. */
function extensionDefect(extensions: Certificate["extensions"]): Defect | undefined {
  if ("kind" in extensions) return { failure: "malformed", because: `has malformed extensions: ${extensions.because}` };
  const [unknown] = extensions.unknownCritical;
  if (unknown === undefined) return undefined;
  return { failure: "unknown-critical-extension", because: `has a critical extension that is not understood (${unknown})` };
}

/**
 * RFC 5280 §6.1.4 (k): a CA says so in basicConstraints. Only the anchor, which is trusted for what it is told to be and not for what it
 * says, may leave them out: with a key usage for signing certificates, or being of version 1 (as OpenSSL has it).
 */
function isAuthority(certificate: Certificate, extensions: Extensions, role: "intermediate" | "anchor"): boolean {
  if (extensions.basicConstraints !== undefined) return extensions.basicConstraints.ca;
  if (role === "intermediate") return false;
  if (extensions.keyUsage !== undefined) return extensions.keyUsage.includes("keyCertSign");
  return certificate.version === 1 && isSelfIssued(certificate);
}

function authorityDefect(certificate: Certificate, extensions: Extensions, role: "intermediate" | "anchor"): Defect | undefined {
  if (!isAuthority(certificate, extensions, role)) {
    return { failure: "not-an-authority", because: "is used as an issuer but is no CA certificate" };
  }
  // RFC 5280 §6.1.4 (n).
  if (extensions.keyUsage !== undefined && !extensions.keyUsage.includes("keyCertSign")) {
    return { failure: "key-usage", because: "is used as an issuer but its key may not sign certificates" };
  }
  return undefined;
}

/** RFC 5280 §4.2.1.3: a TLS server signs, decrypts or agrees on a key. */
function serverDefect(extensions: Extensions): Defect | undefined {
  const { keyUsage } = extensions;
  const fits = keyUsage?.some((usage) => usage === "digitalSignature" || usage === "keyEncipherment" || usage === "keyAgreement");
  if (fits !== false) return undefined;
  return { failure: "key-usage", because: "has a key usage that no TLS server can work with" };
}

/** RFC 5280 §4.2.1.12; in CA certificates it limits what is below, and anyExtendedKeyUsage alone is not enough: both as OpenSSL does. */
function purposeDefect(extensions: Extensions): Defect | undefined {
  const purposes = extensions.extendedKeyUsage;
  if (purposes === undefined || purposes.includes(SERVER_AUTHENTICATION)) return undefined;
  return { failure: "purpose", because: "is not for TLS servers (extended key usage)" };
}

/** RFC 5280 §6.1.3 (a)(2), read for each certificate. An unreadable date is never within its period. */
function dateDefect({ notBefore, notAfter, x509 }: Certificate, now: number): Defect | undefined {
  if (Number.isNaN(notBefore) || Number.isNaN(notAfter)) {
    return { failure: "malformed", because: "has an unreadable validity period" };
  }
  if (now < notBefore) return { failure: "not-yet-valid", because: `is not valid before ${x509.validFromDate.toISOString()}` };
  if (now > notAfter) return { failure: "expired", because: `expired at ${x509.validToDate.toISOString()}` };
  return undefined;
}

const EC_PUBLIC_KEY = "1.2.840.10045.2.1";

/** RFC 5480 §2.1.1: curves MUST be named. Whoever writes parameters out can choose them so that his key fits another's (CVE-2020-0601). */
function curveDefect({ publicKeyInfo }: Certificate): Defect | undefined {
  const isExplicit = orMalformed(() => {
    const algorithm = new DerSequence(new DerSequence(derElement(publicKeyInfo, SEQUENCE).value).required(SEQUENCE).value);
    const isCurve = objectIdentifier(algorithm.required(OBJECT_IDENTIFIER).value) === EC_PUBLIC_KEY;
    return { answer: isCurve && algorithm.optional(SEQUENCE) !== undefined };
  });
  if ("kind" in isExplicit) return { failure: "malformed", because: `has a malformed public key: ${isExplicit.because}` };
  return isExplicit.answer ? { failure: "weak-key", because: "has a key on a curve that is not a named one" } : undefined;
}

function strengthDefect(certificate: Certificate, isTrusted: boolean, level: SecurityLevel): Defect | undefined {
  const weakKey = curveDefect(certificate) ?? keyDefect(certificate, level);
  if (weakKey !== undefined || isTrusted || isStrongEnough(signatureStrength(certificate), level)) return weakKey;
  return { failure: "weak-signature", because: `is signed by too weak an algorithm for security level ${level}` };
}

/** Whether the key is too weak for `level`, or of a kind that is unknown. */
export function keyDefect({ publicKey }: Certificate, level: SecurityLevel): Defect | undefined {
  if (isStrongEnough(keyStrength(publicKey), level)) return undefined;
  return { failure: "weak-key", because: `has too weak a key for security level ${level}` };
}

/** RFC 5280 §3.2: issued by an entity of the same name, as in a CA's key rollover. */
function isSelfIssued(certificate: Certificate): boolean {
  return certificate.subject.equals(certificate.issuer);
}

/** RFC 5280 §6.1.4 (l), (m): CAs between this one and the server, not counting self-issued ones. */
function pathLengthDefect(path: CertificatePath, depth: number, extensions: Extensions): Defect | undefined {
  const allowed = extensions.basicConstraints?.pathLength;
  if (allowed === undefined) return undefined;
  const between = path.slice(1, depth).filter((certificate) => !isSelfIssued(certificate)).length;
  if (between <= allowed) return undefined;
  return { failure: "path-length", because: `allows ${allowed} CA certificates below it, the path has ${between}` };
}

/** RFC 5280 §6.1.3 (b), (c): constraints bind every certificate below that is not self-issued, and the server's always. */
function constraintDefect(path: CertificatePath, depth: number, verdicts: ConstraintVerdicts): Defect | undefined {
  const [certificate] = path.slice(depth);
  if (certificate === undefined || (depth > 0 && isSelfIssued(certificate))) return undefined;
  const role = depth === 0 ? "server" : "authority";
  for (const { extensions } of path.slice(depth + 1)) {
    if ("kind" in extensions || extensions.nameConstraints === undefined) continue;
    const violation = verdicts.violation(certificate, role, extensions.nameConstraints);
    if (violation !== undefined) return { failure: "name-constraints", because: `breaks name constraints: ${violation}` };
  }
  return undefined;
}

function defectAt(path: CertificatePath, depth: number, certificate: Certificate, rules: PathRules): Defect | undefined {
  const { extensions } = certificate;
  const unreadable = extensionDefect(extensions);
  if (unreadable !== undefined || "kind" in extensions) return unreadable;
  const isTrusted = rules.anchor === "topmost" && depth === path.length - 1;
  const role = isTrusted ? "anchor" : "intermediate";
  const ofRole = depth === 0 ? serverDefect(extensions) : authorityDefect(certificate, extensions, role);
  return (
    ofRole ??
    purposeDefect(extensions) ??
    (depth === 0 ? undefined : pathLengthDefect(path, depth, extensions)) ??
    strengthDefect(certificate, isTrusted, rules.securityLevel) ??
    dateDefect(certificate, rules.now) ??
    constraintDefect(path, depth, rules.constraints ?? new ConstraintVerdicts())
  );
}

/** Validates every certificate of the path; the first defect found, from the server's certificate upwards, is the verdict. */
export function validatePath(path: CertificatePath, rules: PathRules): PathVerdict {
  for (const [depth, certificate] of path.entries()) {
    const defect = defectAt(path, depth, certificate, rules);
    if (defect !== undefined) return { kind: "invalid", depth, ...defect };
  }
  return { kind: "valid" };
}
