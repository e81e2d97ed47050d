import { setImmediate } from "node:timers/promises";
import type { Evidence, Judging, Needed } from "../dnssec/evidence.ts";

/** After so much computing without a pause the event loop gets its turn: mail goes on while a hostile answer is judged. */
const TURN_MILLISECONDS = 4;

/**
 * Runs judgements: computes from one need to the next and waits for the evidence in between. What one slice may cost is bounded by the
 * work budget of the message it judges; between slices the event loop turns whenever the slices together have taken their time.
 */
export class Verifier {
  readonly #milliseconds: () => number;
  #computed = 0;

  /** `milliseconds`: a clock that tells what computing costs. */
  constructor(milliseconds: () => number = () => performance.now()) {
    this.#milliseconds = milliseconds;
  }

  async run<T>(judging: Judging<T>, provide: (needed: Exclude<Needed, { kind: "pause" }>) => Promise<Evidence>): Promise<T> {
    let step = this.#slice(() => judging.next());
    while (!step.done) {
      const { value } = step;
      const evidence: Evidence = value.kind === "pause" ? { kind: "paused" } : await provide(value);
      if (this.#computed >= TURN_MILLISECONDS) await this.#pause();
      step = this.#slice(() => judging.next(evidence));
    }
    return step.value;
  }

  #slice<R>(compute: () => R): R {
    const began = this.#milliseconds();
    const result = compute();
    this.#computed += this.#milliseconds() - began;
    return result;
  }

  async #pause(): Promise<void> {
    await setImmediate();
    this.#computed = 0;
  }
}
