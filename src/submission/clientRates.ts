import { LRUCache } from "lru-cache";

/**
 * How many messages and recipients one client may bring in a minute: a bucket for each, which holds a minute's worth and fills steadily. The
 * client is the user where there is one, else the address. Bounded in memory: a client that was not seen for long has full buckets again.
 */
export type RateLimits = {
  /** Undefined: no limit. */
  messagesPerMinute?: number | undefined;
  recipientsPerMinute?: number | undefined;
};

type Bucket = { left: number; at: number };

const MAX_CLIENTS = 20_000;
const MINUTE_MILLISECONDS = 60_000;

/** Undefined: no limit. */
export function perMinute(what: "messages" | "recipients", limits: RateLimits): number | undefined {
  return what === "messages" ? limits.messagesPerMinute : limits.recipientsPerMinute;
}

export class ClientRates {
  readonly #buckets = new LRUCache<string, Bucket>({ max: MAX_CLIENTS });

  /** Takes one of `what` for the client, if there is one left at `now` (milliseconds, monotonic). */
  take(what: "messages" | "recipients", client: string, limits: RateLimits, now: number): "taken" | "exceeded" {
    const most = perMinute(what, limits);
    if (most === undefined) return "taken";
    const key = `${what} ${client}`;
    const bucket = this.#buckets.get(key) ?? { left: most, at: now };
    const left = Math.min(most, bucket.left + ((now - bucket.at) * most) / MINUTE_MILLISECONDS);
    const taken = left >= 1;
    this.#buckets.set(key, { left: taken ? left - 1 : left, at: now });
    return taken ? "taken" : "exceeded";
  }
}
