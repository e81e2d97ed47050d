import type { Clock } from "../clock.ts";
import { RR_TYPE } from "../dns/message.ts";
import { displayName } from "../dns/name.ts";
import { rrsetsOf } from "../dns/rrset.ts";
import type { AlgorithmTable } from "../dnssec/algorithm.ts";
import type { TrustAnchors } from "../dnssec/evidence.ts";
import { anchorsInForce, type KeyEvent, observe } from "../dnssec/trustPoint.ts";
import type { Source } from "./source.ts";
import { type FollowedPoint, pointsOf, readTrustPoints, writeTrustPoints } from "./trustPointFile.ts";

/** Keeps trust anchors up to date (RFC 5011): asks for the keys of every trust point when it is time, and remembers what it saw. */

export type TrustAnchorEvent =
  | { kind: "key"; zone: string; event: KeyEvent }
  | { kind: "stateUnusable"; file: string; reason: string }
  | { kind: "stateNotWritten"; file: string; reason: string };

export type RefreshOptions = {
  /** Where the state is kept. */
  file: string;
  configured: TrustAnchors;
  algorithms: AlgorithmTable;
  source: Source;
  clock: Clock;
  onEvent: (event: TrustAnchorEvent) => void;
};

const HOUR_SECONDS = 3600;
const DAY_SECONDS = 86_400;
/** RFC 5011 §2.3; well below what a timer can wait. */
const MAX_QUERY_INTERVAL_SECONDS = 15 * DAY_SECONDS;

type Validated = { originalTtl: number; untilExpiration: number };

/** RFC 5011 §2.3: MAX(1 hr, MIN(15 days, 1/2*OrigTTL, 1/2*RRSigExpirationInterval)). */
export function queryInterval({ originalTtl, untilExpiration }: Validated): number {
  return Math.floor(Math.max(HOUR_SECONDS, Math.min(MAX_QUERY_INTERVAL_SECONDS, originalTtl / 2, untilExpiration / 2)));
}

/** RFC 5011 §2.3: MAX(1 hour, MIN(1 day, .1 * origTTL, .1 * expireInterval)); an hour as long as nothing was ever validated. */
export function retryTime(last: Validated | undefined): number {
  if (last === undefined) return HOUR_SECONDS;
  return Math.floor(Math.max(HOUR_SECONDS, Math.min(DAY_SECONDS, last.originalTtl / 10, last.untilExpiration / 10)));
}

/** Reads the state; when there is none that can be used, the configured anchors are followed from the start. */
export async function openActiveRefresh(options: RefreshOptions): Promise<ActiveRefresh> {
  const read = await readTrustPoints(options.file, options.configured);
  if (read.kind === "unusable") options.onEvent({ kind: "stateUnusable", file: options.file, reason: read.reason });
  return new ActiveRefresh(options, read.kind === "points" ? read.points : pointsOf(options.configured));
}

export class ActiveRefresh {
  readonly #options: RefreshOptions;
  readonly #lastValidated = new Map<string, Validated>();
  #points: readonly FollowedPoint[];
  #anchors: TrustAnchors;
  #timer: NodeJS.Timeout | undefined;
  #running: "yes" | "no" = "no";

  constructor(options: RefreshOptions, points: readonly FollowedPoint[]) {
    this.#options = options;
    this.#points = points;
    this.#anchors = this.#inForce();
  }

  /** What is trusted now; another object whenever it may have changed. */
  get anchors(): TrustAnchors {
    return this.#anchors;
  }

  start(): void {
    this.#running = "yes";
    this.#schedule();
  }

  stop(): void {
    this.#running = "no";
    clearTimeout(this.#timer);
  }

  /** Asks for what is due now. Resolves when that is done and written down; never rejects. */
  async round(): Promise<void> {
    const now = this.#now();
    // A time that lies beyond every interval was written by a clock that was wrong.
    const due = this.#points.filter(({ nextQuery }) => nextQuery <= now || nextQuery > now + MAX_QUERY_INTERVAL_SECONDS);
    if (due.length === 0) return;
    const refreshed: FollowedPoint[] = [];
    for (const one of this.#points) refreshed.push(due.includes(one) ? await this.#refresh(one) : one);
    this.#points = refreshed;
    await this.#write();
  }

  #schedule(): void {
    if (this.#running === "no") return;
    const next = Math.min(...this.#points.map(({ nextQuery }) => nextQuery));
    const wait = Math.min(Math.max(0, next - this.#now()), MAX_QUERY_INTERVAL_SECONDS);
    this.#timer = setTimeout(() => void this.round().then(() => this.#schedule()), wait * 1000);
    this.#timer.unref();
  }

  async #refresh({ point }: FollowedPoint): Promise<FollowedPoint> {
    const answer = await this.#options.source.ask(point.zone, RR_TYPE.DNSKEY);
    const now = this.#now();
    const retryAt = now + retryTime(this.#lastValidated.get(point.zone));
    const dnskeys = answer.kind === "message" ? rrsetsOf(answer.message.answer) : [];
    const rrset = dnskeys.find((one) => one.name === point.zone && one.type === RR_TYPE.DNSKEY);
    if (rrset === undefined) return { point, nextQuery: retryAt };
    const observation = observe(point, rrset, { now, algorithms: this.#options.algorithms });
    for (const event of observation.events) {
      // That a configured key is there is no news.
      if (event.from !== "start" || event.to !== "valid")
        this.#options.onEvent({ kind: "key", zone: displayName(point.zone), event });
    }
    if (observation.events.length > 0) this.#use(observation.point);
    const { validated } = observation;
    if (validated === undefined) return { point: observation.point, nextQuery: retryAt };
    this.#lastValidated.set(point.zone, validated);
    return { point: observation.point, nextQuery: now + queryInterval(validated) };
  }

  /** From now on, whether or not it can be written down: revocation is immediate (RFC 5011 §2.1). */
  #use(changed: FollowedPoint["point"]): void {
    this.#points = this.#points.map((one) => (one.point.zone === changed.zone ? { ...one, point: changed } : one));
    this.#anchors = this.#inForce();
  }

  async #write(): Promise<void> {
    const { file, onEvent } = this.#options;
    try {
      await writeTrustPoints(file, this.#points);
    } catch (error) {
      // What was seen counts all the same, and is written with the next refresh.
      onEvent({ kind: "stateNotWritten", file, reason: error instanceof Error ? error.message : String(error) });
    }
  }

  #inForce(): TrustAnchors {
    const points = this.#points.map(({ point }) => point);
    return anchorsInForce(points, this.#options.algorithms);
  }

  #now(): number {
    return Math.floor(this.#options.clock.now() / 1000);
  }
}

/** For the log: what an operator should know of. */
export function trustAnchorText(event: TrustAnchorEvent): string {
  switch (event.kind) {
    case "key":
      return `key ${event.event.keyTag} of ${event.zone}: ${event.event.from} to ${event.event.to} (RFC 5011)`;
    case "stateUnusable":
      return `${event.file} cannot be used (${event.reason}): only the configured trust anchors are trusted`;
    case "stateNotWritten":
      return `${event.file} cannot be written (${event.reason}): what was seen of trust anchors is forgotten at the next start`;
    default:
      return event satisfies never;
  }
}
