import { LRUCache } from "lru-cache";

/** Longest that anything is kept, whatever its TTL says (RFC 8767 §4 has the same bound for what comes in). */
export const MAX_TTL_SECONDS = 86_400;

type Entry<V> = { value: V; expires: number };

/** What all entries may take together, and an estimate of what one takes: what a server chose to send is not counted by the piece. */
export type MemoryBound<V> = { maxOctets: number; octetsOf: (value: V) => number };

/** What an entry takes beside its value: its place in the tables, its key, its time. */
const ENTRY_OCTETS = 200;

/**
 * A cache that serves nothing beyond its TTL and holds a bounded number of entries; the least recently used goes first.
 * `monotonic` is in milliseconds and never goes back: setting the machine's clock neither prolongs nor empties the cache.
 */
export class TtlCache<V> {
  readonly #entries: LRUCache<string, Entry<V>>;
  readonly #monotonic: () => number;
  #hits = 0;
  #misses = 0;

  constructor(maxEntries: number, monotonic: () => number, memory?: MemoryBound<V>) {
    this.#entries = new LRUCache({ max: maxEntries, ...(memory === undefined ? {} : sizesOf(memory)) });
    this.#monotonic = monotonic;
  }

  /** The value and for how long it holds; counted as hit or miss. */
  get(key: string): { value: V; ttlSeconds: number } | undefined {
    const entry = this.#entries.get(key);
    const left = entry === undefined ? 0 : entry.expires - this.#monotonic();
    if (entry === undefined || left <= 0) {
      this.#misses += 1;
      if (entry !== undefined) this.#entries.delete(key);
      return undefined;
    }
    this.#hits += 1;
    return { value: entry.value, ttlSeconds: Math.floor(left / 1000) };
  }

  /** Nothing is kept for a TTL of zero (RFC 1035 §3.2.1: for the transaction in progress only). */
  set(key: string, value: V, ttlSeconds: number): void {
    const kept = Math.min(ttlSeconds, MAX_TTL_SECONDS);
    if (kept > 0) this.#entries.set(key, { value, expires: this.#monotonic() + kept * 1000 });
    else this.#entries.delete(key);
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }

  get counts(): { entries: number; hits: number; misses: number } {
    return { entries: this.#entries.size, hits: this.#hits, misses: this.#misses };
  }
}

/** What is bigger than the whole bound is not kept at all. */
function sizesOf<V>({ maxOctets, octetsOf }: MemoryBound<V>): {
  maxSize: number;
  sizeCalculation: (entry: Entry<V>, key: string) => number;
} {
  return { maxSize: maxOctets, sizeCalculation: ({ value }, key) => ENTRY_OCTETS + key.length + octetsOf(value) };
}
