import type { Settled, Work } from "../../src/spool/message.ts";
import type { ClaimRequest, MessageWriter, Store } from "../../src/spool/store.ts";

/** A queue in memory for tests of delivery: each work is handed out once, and `deliver` resolves with what was recorded for it. */
export class MemoryStore implements Store {
  readonly failed = new Promise<Error>(() => undefined);
  #waiting: Work[] = [];
  readonly #recorded = new Map<Work, (settled: readonly Settled[]) => void>();
  #wake: () => void = () => undefined;

  /** Queues the work; resolves when its one attempt is recorded. */
  deliver(work: Work): Promise<readonly Settled[]> {
    return new Promise((resolve) => {
      this.#recorded.set(work, resolve);
      this.#waiting.push(work);
      this.#wake();
    });
  }

  begin(): MessageWriter {
    throw new Error("nothing is submitted here");
  }

  /** Notices to senders: not looked at. */
  add(): Promise<void> {
    return Promise.resolve();
  }

  claim({ limit, exclude, room }: ClaimRequest): Promise<readonly Work[]> {
    const taken = new Map<string, number>();
    const fits = ({ destination }: Work): boolean => {
      const count = taken.get(destination) ?? 0;
      if (exclude.has(destination) || count >= (room?.(destination) ?? Number.POSITIVE_INFINITY)) return false;
      taken.set(destination, count + 1);
      return true;
    };
    const due = this.#waiting.filter(fits).slice(0, limit);
    this.#waiting = this.#waiting.filter((work) => !due.includes(work));
    return Promise.resolve(due);
  }

  content(): AsyncIterable<Buffer> {
    throw new Error("content is inline here");
  }

  settle(work: Work, settled: readonly Settled[]): Promise<void> {
    this.#recorded.get(work)?.(settled);
    this.#recorded.delete(work);
    return Promise.resolve();
  }

  release(work: Work): void {
    this.#waiting.unshift(work);
    this.#wake();
  }

  nextDueAt(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  counts(): ReturnType<Store["counts"]> {
    return Promise.resolve({ incoming: this.#waiting.length, active: this.#recorded.size, deferred: 0, held: 0 });
  }

  onWork(listener: () => void): void {
    this.#wake = listener;
  }

  health(): ReturnType<Store["health"]> {
    return Promise.resolve({ kind: "writable" });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
