import type { DeliveryEvent } from "../log.ts";

/** What became of one recipient at one attempt, in the words of the log; `at`: milliseconds since the epoch. */
export type DeliveryRecord = Omit<DeliveryEvent, "event"> & { at: number };

/** What the ring knows of one destination. */
export type RecentDestination = { delivered: number; deferred: number; failed: number; last: DeliveryRecord };

const DEFAULT_CAPACITY = 2000;

/** The last attempts of this process, oldest first; what is older is in the log. */
export class DeliveryRing {
  readonly #capacity: number;
  readonly #records: DeliveryRecord[] = [];
  /** Where the next one goes once the ring is full. */
  #next = 0;

  constructor(capacity = DEFAULT_CAPACITY) {
    this.#capacity = capacity;
  }

  add(record: DeliveryRecord): void {
    this.#records[this.#next] = record;
    this.#next = (this.#next + 1) % this.#capacity;
  }

  /** Forgets everything but `records`, oldest first. */
  replace(records: readonly DeliveryRecord[]): void {
    this.#records.splice(0, this.#records.length, ...records.slice(-this.#capacity));
    this.#next = this.#records.length % this.#capacity;
  }

  /** Newest first, those that `wanted` takes. */
  recent(limit: number, wanted: (record: DeliveryRecord) => boolean): readonly DeliveryRecord[] {
    return this.#inOrder().filter(wanted).slice(-limit).reverse();
  }

  /** Oldest first. */
  ofMessage(id: string): readonly DeliveryRecord[] {
    return this.#inOrder().filter((record) => record.id === id);
  }

  destinations(): ReadonlyMap<string, RecentDestination> {
    const found = new Map<string, RecentDestination>();
    for (const record of this.#inOrder()) {
      const known = found.get(record.domain) ?? { delivered: 0, deferred: 0, failed: 0, last: record };
      known[record.outcome] += 1;
      known.last = record;
      found.set(record.domain, known);
    }
    return found;
  }

  #inOrder(): DeliveryRecord[] {
    return [...this.#records.slice(this.#next), ...this.#records.slice(0, this.#next)];
  }
}
