import { setTimeout as delay } from "node:timers/promises";
import { StoreError } from "./store.ts";

export type PersistenceOptions = {
  /** What went wrong, as the store's own error. */
  failureOf: (error: unknown) => StoreError;
  /** Whether nothing can be written by this process any more. */
  isOver: () => boolean;
  pauseMilliseconds: number;
  /** Told once when records begin to wait, and again when they do after none did. */
  onTrouble: (error: StoreError) => void;
};

/**
 * What the peer took must be recorded, or it would be sent again: while the disk has no room, or it or the database fails, each record is tried
 * again until it is written. What waiting does not help (damage, a closed store) rejects.
 */
export class Persistence {
  readonly #options: PersistenceOptions;
  #waiting = 0;

  constructor(options: PersistenceOptions) {
    this.#options = options;
  }

  async record<T>(step: () => Promise<T>): Promise<T> {
    let state: "new" | "waiting" = "new";
    try {
      for (;;) {
        try {
          return await step();
        } catch (error) {
          const failure = this.#options.failureOf(error);
          if (failure.kind === "corrupt" || failure.kind === "closed" || this.#options.isOver()) throw failure;
          if (state === "new") this.#begin(failure);
          state = "waiting";
        }
        await delay(this.#options.pauseMilliseconds, undefined, { ref: false });
      }
    } finally {
      if (state === "waiting") this.#waiting -= 1;
    }
  }

  #begin(failure: StoreError): void {
    this.#waiting += 1;
    if (this.#waiting > 1) return;
    const text = `what became of a delivery could not be recorded, and is tried again until it is: ${failure.message}`;
    this.#options.onTrouble(new StoreError(failure.kind, text, { cause: failure }));
  }
}
