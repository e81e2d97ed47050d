import { type DomainName, isName, parseName } from "../dns/name.ts";
import type { PolicyInForce } from "../mtasts/policyInForce.ts";
import type { StsSessionFailure } from "../mtasts/stsFailure.ts";
import { asksForSts, type HostDemand, NO_STS, type StsDemand, stsDemand, withSts } from "../policy/stsPolicy.ts";
import type { HostTls, TlsDemand } from "../policy/tlsPolicy.ts";
import type { ServerIdentity } from "../x509/serverIdentity.ts";
import type { ChannelSecurity, ConnectionFailure } from "./connection.ts";
import type { Route } from "./route.ts";
import { identityOf, type VerificationContext } from "./serverVerification.ts";

/** What one session came to under the MTA-STS policy of its domain: for the log, and for TLSRPT (RFC 8461 §6, RFC 8460 §4.3). */
export type StsOutcome = { mode: "enforce" | "testing"; result: "success" | StsSessionFailure; reason?: string };

/** What MTA-STS says of a next-hop domain; never rejects. */
export type StsPolicyFor = (domain: DomainName) => Promise<PolicyInForce>;

/** What a host must reach with MTA-STS considered (RFC 8461 §4); the policy is only asked where it could change anything. */
export async function heldToSts(
  tls: HostTls,
  host: string,
  route: Exclude<Route, { kind: "unroutable" }>,
  demand: TlsDemand,
  policyFor: StsPolicyFor,
): Promise<{ tls: HostDemand; sts: StsDemand; found?: PolicyInForce }> {
  const name = parseName(host);
  // RFC 8461 §3.4: nothing associates policies with address literals.
  if (route.kind === "literal" || !isName(name) || !asksForSts(tls, demand)) return { tls, sts: NO_STS };
  const found = await policyFor(route.nextHop);
  const sts = stsDemand(found, name);
  return { tls: withSts(tls, demand, sts), sts, found };
}

/** A host that the policy keeps us from. */
export function refusedOutcome(sts: StsDemand): StsOutcome | undefined {
  return sts.kind === "enforce" && sts.allowed === "no" ? { mode: "enforce", ...NOT_ALLOWED } : undefined;
}

/** A host that no mx pattern allows. RFC 8460 has no word for it. */
const NOT_ALLOWED = { result: "validation-failure", reason: "the MX host is not listed in the policy" } as const;

/** How a session that did not come about counts; undefined for what is transient, or our own (RFC 8460 §4.3.4). */
export function failedOutcome(
  sts: StsDemand,
  failure: ConnectionFailure,
  identity: ServerIdentity | undefined,
): StsOutcome | undefined {
  if (sts.kind === "none") return undefined;
  const mode = sts.kind;
  if (sts.allowed === "no") return { mode, ...NOT_ALLOWED };
  const { stage, text } = failure;
  switch (stage) {
    case "starttls-missing":
    case "starttls-refused":
      return { mode, result: "starttls-not-supported" };
    case "handshake":
      return { mode, ...HANDSHAKE_FAILED, reason: text };
    case "verify":
      // Without an identity it was TLSA that did not match: no failure of this policy.
      return identity === undefined ? undefined : { mode, ...identityResult(identity) };
    case "connect":
    case "greeting":
    case "ehlo":
    case "auth":
      return undefined;
    default:
      return stage satisfies never;
  }
}

/** RFC 8460 §4.3.3: a negotiation failure without a word of its own. */
const HANDSHAKE_FAILED = { result: "validation-failure", reason: "the TLS handshake failed" } as const;

/** What a session that is open would have been under enforce; its server is judged as such a one. */
export function testingOutcome(sts: StsDemand, security: ChannelSecurity, context: VerificationContext): StsOutcome | undefined {
  if (sts.kind !== "testing") return undefined;
  if (sts.allowed === "no") return { mode: "testing", ...NOT_ALLOWED };
  if (security.kind === "clear") {
    // Offered, and not refused in words: TLS was tried on a connection before, and failed.
    const tried = security.starttlsOffered && security.starttlsReply === undefined;
    return tried ? { mode: "testing", ...HANDSHAKE_FAILED } : { mode: "testing", result: "starttls-not-supported" };
  }
  return { mode: "testing", ...identityResult(identityOf(sts.host, security.chain, context)) };
}

/** How a certificate counts (RFC 8460 §4.3.1). */
function identityResult(identity: ServerIdentity): { result: "success" | StsSessionFailure; reason?: string } {
  if (identity.kind === "valid") return { result: "success" };
  const reason = identity.because;
  switch (identity.failure) {
    case "name-mismatch":
      return { result: "certificate-host-mismatch", reason };
    case "expired":
      return { result: "certificate-expired", reason };
    case "no-certificate":
    case "search-limit":
      return { result: "validation-failure", reason };
    case "no-path":
    case "malformed":
    case "unknown-critical-extension":
    case "not-an-authority":
    case "path-length":
    case "key-usage":
    case "purpose":
    case "weak-key":
    case "weak-signature":
    case "not-yet-valid":
    case "name-constraints":
      return { result: "certificate-not-trusted", reason };
    default:
      return identity.failure satisfies never;
  }
}
