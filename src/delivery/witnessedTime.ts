import type { Clock } from "../clock.ts";

/**
 * How old mail is, by what this process has seen of time. The wall clock alone would give everything up at once when it is set forward, and a
 * message that is given up cannot be had back.
 *
 * Jump: the wall clock moved by more than the monotonic one did. A machine that was suspended looks the same: what slept through its lifetime
 * has not been tried, and gets the rest of it.
 */
type Jump = { before: number; by: number };

/** Less is a correction of a clock that was nearly right. */
const JUMP_MILLISECONDS = 60_000;
/** A clock that is set wrongly and rightly all day: of the oldest jumps nothing is known any more. */
const MAX_JUMPS = 100;
/** How long the clock that a process found at its start has to be put right before mail of earlier runs is given up. */
const SETTLING_MILLISECONDS = 3_600_000;

export type LifeSpan = {
  /** When the message was accepted, by today's clock. */
  since: number;
  /** Whether it may be given up for its age alone. */
  mayExpire: "yes" | "not-yet";
};

export class WitnessedTime {
  readonly #clock: Clock;
  readonly #began: { now: number; monotonic: number };
  readonly #jumps: Jump[] = [];
  #last: { now: number; monotonic: number };

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#began = { now: clock.now(), monotonic: clock.monotonic() };
    this.#last = this.#began;
  }

  /** The wall clock now. Asked often, it knows better when a jump was. */
  now(): number {
    const now = this.#clock.now();
    const monotonic = this.#clock.monotonic();
    const expected = this.#last.now + (monotonic - this.#last.monotonic);
    const by = now - expected;
    this.#last = { now, monotonic };
    if (Math.abs(by) < JUMP_MILLISECONDS) return now;
    this.#jumps.push({ before: expected, by });
    if (this.#jumps.length > MAX_JUMPS) this.#jumps.shift();
    return now;
  }

  /** `acceptedAt`: milliseconds since the epoch, by the clock as it was then. */
  spanOf(acceptedAt: number): LifeSpan {
    this.now();
    let since = acceptedAt;
    for (const { before, by } of this.#jumps) if (since <= before) since += by;
    // Only what makes a message younger counts: after a jump back nobody can tell what was accepted before it from what came since. How long
    // that may keep it is bounded by its attempts (retrySchedule.ts).
    return { since: Math.max(since, acceptedAt), mayExpire: this.#mayExpire(acceptedAt) };
  }

  /** What this process took in it has seen grow old; the rest may be judged by a clock that was wrong when the process began. */
  #mayExpire(acceptedAt: number): LifeSpan["mayExpire"] {
    const ran = this.#clock.monotonic() - this.#began.monotonic;
    return acceptedAt >= this.#began.now || ran >= SETTLING_MILLISECONDS ? "yes" : "not-yet";
  }
}
