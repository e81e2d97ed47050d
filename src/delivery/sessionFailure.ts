import type { MatchFailure, TriedRecord } from "../dane/matchVerdict.ts";
import { DANE_TA } from "../dane/tlsa.ts";
import { displayName } from "../dns/name.ts";
import type { UsableDemand } from "../policy/stsPolicy.ts";
import type { ServerIdentity } from "../x509/serverIdentity.ts";
import type { ConnectionFailure } from "./connection.ts";

type PkixDemand = Extract<UsableDemand, { kind: "authenticateByPkix" }>;
type FailedConnection = { host: string; address: string; tls: UsableDemand };

/** Whether nothing went out to any address, for want of something on this machine. */
export function isOurs({ dialled = [] }: ConnectionFailure): boolean {
  return dialled.length > 0 && dialled.every(({ blame }) => blame === "here");
}

/**
 * The words for a session that did not come about: one sentence for log, queue and DSN that names the host, says what was demanded by
 * whom, what was there instead, and who has to do what.
 */
export function failureText({ host, address, tls }: FailedConnection, { stage, text }: ConnectionFailure): string {
  switch (stage) {
    case "connect":
      return `${host} was not reached: ${text}`;
    case "greeting":
    case "ehlo":
    case "auth":
      return `${host} (${address}): ${text}`;
    case "starttls-missing":
      return `${host} offers no STARTTLS, ${demandText(tls)}: its operator has to enable it, unless something on the way hides it`;
    case "starttls-refused":
      return `${host} did not begin TLS, ${demandText(tls)} (${text}): its operator has to repair it`;
    case "handshake":
      return `${host} offers STARTTLS, ${demandText(tls)}, but ${text.replace(/^TLS/, "the TLS")}: its operator has to repair it`;
    case "verify":
      return text;
    default:
      return stage satisfies never;
  }
}

/** Who demands TLS. */
function demandText(tls: UsableDemand): string {
  if (tls.kind === "authenticateByPkix") return `which ${pkixDemandText(tls)}`;
  if (tls.kind === "authenticate" || (tls.kind === "encrypt" && tls.success === "unusable"))
    return "which its TLSA records demand";
  if (tls.kind === "encrypt" && tls.success === "insecure") return "which delivery.insecureMx demands";
  if (tls.kind === "encrypt") return "which delivery.tlsPolicies demands";
  return "which was tried";
}

/** The first of these that a record failed by says what to mend; the others only say that some other record is not the one. */
const REMEDIES: readonly (readonly [readonly MatchFailure[], string])[] = [
  [["expired"], "renew the certificate"],
  [["not-yet-valid"], "present a certificate that is valid already"],
  [["name-mismatch", "name-constraints"], "present a certificate for one of these names"],
  [["weak-key", "weak-signature"], "replace the certificate by a stronger one"],
  [
    ["malformed", "unknown-critical-extension", "not-an-authority", "path-length", "key-usage", "purpose"],
    "replace the certificates of its chain by sound ones",
  ],
];

/**
 * A certificate that no record authenticates: what each record found instead, and what the operator of `host` has to do. `sent`: how many
 * certificates the server sent.
 */
export function refusalText(host: string, tried: readonly TriedRecord[], sent: number): string {
  const toDo = `its operator has to ${remedyFor(tried, sent)}`;
  const [reason = "there is none", ...more] = new Set(tried.map(({ because }) => because));
  if (more.length === 0) return `${host} publishes TLSA ${reason.replace(": ", ", but ")}: ${toDo}`;
  return `${host} presents a certificate that none of its TLSA records authenticates (${[reason, ...more].join("; ")}): ${toDo}`;
}

function remedyFor(tried: readonly TriedRecord[], sent: number): string {
  const remedy = REMEDIES.find(([failures]) => tried.some(({ failure }) => failures.includes(failure)))?.[1];
  if (remedy !== undefined) return remedy;
  if (sent === 1 && tried.every(({ record }) => record.usage === DANE_TA))
    return "send its issuer's certificate with its own (RFC 7672 §3.1.2)";
  return "publish a TLSA record for the certificate in use, or present the one that is published";
}

/** Who demands what PKIX authenticates. */
function pkixDemandText(tls: PkixDemand): string {
  if (tls.wanted === "sts") return `the MTA-STS policy of ${displayName(tls.domain)} demands`;
  switch (tls.by) {
    case "requiretls":
      return "REQUIRETLS demands (RFC 8689)";
    case "credentials":
      return "the credentials for it in delivery.routes demand";
    default:
      return tls.by satisfies never;
  }
}

/** A certificate that PKIX does not authenticate, where that is demanded (RFC 8461 §4.2, RFC 8689 §4.2.1). */
export function identityRefusalText(
  host: string,
  tls: PkixDemand,
  identity: Extract<ServerIdentity, { kind: "invalid" }>,
): string {
  const demand = `a certificate that is valid for it is what ${pkixDemandText(tls)}`;
  return `${host} is not authenticated: ${identity.because}, but ${demand}: its operator has to install one`;
}
