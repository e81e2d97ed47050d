import { createHash } from "node:crypto";
import type { MatchFailure, TriedRecord } from "../dane/matchVerdict.ts";
import type { DanePolicy } from "../dane/tlsDiscovery.ts";
import { type ReasonChain, reasonText } from "../dnssec/securityStatus.ts";
import type { SessionStage } from "../policy/disposition.ts";
import { lookupFailure } from "../policy/lookupFailure.ts";
import { parseCertificate } from "../x509/certificate.ts";
import type { Failure, ResultType } from "./result.ts";

/** Our own words for what went wrong as result types of RFC 8460 §4.3, with OpenSSL's name for it as reason code where it has one. */

/** RFC 8460 §4.3.3 wants a short text. */
const MAX_REASON_CHARACTERS = 200;

const NO_MATCH = "X509_V_ERR_DANE_NO_MATCH";

/** The most telling first: who has a record that names the certificate, and fails by its name or date, need not hear of the other records. */
const CERTIFICATE_FAILURES: readonly (readonly [MatchFailure, ResultType, string])[] = [
  ["name-mismatch", "certificate-host-mismatch", "X509_V_ERR_HOSTNAME_MISMATCH"],
  ["expired", "certificate-expired", "X509_V_ERR_CERT_HAS_EXPIRED"],
  ["not-yet-valid", "certificate-not-trusted", "X509_V_ERR_CERT_NOT_YET_VALID"],
  ["name-constraints", "certificate-not-trusted", "name constraints violated"],
  ["unknown-critical-extension", "certificate-not-trusted", "X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION"],
  ["not-an-authority", "certificate-not-trusted", "X509_V_ERR_INVALID_CA"],
  ["path-length", "certificate-not-trusted", "X509_V_ERR_PATH_LENGTH_EXCEEDED"],
  ["key-usage", "certificate-not-trusted", "X509_V_ERR_KEYUSAGE_NO_CERTSIGN"],
  ["purpose", "certificate-not-trusted", "X509_V_ERR_INVALID_PURPOSE"],
  ["weak-key", "certificate-not-trusted", "key too weak"],
  ["weak-signature", "certificate-not-trusted", "X509_V_ERR_CA_MD_TOO_WEAK"],
  ["malformed", "certificate-not-trusted", "malformed certificate"],
  ["no-path", "certificate-not-trusted", "X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY"],
  ["not-the-issuer", "certificate-not-trusted", "X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY"],
  ["no-match", "certificate-not-trusted", NO_MATCH],
  ["no-certificate", "validation-failure", "no certificate was presented"],
  ["search-limit", "validation-failure", "the certificates are too many to search"],
  ["unusable", "tlsa-invalid", "no usable record"],
  ["weaker-digest", "certificate-not-trusted", NO_MATCH],
];

/** A server whose certificate no TLSA record authenticates. `chain`: as it was presented, DER, leaf first. */
export function certificateFailure(tried: readonly TriedRecord[], chain: readonly Buffer[]): Failure {
  const row = CERTIFICATE_FAILURES.find(([failure]) => tried.some((record) => record.failure === failure));
  if (row === undefined) return { resultType: "validation-failure", reason: "no TLSA record was tried" };
  const [, resultType, code] = row;
  const presented = code === NO_MATCH ? leafAsRecord(chain) : undefined;
  return { resultType, reason: presented === undefined ? code : `${code}: presented ${presented}` };
}

/** The record that would match: what an operator who forgot it has to publish (RFC 7672 §3.1.1). */
function leafAsRecord([leaf]: readonly Buffer[]): string | undefined {
  if (leaf === undefined) return undefined;
  const certificate = parseCertificate(leaf);
  if (certificate.kind === "malformed") return undefined;
  return `3 1 1 ${createHash("sha256").update(certificate.publicKeyInfo).digest("hex")}`;
}

/** A session that ended before a transaction; undefined for what is transient, or our own (RFC 8460 §4.3.4). */
export function stageFailure(stage: Exclude<SessionStage, "verify">, text: string): Failure | undefined {
  switch (stage) {
    case "starttls-missing":
      return { resultType: "starttls-not-supported" };
    case "starttls-refused":
      // RFC 8460 Appendix B: also servers "that did not successfully respond to the STARTTLS command".
      return { resultType: "starttls-not-supported", reason: shortReason(text) };
    case "handshake":
      // RFC 8460 §4.3.3: a negotiation failure without a type of its own.
      return { resultType: "validation-failure", reason: shortReason(text) };
    case "connect":
    case "greeting":
    case "ehlo":
    case "auth":
      return undefined;
    default:
      return stage satisfies never;
  }
}

/**
 * A host whose own DANE policy keeps us from it, or cannot be known. `daneRequired`: the operator demands DANE for this domain (RFC 7672 §6).
 * Undefined where the refusal is no fault of the host's: a single message's demand.
 */
export function refusalFailure(dane: DanePolicy, daneRequired: "yes" | "no"): Failure | undefined {
  switch (dane.kind) {
    case "unreachable":
      // RFC 8460 §4.3.2.1: the MX and address look-ups of the same host did succeed, so that this is no trouble of the network in general.
      return { resultType: "dnssec-invalid", reason: shortReason(reasonText(dane.reasons)) };
    case "encryptWithoutAuthentication":
      return daneRequired === "yes" ? (unusableRecords(dane) ?? { resultType: "dane-required" }) : undefined;
    case "authenticate":
    case "notApplicable":
      return daneRequired === "yes" ? { resultType: "dane-required" } : undefined;
    default:
      return dane satisfies never;
  }
}

/** RFC 8460 §4.3.2.1, tlsa-invalid: not one record of the RRset is usable. The session was encrypted, and authenticated nobody. */
export function unusableRecords(dane: Extract<DanePolicy, { kind: "encryptWithoutAuthentication" }>): Failure | undefined {
  if (dane.because !== "no-usable-record") return undefined;
  const reasons = [...new Set((dane.unusable ?? []).map(({ because }) => because))].sort();
  return { resultType: "tlsa-invalid", reason: shortReason(reasons.join("; ")) };
}

/** MX records that are forged or broken; undefined where they only could not be asked (RFC 8460 §4.3.4). */
export function mxFailure(reasons: ReasonChain): Failure | undefined {
  if (lookupFailure(reasons).cause !== "dnssec") return undefined;
  return { resultType: "dnssec-invalid", reason: shortReason(reasonText(reasons)) };
}

/** A reason code: one line of printable text, cut where it is no longer short. */
export function shortReason(text: string): string {
  const line = text.replace(/[\p{Cc}\s]+/gu, " ").trim();
  return line.length > MAX_REASON_CHARACTERS ? `${line.slice(0, MAX_REASON_CHARACTERS - 2)}..` : line;
}
