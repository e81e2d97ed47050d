import type { DomainName } from "../dns/name.ts";
import type { StsPolicy } from "./policy.ts";

/**
 * When a cached policy holds, and when a new one is asked for (RFC 8461 §3.3, §5.1, §10.2). Only a policy that was fetched and validated
 * replaces a cached one: no look-up, failure or silence ever does.
 */
export type CachedPolicy = {
  domain: DomainName;
  /** Of the TXT record at the time of the fetch. */
  id: string;
  policy: StsPolicy;
  /** Milliseconds since the epoch. */
  fetchedAt: number;
};

/** What the TXT look-up said just now. `unknown`: it failed, or was bogus. */
export type SeenRecord = { kind: "record"; id: string } | { kind: "none" } | { kind: "unknown" };

export type PolicyStep =
  /** The cached policy holds; `refresh`: a new one is to be fetched beside the delivery, which does not wait. */
  | { kind: "use"; cached: CachedPolicy; refresh: "now" | "not-yet" }
  /** A policy is published that is not in the cache: fetch it; until that succeeds `fallback` holds. */
  | { kind: "fetch"; id: string; fallback: CachedPolicy | undefined }
  /** As though the domain had not implemented MTA-STS. */
  | { kind: "none" };

const DAY_SECONDS = 86_400;

/** RFC 8461 §3.2, §5.1: a policy holds as long as the time since its fetch has not exceeded its max_age. A clock that was set back ends no policy. */
export function isInForce({ policy, fetchedAt }: CachedPolicy, now: number): boolean {
  return now - fetchedAt <= policy.maxAgeSeconds * 1000;
}

/** §3.3, §10.2: once a day, twice in the lifetime of a shorter one; and where the clock says that it was fetched in the future. */
export function isRefreshDue({ policy, fetchedAt }: CachedPolicy, now: number): boolean {
  const interval = Math.min(DAY_SECONDS, policy.maxAgeSeconds / 2) * 1000;
  return now < fetchedAt || now - fetchedAt >= interval;
}

/** What a delivery to the policy domain has to do. Total: every combination of cache and TXT record has an answer. */
export function policyStep(cached: CachedPolicy | undefined, seen: SeenRecord, now: number): PolicyStep {
  const valid = cached !== undefined && isInForce(cached, now) ? cached : undefined;
  // §3: the id alone tells a new policy; it has no order.
  if (seen.kind === "record" && seen.id !== valid?.id) return { kind: "fetch", id: seen.id, fallback: valid };
  // §3.3: no live policy can be discovered, but a valid one is cached: it MUST be applied.
  if (valid !== undefined) return { kind: "use", cached: valid, refresh: isRefreshDue(valid, now) ? "now" : "not-yet" };
  return { kind: "none" };
}
