import { LRUCache } from "lru-cache";
import type { Clock, Random } from "../clock.ts";
import type { DomainName } from "../dns/name.ts";
import type { ServerAddress } from "./transport.ts";

/**
 * What is remembered of servers, and in which order they are therefore asked.
 *
 * smoothed round-trip time and its variation: as in TCP (RFC 6298 §2), in milliseconds.
 * resting: a server that did not answer several times in a row is asked last for a while, however fast it once was.
 * lame: a server that does not serve a zone it is delegated is asked last for that zone.
 * Nothing is excluded for good: what stands last is still asked when nobody else answers.
 */
type Memory = {
  /** undefined until the first answer. */
  roundTrip: { smoothed: number; variation: number } | undefined;
  silences: number;
  restsUntil: number;
  withoutEdnsUntil: number;
};

const MAX_SERVERS = 20_000;
const MAX_LAMENESSES = 20_000;
/** Wait for a server that nothing is known of; long enough for one retransmission. */
const UNKNOWN_TIMEOUT_MILLISECONDS = 1_200;
const MIN_TIMEOUT_MILLISECONDS = 500;
const MAX_TIMEOUT_MILLISECONDS = 3_000;
/** Servers this close to the fastest share the queries: an attacker cannot know which one is asked, and times stay known. */
const SPEED_BAND_MILLISECONDS = 150;
const SILENCES_BEFORE_REST = 2;
const REST_MILLISECONDS = 60_000;
/** So many servers of one address family in a row that cannot be reached: this machine has no way there. */
const UNREACHABLE_BEFORE_FAMILY_RESTS = 4;
const LAME_MILLISECONDS = 600_000;
/** RFC 6891 §6.2.2: may be remembered, but not for long, since servers get better. */
const WITHOUT_EDNS_MILLISECONDS = 600_000;

export function serverKey(server: ServerAddress): string {
  return `${server.address}#${server.port}`;
}

export class ServerSelection {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #servers = new LRUCache<string, Memory>({ max: MAX_SERVERS });
  readonly #families = { ipv4: { failures: 0, restsUntil: 0 }, ipv6: { failures: 0, restsUntil: 0 } };
  readonly #lameUntil = new LRUCache<string, number>({ max: MAX_LAMENESSES });

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** The servers of `zone` in the order to ask them: usable before troubled ones, quick before slow ones, chance among near equals. */
  order(servers: readonly ServerAddress[], zone: DomainName): ServerAddress[] {
    const ranked = this.#shuffled(servers).map((server) => ({
      server,
      trouble: this.#trouble(server, zone),
      milliseconds: this.#servers.peek(serverKey(server))?.roundTrip?.smoothed ?? 0,
    }));
    const known = ranked.filter((entry) => entry.milliseconds > 0).map((entry) => entry.milliseconds);
    // An unknown server counts as quick, so that each is tried once.
    const band = (known.length === 0 ? 0 : Math.min(...known)) + SPEED_BAND_MILLISECONDS;
    const speed = (milliseconds: number) => (milliseconds <= band ? 0 : milliseconds);
    ranked.sort((a, b) => a.trouble - b.trouble || speed(a.milliseconds) - speed(b.milliseconds));
    return ranked.map((entry) => entry.server);
  }

  /** How long to wait for this server's answer. */
  timeoutMilliseconds(server: ServerAddress): number {
    const memory = this.#servers.peek(serverKey(server));
    const { roundTrip, silences } = memory ?? { roundTrip: undefined, silences: 0 };
    const base = roundTrip === undefined ? UNKNOWN_TIMEOUT_MILLISECONDS : roundTrip.smoothed + 4 * roundTrip.variation;
    const wait = Math.max(MIN_TIMEOUT_MILLISECONDS, base) * 2 ** Math.min(silences, SILENCES_BEFORE_REST);
    return Math.min(MAX_TIMEOUT_MILLISECONDS, wait);
  }

  /** RFC 6298 §2: smoothing by 1/8, variation by 1/4. */
  answered(server: ServerAddress, milliseconds: number): void {
    const memory = this.#memory(server);
    const before = memory.roundTrip;
    memory.roundTrip =
      before === undefined
        ? { smoothed: Math.max(1, milliseconds), variation: milliseconds / 2 }
        : {
            smoothed: Math.max(1, before.smoothed * 0.875 + milliseconds * 0.125),
            variation: before.variation * 0.75 + Math.abs(before.smoothed - milliseconds) * 0.25,
          };
    memory.silences = 0;
    memory.restsUntil = 0;
    const family = this.#family(server);
    family.failures = 0;
    family.restsUntil = 0;
  }

  /** No answer, no way there, or nothing readable. */
  wasSilent(server: ServerAddress, how: "timeout" | "unreachable" | "malformed"): void {
    const memory = this.#memory(server);
    memory.silences += 1;
    const family = this.#family(server);
    if (how === "unreachable") family.failures += 1;
    if (family.failures >= UNREACHABLE_BEFORE_FAMILY_RESTS) family.restsUntil = this.#clock.monotonic() + REST_MILLISECONDS;
    if (memory.silences >= SILENCES_BEFORE_REST) memory.restsUntil = this.#clock.monotonic() + REST_MILLISECONDS;
  }

  isLame(server: ServerAddress, zone: DomainName): void {
    this.#lameUntil.set(`${serverKey(server)} ${zone}`, this.#clock.monotonic() + LAME_MILLISECONDS);
  }

  refusedEdns(server: ServerAddress): void {
    this.#memory(server).withoutEdnsUntil = this.#clock.monotonic() + WITHOUT_EDNS_MILLISECONDS;
  }

  takesEdns(server: ServerAddress): boolean {
    return (this.#servers.peek(serverKey(server))?.withoutEdnsUntil ?? 0) <= this.#clock.monotonic();
  }

  /** Whether something speaks against asking this server of `zone` while there are others. */
  isTroubled(server: ServerAddress, zone: DomainName): boolean {
    return this.#trouble(server, zone) > 0;
  }

  #memory(server: ServerAddress): Memory {
    const key = serverKey(server);
    const known = this.#servers.get(key);
    if (known !== undefined) return known;
    const fresh: Memory = { roundTrip: undefined, silences: 0, restsUntil: 0, withoutEdnsUntil: 0 };
    this.#servers.set(key, fresh);
    return fresh;
  }

  #family(server: ServerAddress): { failures: number; restsUntil: number } {
    return server.address.includes(":") ? this.#families.ipv6 : this.#families.ipv4;
  }

  #trouble(server: ServerAddress, zone: DomainName): number {
    const now = this.#clock.monotonic();
    if (this.#family(server).restsUntil > now) return 4;
    if ((this.#servers.peek(serverKey(server))?.restsUntil ?? 0) > now) return 3;
    if ((this.#lameUntil.get(`${serverKey(server)} ${zone}`) ?? 0) > now) return 2;
    return this.takesEdns(server) ? 0 : 1;
  }

  /** Fisher and Yates. */
  #shuffled(servers: readonly ServerAddress[]): ServerAddress[] {
    const shuffled = [...servers];
    for (let i = shuffled.length - 1; i > 0; i -= 1) {
      const j = this.#random.below(i + 1);
      const [a, b] = [shuffled[i], shuffled[j]];
      if (a === undefined || b === undefined) continue;
      shuffled[i] = b;
      shuffled[j] = a;
    }
    return shuffled;
  }
}
