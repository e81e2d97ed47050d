import type { Certificate } from "../x509/certificate.ts";
import { PathSearch, pathsUpwards } from "../x509/certificationPath.ts";
import { isAssociated } from "./association.ts";
import type { MatchAttempt, Trial } from "./matchAttempt.ts";
import { PKIX_EE, PKIX_TA, type Tlsa } from "./tlsa.ts";

/**
 * PKIX-TA(0) and PKIX-EE(1) (RFC 6698 §2.1.1): a path to a CA that is trusted anyway, and a record that names a certificate on it. In
 * SMTP they are unusable (RFC 7672 §3.1.3); diagnosis asks what they would have meant.
 */
export function matchPkix(
  attempt: MatchAttempt,
  considered: readonly Tlsa[],
  sent: readonly Certificate[],
  anchors: readonly Certificate[],
): Trial | undefined {
  const records = considered.filter((record) => record.usage === PKIX_TA || record.usage === PKIX_EE);
  if (records.length === 0) return undefined;
  const pool = [...sent.filter((certificate) => !anchors.some((anchor) => anchor.der.equals(certificate.der))), ...anchors];
  const search = new PathSearch();
  for (const { at, path } of pathsUpwards([attempt.server], pool, search)) {
    const top = path[path.length - 1];
    if (at !== "reached" || top === undefined || !anchors.includes(top)) continue;
    for (const record of records) {
      const depth = depthOf(record, path);
      if (depth === undefined) continue;
      const trial = attempt.judge({ record, path, anchor: "topmost", depth });
      if (trial.kind === "match") return trial;
    }
  }
  for (const record of records) {
    const depth = depthOf(record, [attempt.server]);
    if (depth !== undefined) attempt.fail(record, "no-path", "the server's certificate has no path to a trusted CA", depth);
  }
  return undefined;
}

/** Usage 1 names the server's certificate, usage 0 one above it. */
function depthOf(record: Tlsa, path: readonly Certificate[]): number | undefined {
  const depth = path.findIndex(
    (certificate, at) => (at === 0) === (record.usage === PKIX_EE) && isAssociated(record, certificate),
  );
  return depth < 0 ? undefined : depth;
}
