import type { Clock } from "../clock.ts";
import { bestMatch } from "./route.ts";

/** One entry of `delivery.rates`: a domain, `.domain` for its subdomains, or `*`. */
export type RateSetting = { domain: string; messagesPerMinute: number };

export type RateOptions = { clock: Clock; rates: () => readonly RateSetting[]; maxRemembered?: number };

/** `tokens` at the time `at`. */
type Bucket = { tokens: number; at: number };

/** What may begin at once: a second's worth, and at least one message; also after a restart, which thus breaks no rate. */
const BURST_SECONDS = 1;
const MINUTE = 60_000;
const DEFAULT_REMEMBERED = 20_000;

/** How many messages may begin for a destination now, where the operator has set a rate for it: a token bucket each. */
export class DestinationRates {
  readonly #options: Required<RateOptions>;
  /** Those that are not full; in the order in which they were taken from last. */
  readonly #buckets = new Map<string, Bucket>();
  /** Found empty, and not looked at since. */
  readonly #empty = new Set<string>();

  constructor(options: RateOptions) {
    this.#options = { maxRemembered: DEFAULT_REMEMBERED, ...options };
  }

  /** Messages that may begin now; infinitely many without a rate. */
  room(destination: string): number {
    const perMinute = this.#perMinute(destination);
    if (perMinute === undefined) return Number.POSITIVE_INFINITY;
    const whole = Math.floor(this.#tokens(destination, perMinute));
    if (whole === 0) this.#empty.add(destination);
    return whole;
  }

  /** One message begins. */
  take(destination: string): void {
    const perMinute = this.#perMinute(destination);
    if (perMinute === undefined) return;
    const tokens = this.#tokens(destination, perMinute) - 1;
    this.#buckets.delete(destination);
    this.#buckets.set(destination, { tokens, at: this.#options.clock.monotonic() });
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > this.#options.maxRemembered && oldest !== undefined) this.#buckets.delete(oldest);
  }

  /** Destinations that were empty and have a message again; each is named once. */
  refilled(): readonly string[] {
    const found = [...this.#empty].filter((destination) => this.#wait(destination) <= 0);
    for (const destination of found) this.#empty.delete(destination);
    return found;
  }

  /** Milliseconds until the first that is empty has a message again; undefined: none is empty. */
  untilRefill(): number | undefined {
    let least: number | undefined;
    for (const destination of this.#empty) {
      const wait = this.#wait(destination);
      if (least === undefined || wait < least) least = wait;
    }
    return least;
  }

  #perMinute(destination: string): number | undefined {
    const rates = this.#options.rates();
    return rates.length === 0 ? undefined : bestMatch(destination, rates)?.messagesPerMinute;
  }

  #wait(destination: string): number {
    const perMinute = this.#perMinute(destination);
    return perMinute === undefined ? 0 : Math.ceil(((1 - this.#tokens(destination, perMinute)) * MINUTE) / perMinute);
  }

  #tokens(destination: string, perMinute: number): number {
    const capacity = Math.max(1, (perMinute * BURST_SECONDS) / 60);
    const bucket = this.#buckets.get(destination);
    if (bucket === undefined) return capacity;
    const tokens = bucket.tokens + ((this.#options.clock.monotonic() - bucket.at) * perMinute) / MINUTE;
    return Math.min(tokens, capacity);
  }
}
