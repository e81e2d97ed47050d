import type { DatabaseTime } from "./databaseTime.ts";
import { DueIndex, type Room } from "./dueIndex.ts";
import type { PostgresConnection } from "./postgresConnection.ts";
import { integer, text } from "./postgresRows.ts";

/**
 * When each destination has something due, as far as this replica knows. It knows at once of what it stores and settles itself, and from
 * regular looks of what the others do; every claim corrects it.
 */
const LOOK_MILLISECONDS = 1000;
/** Of the time, for looking: with ten thousand destinations one look takes a while. */
const LOOK_SHARE = 0.05;
/** A destination whose connections are all in use by other replicas, or that another one claims from now, is looked at again after this. */
const BLOCKED_MILLISECONDS = 250;

export class PostgresDue {
  readonly #connection: PostgresConnection;
  readonly #time: DatabaseTime;
  readonly #index = new DueIndex();
  readonly #onNews: () => void;
  /** Destinations that this replica changed since the look that is under way began: there it knows better. */
  #touched = new Set<string>();
  /** What came while a claim is under way, which may not have seen it. */
  #meanwhile: { destination: string; due: number }[] | undefined;
  #timer: NodeJS.Timeout | undefined;
  #state: "open" | "closed" = "open";

  constructor(connection: PostgresConnection, time: DatabaseTime, onNews: () => void) {
    this.#connection = connection;
    this.#time = time;
    this.#onNews = onNews;
  }

  /** A first look, and from now on regular ones. */
  async start(): Promise<void> {
    await this.look();
    this.#schedule(LOOK_MILLISECONDS);
  }

  stop(): void {
    this.#state = "closed";
    clearTimeout(this.#timer);
  }

  /** Something of `destination` is due at `due`. */
  offer(destination: string, due: number): void {
    this.#touched.add(destination);
    this.#meanwhile?.push({ destination, due });
    this.#index.offer(destination, due);
  }

  unpark(destination: string): void {
    this.#index.unpark(destination);
  }

  /** As DueIndex.pick; what comes from here on is remembered until `correct`. */
  pick(now: number, limit: number, room: Room): readonly { destination: string; room: number }[] {
    const picks = this.#index.pick(now, limit, room);
    for (const { destination } of picks) this.#touched.add(destination);
    this.#meanwhile = picks.length === 0 ? undefined : [];
    return picks;
  }

  /** What a claim found to be due next. `taken` none although something is due: other replicas are there. */
  correct(next: readonly { destination: string; due: number | undefined }[], now: number, taken: number): void {
    for (const { destination, due } of next) {
      const blocked = taken === 0 && due !== undefined && due <= now;
      this.#index.set(destination, blocked ? now + BLOCKED_MILLISECONDS : due);
    }
    for (const { destination, due } of this.#meanwhile ?? []) this.#index.offer(destination, due);
    this.#meanwhile = undefined;
  }

  next(exclude?: Pick<ReadonlySet<string>, "has">): number | undefined {
    return this.#index.nextDue(exclude);
  }

  /** What is due by now, whoever stored it, and what time it is there. */
  async look(): Promise<void> {
    await this.#time.measure(this.#connection.ask);
    this.#touched = new Set();
    const before = this.#index.nextDue();
    for (const row of await this.#connection.ask("SELECT destination, due FROM destinations()")) {
      const destination = text(row, "destination");
      if (!this.#touched.has(destination)) this.#index.offer(destination, integer(row, "due") - this.#time.ahead);
    }
    const after = this.#index.nextDue();
    if (after !== undefined && (before === undefined || after < before)) this.#onNews();
  }

  #schedule(milliseconds: number): void {
    if (this.#state === "closed") return;
    this.#timer = setTimeout(() => {
      const began = performance.now();
      const again = (): void => this.#schedule(Math.max(LOOK_MILLISECONDS, (performance.now() - began) / LOOK_SHARE));
      // The database is away: claims say so; the next look comes.
      this.look().then(again, again);
    }, milliseconds);
    this.#timer.unref();
  }
}
