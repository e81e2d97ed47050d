import type { TlsaData } from "../dns/rdata.ts";
import { parseCertificate, parsePublicKey } from "../x509/certificate.ts";

/**
 * One TLSA record (RFC 6698 §2.1). What is unusable in SMTP never becomes part of a policy: `usableRecords` is the only door.
 *
 * usage: 0 PKIX-TA, 1 PKIX-EE, 2 DANE-TA (the record names the issuer), 3 DANE-EE (the record names the server's own certificate).
 * selector: 0 the whole certificate, 1 its SubjectPublicKeyInfo. matching type: 0 the thing itself, 1 its SHA-256, 2 its SHA-512.
 */
export type Tlsa = TlsaData;

export type UnusableReason =
  | "pkix-usage"
  | "unknown-usage"
  | "unknown-selector"
  | "unknown-matching-type"
  | "empty"
  | "digest-length"
  | "not-a-certificate"
  | "not-a-public-key";

/** `because` is a sentence for logs and diagnosis. */
export type UnusableRecord = { record: TlsaData; reason: UnusableReason; because: string };

export const PKIX_TA = 0;
export const PKIX_EE = 1;
export const DANE_TA = 2;
export const DANE_EE = 3;
export const CERT = 0;
export const SPKI = 1;
export const FULL = 0;
export const SHA2_256 = 1;
export const SHA2_512 = 2;

const DIGEST_OCTETS: ReadonlyMap<number, number> = new Map([
  [SHA2_256, 32],
  [SHA2_512, 64],
]);

/** Hex digits of the data that a log line shows. */
const SHORT_DIGITS = 12;

type Defect = { reason: UnusableReason; because: string };

/** Full(0) data has to be the thing itself, or nothing could ever match it (RFC 6698 §4.1: a malformed record is unusable). */
function defectOfFullData(record: TlsaData): Defect | undefined {
  if (record.selector === SPKI) {
    if (parsePublicKey(record.data) !== undefined) return undefined;
    return { reason: "not-a-public-key", because: "its data are not a public key in DER (SubjectPublicKeyInfo)" };
  }
  const certificate = parseCertificate(record.data);
  if (certificate.kind === "malformed") {
    return { reason: "not-a-certificate", because: `its data are not a certificate in DER: ${certificate.because}` };
  }
  if (certificate.publicKey !== undefined) return undefined;
  return { reason: "not-a-certificate", because: "the certificate in its data has a key of an unknown kind" };
}

function defectOfData(record: TlsaData): Defect | undefined {
  if (record.data.length === 0) return { reason: "empty", because: "its data are empty" };
  if (record.matchingType === FULL) return defectOfFullData(record);
  const octets = DIGEST_OCTETS.get(record.matchingType);
  if (octets === undefined) {
    return { reason: "unknown-matching-type", because: `matching type ${record.matchingType} is unknown` };
  }
  if (record.data.length === octets) return undefined;
  const because = `its digest has ${record.data.length} octets where matching type ${record.matchingType} has ${octets}`;
  return { reason: "digest-length", because };
}

/** What makes the record unfit for matching, whatever the protocol; undefined for a sound one of usage 0 to 3. */
export function defectOf(record: TlsaData): Defect | undefined {
  if (record.usage > DANE_EE) return { reason: "unknown-usage", because: `certificate usage ${record.usage} is unknown` };
  if (record.selector > SPKI) return { reason: "unknown-selector", because: `selector ${record.selector} is unknown` };
  return defectOfData(record);
}

function defectInSmtp(record: TlsaData): Defect | undefined {
  // RFC 7672 §3.1.3: PKIX-TA(0) and PKIX-EE(1) are treated as unusable.
  if (record.usage === PKIX_TA || record.usage === PKIX_EE) {
    return { reason: "pkix-usage", because: `certificate usage ${record.usage} is not for SMTP, use 3 or 2` };
  }
  return defectOf(record);
}

/** Which records of a secure TLSA RRset authenticate an SMTP server (RFC 7672 §2.2, §3.1; RFC 6698 §4.1), and why the others don't. */
export function usableRecords(records: readonly TlsaData[]): { usable: readonly Tlsa[]; unusable: readonly UnusableRecord[] } {
  const usable: Tlsa[] = [];
  const unusable: UnusableRecord[] = [];
  for (const record of records) {
    const defect = defectInSmtp(record);
    if (defect === undefined) usable.push(record);
    else unusable.push({ record, ...defect });
  }
  return { usable, unusable };
}

/** Presentation format (RFC 6698 §2.2), data in lower-case hex. */
export function presentTlsa(record: TlsaData): string {
  return `${record.usage} ${record.selector} ${record.matchingType} ${record.data.toString("hex")}`.trimEnd();
}

/** The same, data cut to what tells records apart in a log line: `3 1 1 ab12cd34ef56..`. */
export function shortTlsa(record: TlsaData): string {
  const hex = record.data.toString("hex");
  const shown = hex.length > SHORT_DIGITS ? `${hex.slice(0, SHORT_DIGITS)}..` : hex;
  return `${record.usage} ${record.selector} ${record.matchingType} ${shown}`.trimEnd();
}
