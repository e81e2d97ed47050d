import { DANE_REFUSALS, type DaneRefusal } from "../metrics/labels.ts";
import type { DaneOutcome, Outcome } from "../policy/disposition.ts";

/**
 * How much mail waits for one destination that DANE or DNSSEC keeps back: the most there is, by what the last attempt came to. A destination that
 * fails is tried seldom (delivery/destinationWindows.ts), however much mail waits for it, so counts of attempts do not tell a busy one.
 */
export type LargestWaiting = Readonly<Record<DaneRefusal, number>>;
export type Waiting = { destination: string; messages: number };

/** Destinations that are remembered; the one that was heard of least recently is forgotten. */
const MAX_REMEMBERED = 20_000;
const NONE: LargestWaiting = {
  mismatch: 0,
  "starttls-missing": 0,
  "handshake-failed": 0,
  bogus: 0,
  "lookup-failed": 0,
};

export class RefusedDestinations {
  /** By destination, in the order in which they were heard of last. */
  readonly #refused = new Map<string, DaneRefusal>();
  #counted: LargestWaiting | undefined;
  #counting = false;

  /** What one attempt for a recipient at `destination` came to. */
  attempted(destination: string, outcome: Outcome["kind"], dane: DaneOutcome): void {
    this.#refused.delete(destination);
    const refusal = DANE_REFUSALS.find((known) => known === dane);
    if (outcome !== "deferred" || refusal === undefined) return;
    this.#refused.set(destination, refusal);
    const [oldest] = this.#refused.keys();
    if (this.#refused.size > MAX_REMEMBERED && oldest !== undefined) this.#refused.delete(oldest);
  }

  /** As it was counted last; begins another count, since a scrape must not wait for one. undefined: nothing was counted yet, or it failed. */
  largest(count: () => Promise<readonly Waiting[]>): LargestWaiting | undefined {
    if (this.#refused.size === 0) return NONE;
    if (!this.#counting) void this.#count(count);
    return this.#counted;
  }

  async #count(count: () => Promise<readonly Waiting[]>): Promise<void> {
    this.#counting = true;
    try {
      this.#counted = this.#largestOf(await count());
    } catch {
      // What is wrong with the queue is said by /readyz in words; here it is the absence of a value.
      this.#counted = undefined;
    } finally {
      this.#counting = false;
    }
  }

  #largestOf(waiting: readonly Waiting[]): LargestWaiting {
    const largest = { ...NONE };
    for (const { destination, messages } of waiting) {
      const refusal = this.#refused.get(destination);
      if (refusal !== undefined) largest[refusal] = Math.max(largest[refusal], messages);
    }
    return largest;
  }
}
