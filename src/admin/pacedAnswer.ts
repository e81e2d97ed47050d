import { setTimeout as delay } from "node:timers/promises";

/**
 * An answer that costs something and that anybody may ask for. Behind a burst it is made a few times a second only: whoever asks then waits for its
 * turn, and shares the answer with all who wait. It is never older than the question.
 */
export type Pacing = {
  /** Milliseconds that never go back. */
  monotonic: () => number;
  /** So many may be made at once; then one for each interval. */
  burst: number;
  intervalMilliseconds: number;
};

/** As `make`. */
export function paced<T>(make: () => Promise<T>, { monotonic, burst, intervalMilliseconds }: Pacing): () => Promise<T> {
  /** When a next burst would be as if nobody had ever asked: the generic cell rate algorithm. */
  let restedAt = Number.NEGATIVE_INFINITY;
  let waiting: Promise<T> | undefined;
  const turn = async (): Promise<T> => {
    const now = monotonic();
    restedAt = Math.max(restedAt, now) + intervalMilliseconds;
    const wait = restedAt - now - burst * intervalMilliseconds;
    // Also where it need not wait: who asks in the same moment shares it.
    await delay(Math.max(0, wait), undefined, { ref: false });
    waiting = undefined;
    return make();
  };
  return () => {
    waiting ??= turn();
    return waiting;
  };
}
