import { hostname } from "node:os";
import { isForeignKeyViolation, type PostgresConnection } from "./postgresConnection.ts";
import type { WorkKey } from "./storeOperation.ts";

/**
 * This process as one replica among others: its row in the database, which it keeps alive, and what it gives back.
 *
 *   none --register--> alive --beat--> alive
 *                        |
 *                        +-- no beat for leaseSeconds: somebody removes the row, and with it every lease --> none
 *
 * Nothing here asks the local clock how long a lease holds: a process that was paused does not know for how long.
 */

/** Three beats may be lost before the lease is. */
const BEATS_PER_LEASE = 4;
const RETRY_MILLISECONDS = 500;
/** A claim whose answer was lost may reach the database this much later, and not after: its statement has a time limit. */
const STRAY_MILLISECONDS = 60_000;

export type OwnedKey = WorkKey & { owner: number };

export class PostgresLease {
  readonly #connection: PostgresConnection;
  readonly #seconds: number;
  #owner: number | undefined;
  #registering: Promise<number> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** The beats one behind the other; never rejects. */
  #beating: Promise<void> = Promise.resolve();
  #state: "open" | "closed" = "open";
  #batch = 0;
  #released: { key: OwnedKey; done: () => void }[] = [];
  /** Claims that may have taken works that nobody heard of. */
  #strays: { batch: number; since: number }[] = [];

  constructor(connection: PostgresConnection, seconds: number) {
    this.#connection = connection;
    this.#seconds = seconds;
  }

  /** The number under which works are claimed now. */
  owner(): Promise<number> {
    if (this.#owner !== undefined) return Promise.resolve(this.#owner);
    this.#registering ??= this.#register().finally(() => {
      this.#registering = undefined;
    });
    return this.#registering;
  }

  /** A number for the next claim. */
  nextBatch(): number {
    this.#batch += 1;
    return this.#batch;
  }

  /** The claim failed. Whether it leased something all the same is not known: it is given back, now and again later. */
  claimFailed(owner: number, batch: number, error: unknown): void {
    if (isForeignKeyViolation(error) && this.#owner === owner) this.#owner = undefined;
    this.#strays.push({ batch, since: performance.now() });
  }

  /** Gives a work back, and calls `done` when it is; while the database is away, later. */
  release(key: OwnedKey, done: () => void): void {
    this.#released.push({ key, done });
    if (this.#released.length === 1) setImmediate(() => this.#beatNow());
  }

  /** Resolves when all that was given back so far is free, or the database is away. */
  async flushed(): Promise<void> {
    if (this.#released.length > 0) this.#beatNow();
    await this.#beating;
  }

  /** Whether the lease holds, and will for half of its time at least. Rejects when the database does not say. */
  async holds({ owner, message, destination }: OwnedKey): Promise<boolean> {
    const values = [owner, this.#seconds, message, destination];
    const [row] = await this.#connection.ask("SELECT holds($1, $2, $3, $4)", values);
    return row?.holds === true;
  }

  /** One beat: lives on, buries the dead, gives back. Rejects when the database is away. */
  async beat(): Promise<void> {
    const owner = await this.owner();
    const released = this.#released;
    this.#released = [];
    const before = performance.now() - STRAY_MILLISECONDS;
    const strays = this.#strays.filter(({ since }) => since > before);
    this.#strays = strays;
    const mine = released.map(({ key }) => key).filter((key) => key.owner === owner);
    try {
      const [row] = await this.#connection.ask("SELECT beat($1, $2, $3, $4, $5)", [
        owner,
        this.#seconds,
        strays.map(({ batch }) => batch),
        mine.map(({ message }) => message),
        mine.map(({ destination }) => destination),
      ]);
      if (row?.beat !== true && this.#owner === owner) this.#owner = undefined;
    } catch (error) {
      this.#released.push(...released);
      throw error;
    }
    for (const { done } of released) done();
  }

  start(): void {
    this.#schedule((this.#seconds * 1000) / BEATS_PER_LEASE);
  }

  /** Everything that is still claimed is free for the others at once. */
  async close(): Promise<void> {
    this.#state = "closed";
    clearTimeout(this.#timer);
    try {
      if (this.#owner !== undefined) await this.#connection.ask("DELETE FROM replica WHERE id = $1", [this.#owner]);
    } catch (error) {
      // The database is away: the leases end when their time is over.
      if (!(error instanceof Error)) throw error;
    }
    await this.#connection.close();
  }

  #beatNow(): void {
    if (this.#state === "closed") return;
    clearTimeout(this.#timer);
    const before = this.#beating;
    this.#beating = before
      .then(() => this.beat())
      .then(
        () => this.#schedule((this.#seconds * 1000) / BEATS_PER_LEASE),
        // The database is away: /readyz says so, and asks it itself. Here there is only to try again.
        () => this.#schedule(RETRY_MILLISECONDS),
      );
  }

  #schedule(milliseconds: number): void {
    if (this.#state === "closed") return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#beatNow(), milliseconds);
    this.#timer.unref();
  }

  async #register(): Promise<number> {
    const [row] = await this.#connection.ask(
      "INSERT INTO replica (name, until) VALUES ($1, clock_timestamp() + make_interval(secs => $2)) RETURNING id",
      [`${hostname()}/${process.pid}`, this.#seconds],
    );
    if (typeof row?.id !== "number") throw new Error("the database gave a replica no number");
    this.#owner = row.id;
    return row.id;
  }
}
