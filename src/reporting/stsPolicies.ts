import { LRUCache } from "lru-cache";
import type { Clock } from "../clock.ts";
import { type DomainName, isName, prefixed } from "../dns/name.ts";
import type { StsMode } from "../mtasts/policy.ts";
import { type CachedPolicy, isInForce, policyStep, type SeenRecord } from "../mtasts/policyCaching.ts";
import type { PolicyInForce } from "../mtasts/policyInForce.ts";
import type { StsPolicyFailure } from "../mtasts/stsFailure.ts";
import { readStsRecords } from "../mtasts/stsRecord.ts";
import type { Resolver } from "../resolver/resolver.ts";
import type { FetchedPolicy, PolicyFetcher } from "./mtaStsFetch.ts";
import type { PolicyCache } from "./policyCache.ts";

/**
 * MTA-STS policies for deliveries (RFC 8461 §3, §5, §5.1): the TXT record at each delivery (the resolver remembers it for its TTL), the policy from
 * the cache or by HTTPS, and a fresh copy of what is in use long before it expires.
 *
 *   policyFor:  cache + TXT --policyStep--> use (a refresh goes on beside) | fetch, then use the new one or the cached one | none
 *   fetch:      one flight a domain; a failed one is not repeated for five minutes
 */
export type StsPoliciesOptions = {
  resolver: Resolver;
  cache: PolicyCache;
  fetch: PolicyFetcher;
  clock: Clock;
  onEvent: (event: StsEvent) => void;
};

export type StsEvent =
  /** A policy that was not known, or is another one than before. */
  | { kind: "policy"; domain: DomainName; id: string; mode: StsMode; maxAgeSeconds: number }
  /** There should be a policy, and it could not be fetched. `holds`: mode of the cached policy that stays in force. */
  | { kind: "failed"; domain: DomainName; failure: StsPolicyFailure; reason: string; holds: StsMode | "nothing" }
  | { kind: "trouble"; error: unknown };

/** RFC 8461 §3.3: five minutes or longer before a failed fetch is repeated. */
const RETRY_MILLISECONDS = 300_000;
const MAX_REMEMBERED_FAILURES = 10_000;
/** HTTPS fetches at a time; further ones wait. */
const MAX_FETCHES = 20;
const SWEEP_MILLISECONDS = 600_000;
/** Policies refreshed in one sweep. */
const MAX_REFRESHES = 500;

type Failure = Extract<FetchedPolicy, { kind: "failed" }>;

export class StsPolicies {
  readonly #options: StsPoliciesOptions;
  readonly #flights = new Map<DomainName, Promise<FetchedPolicy>>();
  readonly #failures = new LRUCache<DomainName, { failure: Failure; retryAt: number }>({ max: MAX_REMEMBERED_FAILURES });
  readonly #stopping = new AbortController();
  readonly #waiting: (() => void)[] = [];
  #fetching = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: StsPoliciesOptions) {
    this.#options = options;
  }

  /** Begins to refresh what is in use. */
  start(): void {
    this.#timer = setInterval(() => this.sweep(), SWEEP_MILLISECONDS);
    this.#timer.unref();
    this.sweep();
  }

  /** Ends what is under way. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopping.abort();
    await Promise.allSettled(this.#flights.values());
  }

  /** What holds for mail to `domain` now. Waits for a fetch only where a policy is published that is not in the cache. Never rejects. */
  async policyFor(domain: DomainName): Promise<PolicyInForce> {
    const { cache, clock } = this.#options;
    const cached = cache.get(domain);
    const seen = await this.#seenRecord(domain);
    const step = policyStep(cached, seen, clock.now());
    switch (step.kind) {
      case "use":
        if (step.refresh === "now") this.#refresh(step.cached, seen);
        return inForce(step.cached);
      case "fetch": {
        const fetched = await this.#fetchOnce(domain, step.id);
        if (fetched.kind === "policy") return { kind: "policy", domain, id: step.id, policy: fetched.policy };
        // RFC 8461 §3.3: what is cached MUST be applied; without, as though the domain had no policy.
        if (step.fallback !== undefined) return inForce(step.fallback);
        return { kind: "none", because: "failed", failure: fetched.failure, reason: fetched.reason };
      }
      case "none":
        return { kind: "none", because: seen.kind === "unknown" ? "lookup-failed" : "no-record" };
      default:
        return step satisfies never;
    }
  }

  /** One round of background refreshes; each goes on by itself. */
  sweep(): void {
    const { cache } = this.#options;
    cache.sweep();
    for (const cached of cache.refreshable(MAX_REFRESHES)) this.#refresh(cached, { kind: "unknown" });
  }

  /** RFC 8461 §10.2: regardless of the TXT record, so that blocking it for a while gains nothing. */
  #refresh(cached: CachedPolicy, seen: SeenRecord): void {
    void this.#fetchOnce(cached.domain, seen.kind === "record" ? seen.id : cached.id);
  }

  /** RFC 8461 §3.1; an alias leads to another domain's record, which is as good. */
  async #seenRecord(domain: DomainName): Promise<SeenRecord> {
    const owner = prefixed(["_mta-sts"], domain);
    if (!isName(owner)) return { kind: "none" };
    const found = await this.#options.resolver.resolve(owner, "TXT");
    if (found.status === "bogus" || found.status === "indeterminate") return { kind: "unknown" };
    const record = readStsRecords(found.answer === "records" ? found.records : []);
    return record.kind === "record" ? record : { kind: "none" };
  }

  /** One flight a domain, and none for a while after one that failed. Never rejects. */
  #fetchOnce(domain: DomainName, id: string): Promise<FetchedPolicy> {
    const underWay = this.#flights.get(domain);
    if (underWay !== undefined) return underWay;
    const before = this.#failures.get(domain);
    if (before !== undefined && this.#options.clock.monotonic() < before.retryAt) return Promise.resolve(before.failure);
    const flight = this.#fetch(domain, id).finally(() => this.#flights.delete(domain));
    this.#flights.set(domain, flight);
    return flight;
  }

  async #fetch(domain: DomainName, id: string): Promise<FetchedPolicy> {
    await this.#slot();
    let fetched: FetchedPolicy;
    try {
      fetched = await this.#options.fetch(domain, this.#stopping.signal);
    } catch (error) {
      this.#options.onEvent({ kind: "trouble", error });
      fetched = { kind: "failed", failure: "sts-policy-fetch-error", reason: "the fetch broke off inside dane-relay" };
    } finally {
      this.#fetching -= 1;
      this.#waiting.shift()?.();
    }
    if (!this.#stopping.signal.aborted) this.#learn(domain, id, fetched);
    return fetched;
  }

  #learn(domain: DomainName, id: string, fetched: FetchedPolicy): void {
    const { cache, clock, onEvent } = this.#options;
    const known = cache.peek(domain);
    if (fetched.kind === "policy") {
      this.#failures.delete(domain);
      cache.put({ domain, id, policy: fetched.policy, fetchedAt: clock.now() });
      const { mode, maxAgeSeconds } = fetched.policy;
      if (known?.id !== id || known.policy.mode !== mode) onEvent({ kind: "policy", domain, id, mode, maxAgeSeconds });
      return;
    }
    this.#failures.set(domain, { failure: fetched, retryAt: clock.monotonic() + RETRY_MILLISECONDS });
    const holds = known !== undefined && isInForce(known, clock.now()) ? known.policy.mode : "nothing";
    onEvent({ kind: "failed", domain, failure: fetched.failure, reason: fetched.reason, holds });
  }

  /** Waits until there are fewer fetches than the limit. */
  async #slot(): Promise<void> {
    while (this.#fetching >= MAX_FETCHES) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#fetching += 1;
  }
}

function inForce({ domain, id, policy }: CachedPolicy): PolicyInForce {
  return { kind: "policy", domain, id, policy };
}
