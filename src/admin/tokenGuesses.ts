import { LRUCache } from "lru-cache";

/**
 * Slows the guessing of the admin token down: behind a few wrong ones each further one doubles the time in which none from that place is looked at,
 * the right one neither. Bounded in memory: what was seen least recently is forgotten first.
 */
export type TokenGuessesOptions = {
  monotonic: () => number;
  /** What one client has, of its address: an IPv4 address, or an IPv6 network. */
  placeOf: (address: string) => string;
  /** A wrong token was looked at. */
  onWrong: (address: string) => void;
};

type Failures = { count: number; lastAt: number };

const FREE_FAILURES = 5;
const LONGEST_WAIT_SECONDS = 60;
/** Behind this time without a wrong one, all is forgotten. */
const MEMORY_MILLISECONDS = 3_600_000;
const MAX_REMEMBERED = 10_000;

export class TokenGuesses {
  readonly #options: TokenGuessesOptions;
  readonly #failures = new LRUCache<string, Failures>({ max: MAX_REMEMBERED });

  constructor(options: TokenGuessesOptions) {
    this.#options = options;
  }

  /** Seconds until a token from `address` is looked at; 0: now. */
  waitSeconds(address: string): number {
    const { monotonic, placeOf } = this.#options;
    const failures = this.#failures.get(placeOf(address));
    if (failures === undefined || failures.count < FREE_FAILURES) return 0;
    const wait = Math.min(2 ** (failures.count - FREE_FAILURES), LONGEST_WAIT_SECONDS);
    return Math.max(0, wait - (monotonic() - failures.lastAt) / 1000);
  }

  wrong(address: string): void {
    const { monotonic, placeOf, onWrong } = this.#options;
    const now = monotonic();
    const place = placeOf(address);
    const before = this.#failures.get(place);
    const count = before === undefined || now - before.lastAt > MEMORY_MILLISECONDS ? 0 : before.count;
    this.#failures.set(place, { count: count + 1, lastAt: now });
    onWrong(address);
  }

  right(address: string): void {
    this.#failures.delete(this.#options.placeOf(address));
  }
}
