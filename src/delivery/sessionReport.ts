import { type DomainName, displayName, isName, parseName } from "../dns/name.ts";
import type { ReasonChain } from "../dnssec/securityStatus.ts";
import { isExempt } from "../policy/tlsPolicy.ts";
import { certificateFailure, mxFailure, refusalFailure, shortReason, stageFailure, unusableRecords } from "../tlsrpt/failure.ts";
import {
  type AppliedPolicy,
  danePolicyApplied,
  type Failure,
  type SessionEnds,
  type SessionResult,
  stsPolicyApplied,
} from "../tlsrpt/result.ts";
import type { Attempt } from "./context.ts";
import type { HostPolicies } from "./hostPolicies.ts";
import type { HostConnection, HostSession } from "./hostSession.ts";
import { deliverySight } from "./hostSight.ts";
import type { Trace } from "./ledger.ts";
import type { SmtpSession } from "./smtpSession.ts";

/**
 * What sessions count as in TLS reports (RFC 8460): each once, when it is new, under every policy that it was held to: the host's DANE
 * policy, the domain's MTA-STS policy, or none. Never a session for a report itself (§3), nor one whose policies nobody looked up.
 */
type Counted = "success" | Failure;

/** Whose mail a session has carried. */
const carried = new WeakMap<SmtpSession, Set<DomainName | undefined>>();

/** RFC 8460 §4.2 counts sessions, not messages. One that several domains share is one of each: their heartbeat (§4.2.1). */
function isCounted(session: SmtpSession, domain: DomainName | undefined): boolean {
  const domains = carried.get(session) ?? new Set();
  carried.set(session, domains);
  if (domains.has(domain)) return true;
  domains.add(domain);
  return false;
}

/** A session that came about, or did not. */
export function reportSession(opened: HostSession, connection: HostConnection, the: Attempt): void {
  const { policies, host, address } = connection;
  const { tlsFailure, trace } = opened;
  // A second connection in clear text tells how the first one failed.
  if (opened.kind === "open" && isCounted(opened.session, policies.nextHop) && tlsFailure === undefined) return;
  const sight = opened.kind === "open" && opened.reused === "yes" ? undefined : deliverySight(opened, connection);
  if (sight !== undefined) the.context.onSight?.(sight);
  const failure = tlsFailure ?? (opened.kind === "failed" ? opened.failure : undefined);
  const ends = { host, address, ...(failure?.ends ?? (opened.kind === "open" ? opened.session.ends : undefined)) };
  const counted = tlsFailure === undefined ? countedOf(opened, policies) : ofFailure(tlsFailure);
  report(policies, { counted, sts: stsCounted(trace), host, ends }, the);
}

/** A host that its policy keeps us from. */
export function reportRefusal(policies: HostPolicies, trace: Trace, the: Attempt): void {
  const host = trace.host ?? "";
  const counted = refusalFailure(policies.dane, the.demand.level === "dane-only" ? "yes" : "no");
  report(policies, { counted, sts: stsCounted(trace), host, ends: { host } }, the);
}

/** MX or address records that cannot be believed: which policies there are nobody can know. */
export function reportLookup(
  { domain, host, reasons }: { domain: DomainName | undefined; host?: string; reasons: ReasonChain },
  the: Attempt,
): void {
  const failure = mxFailure(reasons);
  if (domain === undefined || failure === undefined || isExempt(the.demand)) return;
  const policy = { type: "no-policy-found", domain: displayName(domain) } as const;
  tell({ domain: displayName(domain), policy, outcome: outcomeOf(failure, host === undefined ? {} : { host }) }, the);
}

type Facts = { counted: Counted | undefined; sts: Counted | undefined; host: string; ends: SessionEnds };

function report({ dane, sts, nextHop }: HostPolicies, { counted, sts: stsResult, host, ends }: Facts, the: Attempt): void {
  const name = parseName(host);
  if (nextHop === undefined || !isName(name)) return;
  const domain = displayName(nextHop);
  const applied = danePolicyApplied(dane, name, nextHop);
  const one = (policy: AppliedPolicy, result: Counted): void => tell({ domain, policy, outcome: outcomeOf(result, ends) }, the);
  if (stsResult !== undefined && sts?.kind === "policy") one(stsPolicyApplied(sts.domain, sts.policy), stsResult);
  if (applied === undefined) return;
  if (applied.type === "tlsa") {
    if (counted !== undefined) one(applied, counted);
    return;
  }
  // RFC 8460 §4: "no-policy-found" is for who has neither; whose MTA-STS policy could not be had has one (§4.3.2.2).
  if (sts?.kind === "policy" && sts.policy.mode !== "none") return;
  if (sts?.kind === "none" && sts.because === "failed") {
    if (counted !== undefined)
      one(stsPolicyApplied(nextHop, undefined), { resultType: sts.failure, reason: shortReason(sts.reason) });
  } else if (counted !== undefined) one(applied, counted);
}

/** What a session came to, leaving MTA-STS aside; undefined for what is transient (RFC 8460 §4.3.4). */
function countedOf(opened: HostSession, { dane }: HostPolicies): Counted | undefined {
  if (opened.kind === "failed") {
    if (opened.failure.stage !== "verify") return stageFailure(opened.failure.stage, opened.failure.text);
    // Where TLSA matched it is MTA-STS that was not met.
    return opened.match?.kind === "mismatch" ? certificateFailure(opened.match.tried, opened.failure.chain ?? []) : "success";
  }
  if (dane.kind === "encryptWithoutAuthentication") return unusableRecords(dane) ?? "success";
  return opened.session.security.kind === "tls" ? "success" : { resultType: "starttls-not-supported" };
}

function ofFailure({ stage, text }: NonNullable<HostSession["tlsFailure"]>): Counted | undefined {
  return stage === "verify" ? undefined : stageFailure(stage, text);
}

function stsCounted({ sts }: Trace): Counted | undefined {
  if (sts === undefined) return undefined;
  if (sts.result === "success") return "success";
  return { resultType: sts.result, ...(sts.reason === undefined ? {} : { reason: shortReason(sts.reason) }) };
}

function outcomeOf(counted: Counted, ends: SessionEnds): SessionResult["outcome"] {
  return counted === "success" ? { kind: "success" } : { kind: "failure", failure: counted, ends };
}

function tell(result: SessionResult, { work, context }: Attempt): void {
  // RFC 8460 §3: sessions for a report SHOULD NOT be in the next one.
  if (work.envelope.purpose !== "tls-report") context.onSession?.(result);
}
