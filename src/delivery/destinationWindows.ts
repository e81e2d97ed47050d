import type { Clock } from "../clock.ts";
import type { DestinationFeedback } from "./destinationFeedback.ts";

/**
 * How many works of each destination may run at a time, learned from how its attempts end.
 *
 *   unproven --answered--> working      window: begins small, one more with each answer, half with each failure
 *      |                      |
 *      +----- unavailable ----+--> failing --several in a row--> resting --time--> failing, with one probe at a time
 */
export type Standing = "working" | "unproven" | "failing";

export type WindowOptions = {
  clock: Clock;
  /** Most works of one destination at a time, as configured now. */
  maximum: () => number;
  /** Destinations that are remembered; the one that was heard of least recently is forgotten. */
  maxRemembered?: number;
};

type Memory = { window: number; failures: number; restUntil: number; rests: number };

/** At once to a destination of which nothing is known. */
const INITIAL_WINDOW = 5;
/** Failures in a row, nothing answered between them, before a destination is left alone for a while. */
const FAILURES_BEFORE_REST = 5;
const FIRST_REST_MILLISECONDS = 30_000;
const LONGEST_REST_MILLISECONDS = 600_000;
const DEFAULT_REMEMBERED = 20_000;

export class DestinationWindows {
  readonly #options: Required<WindowOptions>;
  /** In the order in which they were heard of last. */
  readonly #memories = new Map<string, Memory>();
  readonly #resting = new Set<string>();

  constructor(options: WindowOptions) {
    this.#options = { maxRemembered: DEFAULT_REMEMBERED, ...options };
  }

  /** Works of `destination` that may run at a time now; 0 while it rests. */
  window(destination: string): number {
    const memory = this.#memories.get(destination);
    if (memory === undefined) return this.#initial();
    return memory.restUntil > this.#options.clock.monotonic() ? 0 : Math.min(memory.window, this.#options.maximum());
  }

  standing(destination: string): Standing {
    const memory = this.#memories.get(destination);
    if (memory === undefined) return "unproven";
    return memory.failures === 0 ? "working" : "failing";
  }

  report(destination: string, feedback: DestinationFeedback): void {
    if (feedback === "nothing") return;
    const before = this.#memories.get(destination) ?? { window: this.#initial(), failures: 0, restUntil: 0, rests: 0 };
    this.#memories.delete(destination);
    this.#memories.set(destination, feedback === "answered" ? this.#grown(before) : this.#shrunk(before));
    if (feedback === "answered") this.#resting.delete(destination);
    else if (this.window(destination) === 0) this.#resting.add(destination);
    this.#forgetOldest();
  }

  /** Those that rest may be probed now; which they were. */
  endRests(): readonly string[] {
    const ended = [...this.#resting];
    for (const destination of ended) {
      const memory = this.#memories.get(destination);
      if (memory !== undefined) this.#memories.set(destination, { ...memory, restUntil: 0 });
    }
    this.#resting.clear();
    return ended;
  }

  /** When the first of those that rest may be probed, on the monotonic clock; undefined: none rests. */
  nextRestEnd(): number | undefined {
    const now = this.#options.clock.monotonic();
    let earliest: number | undefined;
    for (const destination of this.#resting) {
      const until = this.#memories.get(destination)?.restUntil ?? 0;
      if (until <= now) this.#resting.delete(destination);
      else if (earliest === undefined || until < earliest) earliest = until;
    }
    return earliest;
  }

  #initial(): number {
    return Math.min(INITIAL_WINDOW, this.#options.maximum());
  }

  #grown({ window }: Memory): Memory {
    return { window: Math.min(window + 1, this.#options.maximum()), failures: 0, restUntil: 0, rests: 0 };
  }

  #shrunk(before: Memory): Memory {
    const now = this.#options.clock.monotonic();
    const memory = { ...before, window: Math.max(1, Math.floor(before.window / 2)), failures: before.failures + 1 };
    // What was under way when the rest began is no news.
    if (memory.failures < FAILURES_BEFORE_REST || before.restUntil > now) return memory;
    const rest = Math.min(FIRST_REST_MILLISECONDS * 2 ** before.rests, LONGEST_REST_MILLISECONDS);
    return { ...memory, window: 1, restUntil: now + rest, rests: before.rests + 1 };
  }

  #forgetOldest(): void {
    if (this.#memories.size <= this.#options.maxRemembered) return;
    const [oldest] = this.#memories.keys();
    if (oldest === undefined) return;
    this.#memories.delete(oldest);
    this.#resting.delete(oldest);
  }
}
