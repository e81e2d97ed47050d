import type { DomainName } from "../dns/name.ts";
import { type Certificate, parseCertificate } from "../x509/certificate.ts";
import { distinctCertificates } from "../x509/distinctCertificates.ts";
import { keyDefect } from "../x509/pathValidation.ts";
import type { SecurityLevel } from "../x509/securityLevel.ts";
import { isAssociated } from "./association.ts";
import { DIGEST_ORDER, strongestRecords } from "./digestAgility.ts";
import { MatchAttempt, type Trial } from "./matchAttempt.ts";
import { type MatchFailure, type MatchVerdict, type TriedRecord, triedRecord } from "./matchVerdict.ts";
import { displayCertificate, endEntityMismatchText, issuerMismatchText } from "./mismatchText.ts";
import { matchPkix } from "./pkixMatch.ts";
import { DANE_EE, defectOf, PKIX_EE, type Tlsa } from "./tlsa.ts";
import { matchTrustAnchor } from "./trustAnchorMatch.ts";

/**
 * Certificate matching (RFC 7672 §3, RFC 7671, RFC 6698 §2.1): do the TLSA records authenticate the server that sent this chain? The
 * verdicts are those of OpenSSL's DANE code; where that follows one path only, all are tried here.
 *
 * Depth: place of the certificate that the record names on the path from the server's own (0). For a bare key (2 1 0) whose
 * certificate was not sent: place of the certificate that it signed.
 */
export type MatchInput = {
  /** Usable records of the secure RRset; others are reported as unusable, never matched. */
  records: readonly Tlsa[];
  /** DER, as the server sent them, its own first. */
  chain: readonly Buffer[];
  /** RFC 7672 §3.2.2; from `referenceIdentifiers`. */
  identifiers: readonly DomainName[];
  /** Milliseconds since the epoch. */
  now: number;
  /** Demanded of the server's key always, of issuers' keys and of signatures on a path to a trust anchor. */
  securityLevel?: SecurityLevel;
  /** Digest matching types, strongest first (RFC 7671 §9). */
  digestOrder?: readonly number[];
  /** For diagnosis only: the CAs (DER) that usages 0 and 1 need. Without, such records never match (RFC 7672 §3.1.3). */
  pkixAnchors?: readonly Buffer[];
  /** RFC 7672 §3.1.1 ignores names under DANE-EE; other protocols need not. */
  endEntityNames?: "ignored" | "checked";
};

/** No RSA below 1024 bits, no MD5 or SHA-1 signatures: a server that opportunistic TLS would accept is not refused for less. */
export const DEFAULT_SECURITY_LEVEL: SecurityLevel = 1;
/** Certificates of the chain that are looked at, the server's own among them. Further ones are ignored. */
export const MAX_CHAIN_CERTIFICATES = 32;

/** Decides whether any record authenticates the server; the reasons for each one that does not are in the order of the records. */
export function matchCertificate(input: MatchInput): MatchVerdict {
  const [leaf, ...above] = input.chain.slice(0, MAX_CHAIN_CERTIFICATES);
  if (leaf === undefined) return mismatchOfAll(input, "no-certificate", "the server sent no certificate");
  const server = parseCertificate(leaf);
  if (server.kind === "malformed") {
    return mismatchOfAll(input, "malformed", `the server's certificate is malformed: ${server.because}`);
  }
  const securityLevel = input.securityLevel ?? DEFAULT_SECURITY_LEVEL;
  // A key that can be computed from its public half authenticates nobody; OpenSSL checks it before any record.
  const weak = keyDefect(server, securityLevel);
  if (weak !== undefined) return mismatchOfAll(input, weak.failure, `the server's certificate ${weak.because}`);

  const attempt = new MatchAttempt(server, input.identifiers, { now: input.now, securityLevel });
  const sound = input.records.filter((record) => defectOf(record) === undefined);
  const { considered, passedOver } = strongestRecords(sound, input.digestOrder ?? DIGEST_ORDER);
  for (const record of passedOver) {
    attempt.fail(record, "weaker-digest", "not considered, there are records with a stronger digest beside it (RFC 7671 §9)");
  }
  const sent = distinctCertificates(above, [server]);
  const trial =
    matchEndEntity(attempt, considered, input.endEntityNames ?? "ignored") ??
    matchTrustAnchor(attempt, considered, sent) ??
    matchPkix(attempt, considered, sent, distinctCertificates(input.pkixAnchors ?? [], []));
  if (trial?.kind === "match") return trial;
  return { kind: "mismatch", tried: input.records.map((record) => attempt.failureOf(record) ?? explain(record, server, sent)) };
}

function mismatchOfAll(input: MatchInput, failure: MatchFailure, clause: string): MatchVerdict {
  return { kind: "mismatch", tried: input.records.map((record) => triedRecord(record, failure, clause)) };
}

/** RFC 7672 §3.1.1, §3.2.1: DANE-EE(3) is the server's own certificate or key, whatever its names and dates are. */
function matchEndEntity(attempt: MatchAttempt, records: readonly Tlsa[], names: "ignored" | "checked"): Trial | undefined {
  for (const record of records) {
    if (record.usage !== DANE_EE || !isAssociated(record, attempt.server)) continue;
    const trial: Trial = names === "checked" ? attempt.judgeName(record, 0) : { kind: "match", record, depth: 0 };
    if (trial.kind === "match") return trial;
  }
  return undefined;
}

/** Why a record that no path led to does not fit: what was sent instead of what it names. */
function explain(record: Tlsa, server: Certificate, sent: readonly Certificate[]): TriedRecord {
  const defect = defectOf(record);
  if (defect !== undefined) return triedRecord(record, "unusable", defect.because);
  if (record.usage === DANE_EE || record.usage === PKIX_EE) {
    return triedRecord(record, "no-match", endEntityMismatchText(record, server));
  }
  if (isAssociated(record, server)) {
    const clause = "it names the server's own certificate as its issuer; for that there is usage 3";
    return triedRecord(record, "not-the-issuer", clause);
  }
  if ("kind" in server.extensions) {
    return triedRecord(record, "malformed", `the server's certificate has malformed extensions: ${server.extensions.because}`);
  }
  const named = sent.find((certificate) => isAssociated(record, certificate));
  if (named !== undefined) {
    const clause = `${displayCertificate(named)}, which it names, is in the chain but did not issue the server's`;
    return triedRecord(record, "not-the-issuer", clause);
  }
  return triedRecord(record, "no-match", issuerMismatchText(record, sent.length + 1));
}
