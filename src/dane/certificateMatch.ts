import type { DomainName } from "../dns/name.ts";
import { type Certificate, parseCertificate, parsePublicKey } from "../x509/certificate.ts";
import { PathSearch, pathsUpwards } from "../x509/certificationPath.ts";
import { keyDefect } from "../x509/pathValidation.ts";
import type { SecurityLevel } from "../x509/securityLevel.ts";
import { isAssociated } from "./association.ts";
import { DIGEST_ORDER, strongestRecords } from "./digestAgility.ts";
import { MatchAttempt, type Trial } from "./matchAttempt.ts";
import { type MatchFailure, type MatchVerdict, type TriedRecord, triedRecord } from "./matchVerdict.ts";
import { displayCertificate, endEntityMismatchText, issuerMismatchText } from "./mismatchText.ts";
import { matchPkix } from "./pkixMatch.ts";
import { CERT, DANE_EE, DANE_TA, defectOf, FULL, PKIX_EE, SPKI, type Tlsa } from "./tlsa.ts";

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

/** The certificates that can be read, without repetitions and without those in `known`. */
function distinctCertificates(encoded: readonly Buffer[], known: readonly Certificate[]): readonly Certificate[] {
  const distinct: Certificate[] = [];
  for (const der of encoded) {
    if ([...known, ...distinct].some((certificate) => certificate.der.equals(der))) continue;
    const certificate = parseCertificate(der);
    if (certificate.kind === "certificate") distinct.push(certificate);
  }
  return distinct;
}

/** RFC 7672 §3.1.1: DANE-EE(3) is the server's own certificate or key, whatever its names and dates are. */
function matchEndEntity(attempt: MatchAttempt, records: readonly Tlsa[], names: "ignored" | "checked"): Trial | undefined {
  for (const record of records) {
    if (record.usage !== DANE_EE || !isAssociated(record, attempt.server)) continue;
    const trial: Trial = names === "checked" ? attempt.judgeName(record, 0) : { kind: "match", record, depth: 0 };
    if (trial.kind === "match") return trial;
  }
  return undefined;
}

/**
 * RFC 7672 §3.1.2: DANE-TA(2) names an issuer above the server's certificate. It may be among the certificates sent, in the DNS in full
 * (2 0 0, RFC 7671 §5.2.2), or a bare key that signed the topmost one (2 1 0, RFC 7671 §5.2.3).
 */
function matchTrustAnchor(attempt: MatchAttempt, considered: readonly Tlsa[], sent: readonly Certificate[]): Trial | undefined {
  const records = considered.filter((record) => record.usage === DANE_TA);
  if (records.length === 0) return undefined;
  const inDns = records.filter((record) => record.selector === CERT && record.matchingType === FULL).map(({ data }) => data);
  const pool = [...sent, ...distinctCertificates(inDns, [attempt.server, ...sent])];
  const bareKeys = records.filter((record) => record.selector === SPKI && record.matchingType === FULL);
  const search = new PathSearch();
  const reached = new Set<Tlsa>();
  for (const { at, path } of pathsUpwards([attempt.server], pool, search)) {
    const depth = path.length - 1;
    const top = path[depth] ?? attempt.server;
    // On the way up: the topmost certificate is the anchor. The server's own is no issuer, even where it signed itself.
    const named = at === "reached" && depth > 0 ? records.filter((record) => isAssociated(record, top)) : [];
    for (const record of named) {
      reached.add(record);
      const trial = attempt.judge({ record, path, anchor: "topmost", depth });
      if (trial.kind === "match") return trial;
    }
    // On the way back: RFC 7671 §5.2.3, only for keys that no certificate on a path has.
    const keys = at === "left" ? bareKeys.filter((record) => !reached.has(record)) : [];
    for (const record of keys.filter(({ data }) => isSignedBy(top, data, search))) {
      const trial = attempt.judge({ record, path, anchor: "beyond", depth });
      if (trial.kind === "match") return trial;
    }
  }
  if (search.exhausted)
    for (const record of records) attempt.fail(record, "search-limit", "too many certificates sign each other");
  return undefined;
}

function isSignedBy(certificate: Certificate, publicKeyInfo: Buffer, search: PathSearch): boolean {
  const key = parsePublicKey(publicKeyInfo);
  return key !== undefined && search.signedByKey(certificate, key);
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
