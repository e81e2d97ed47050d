import type { Clock } from "../../../src/clock.ts";

/** A clock that only `advance` moves. */
export class SteppedClock implements Clock {
  #milliseconds = 1_000_000;

  now(): number {
    return this.#milliseconds;
  }

  monotonic(): number {
    return this.#milliseconds;
  }

  advance(seconds: number): void {
    this.#milliseconds += seconds * 1000;
  }
}
