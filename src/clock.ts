import { randomInt } from "node:crypto";

/** Time and chance as arguments: the pure ring receives values, the edge ring receives these two. */
export interface Clock {
  /** Milliseconds since the Unix epoch; may jump when the machine's clock is set. */
  now(): number;
  /** Milliseconds on a clock that never goes back; only differences mean anything. */
  monotonic(): number;
}

export interface Random {
  /** Uniform integer in [0, exclusiveMaximum), from a cryptographic source. */
  below(exclusiveMaximum: number): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};

export const systemRandom: Random = {
  below: (exclusiveMaximum) => randomInt(exclusiveMaximum),
};
