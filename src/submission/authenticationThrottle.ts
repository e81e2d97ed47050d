import { isIPv6 } from "node:net";
import { LRUCache } from "lru-cache";

/**
 * Slows guessing down: behind a few failures each further one doubles the time in which no password is looked at, for the address that it came
 * from and for the user that it was about. The wait for a user does not hold for addresses that this user has logged in from: else anybody could
 * lock anybody out. Bounded in memory: what was seen least recently is forgotten first.
 */
export type Attempt = { address: string; user: string };

type Failures = { count: number; lastAt: number };

const FREE_FAILURES = { address: 5, user: 10 } as const;
const LONGEST_WAIT_SECONDS = { address: 900, user: 60 } as const;
/** Behind this time without a failure, all is forgotten. */
const MEMORY_MILLISECONDS = 3_600_000;
const MAX_REMEMBERED = 10_000;

export class AuthenticationThrottle {
  readonly #addresses = new LRUCache<string, Failures>({ max: MAX_REMEMBERED });
  readonly #users = new LRUCache<string, Failures>({ max: MAX_REMEMBERED });
  readonly #welcome = new LRUCache<string, true>({ max: MAX_REMEMBERED });

  /** Seconds until a password may be looked at; 0: now. `now`: milliseconds of a monotonic clock. */
  waitSeconds({ address, user }: Attempt, now: number): number {
    const place = networkOf(address);
    const forAddress = waitOf(this.#addresses.get(place), "address", now);
    if (this.#welcome.has(pairOf(place, user))) return forAddress;
    return Math.max(forAddress, waitOf(this.#users.get(user), "user", now));
  }

  failed({ address, user }: Attempt, now: number): void {
    const place = networkOf(address);
    this.#addresses.set(place, oneMore(this.#addresses.get(place), now));
    this.#users.set(user, oneMore(this.#users.get(user), now));
  }

  succeeded({ address, user }: Attempt): void {
    const place = networkOf(address);
    this.#welcome.set(pairOf(place, user), true);
    this.#addresses.delete(place);
  }
}

function pairOf(place: string, user: string): string {
  return `${place} ${user}`;
}

function oneMore(before: Failures | undefined, now: number): Failures {
  const count = before === undefined || now - before.lastAt > MEMORY_MILLISECONDS ? 0 : before.count;
  return { count: count + 1, lastAt: now };
}

function waitOf(failures: Failures | undefined, of: "address" | "user", now: number): number {
  if (failures === undefined || failures.count < FREE_FAILURES[of]) return 0;
  const seconds = Math.min(2 ** (failures.count - FREE_FAILURES[of]), LONGEST_WAIT_SECONDS[of]);
  return Math.max(0, seconds - (now - failures.lastAt) / 1000);
}

/** What one client has: an IPv4 address, or an IPv6 /64. */
export function networkOf(address: string): string {
  if (!address.includes(":") || !isIPv6(address)) return address;
  const [head = "", tail] = address.toLowerCase().split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const gap = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => "0");
  return `${[...left, ...gap, ...right].slice(0, 4).join(":")}::/64`;
}
