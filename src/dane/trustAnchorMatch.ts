import type { KeyObject } from "node:crypto";
import { type Certificate, parsePublicKey } from "../x509/certificate.ts";
import { PathSearch, pathsUpwards } from "../x509/certificationPath.ts";
import { distinctCertificates } from "../x509/distinctCertificates.ts";
import { isStrongEnough, keyStrength, type SecurityLevel } from "../x509/securityLevel.ts";
import { AssociationIndex, isAssociated } from "./association.ts";
import type { MatchAttempt, Trial } from "./matchAttempt.ts";
import { CERT, DANE_TA, FULL, SPKI, type Tlsa } from "./tlsa.ts";

/** Anchors that the records hold in full (2 0 0) and that are tried; further ones are ignored. */
const MAX_ANCHORS_IN_DNS = 16;

type BareKey = { record: Tlsa; key: KeyObject };

/**
 * DANE-TA(2) (RFC 7672 §3.1.2): a record names an issuer above the server's certificate. That issuer may be among the certificates sent,
 * in the DNS in full (2 0 0, RFC 7671 §5.2.2), or a bare key that signed the topmost one (2 1 0, RFC 7671 §5.2.3).
 */
export function matchTrustAnchor(
  attempt: MatchAttempt,
  considered: readonly Tlsa[],
  sent: readonly Certificate[],
): Trial | undefined {
  const records = considered.filter((record) => record.usage === DANE_TA);
  if (records.length === 0) return undefined;
  const pool = [...sent, ...anchorsInDns(records, [attempt.server, ...sent])];
  const bareKeys = bareKeysOf(records, attempt);
  const index = new AssociationIndex(records);
  const search = new PathSearch();
  const reached = new Set<Tlsa>();
  for (const { at, path } of pathsUpwards([attempt.server], pool, search)) {
    const depth = path.length - 1;
    const top = path[depth] ?? attempt.server;
    // On the way up: the topmost certificate is the anchor. The server's own is no issuer, even where it signed itself.
    const named = at === "reached" && depth > 0 ? index.naming(top) : [];
    for (const record of named) {
      reached.add(record);
      const trial = attempt.judge({ record, path, anchor: "topmost", depth });
      if (trial.kind === "match") return trial;
    }
    // On the way back: RFC 7671 §5.2.3, only for keys that no certificate on a path has.
    const absent = at === "left" ? bareKeys.filter(({ record }) => !reached.has(record) && !isBarred(record, top, sent)) : [];
    for (const { record } of absent.filter(({ key }) => search.signedByKey(top, key))) {
      const trial = attempt.judge({ record, path, anchor: "beyond", depth });
      if (trial.kind === "match") return trial;
    }
  }
  if (search.exhausted)
    for (const record of records) attempt.fail(record, "search-limit", "too many certificates sign each other");
  return undefined;
}

/** Whether the issuer's certificate with the record's key was sent, and says that the key may not sign certificates (RFC 5280 §4.2.1.3). */
function isBarred(record: Tlsa, issued: Certificate, sent: readonly Certificate[]): boolean {
  return sent.some((certificate) => {
    if (!certificate.subject.equals(issued.issuer) || !isAssociated(record, certificate)) return false;
    return !("kind" in certificate.extensions) && certificate.extensions.keyUsage?.includes("keyCertSign") === false;
  });
}

function anchorsInDns(records: readonly Tlsa[], known: readonly Certificate[]): readonly Certificate[] {
  const inFull = records.filter((record) => record.selector === CERT && record.matchingType === FULL);
  return distinctCertificates(
    inFull.slice(0, MAX_ANCHORS_IN_DNS).map(({ data }) => data),
    known,
  );
}

function bareKeysOf(records: readonly Tlsa[], attempt: MatchAttempt): readonly BareKey[] {
  const level: SecurityLevel = attempt.securityLevel;
  return records.flatMap((record) => {
    if (record.selector !== SPKI || record.matchingType !== FULL) return [];
    const key = parsePublicKey(record.data);
    if (key !== undefined && isStrongEnough(keyStrength(key), level)) return [{ record, key }];
    attempt.fail(record, "weak-key", `its key is too weak for security level ${level}`);
    return [];
  });
}
