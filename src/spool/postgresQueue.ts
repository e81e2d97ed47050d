import { setTimeout as delay } from "node:timers/promises";
import { crc32 } from "node:zlib";
import type { Clock, Random } from "../clock.ts";
import { DatabaseTime } from "./databaseTime.ts";
import type { MessageId, NewMessage, Settled, Work } from "./message.ts";
import { messageIds } from "./messageId.ts";
import { SpoolWriter } from "./messageWriter.ts";
import type { PostgresBodies } from "./postgresBody.ts";
import { isForeignKeyViolation, type PostgresConnection } from "./postgresConnection.ts";
import { countQueue } from "./postgresCounts.ts";
import { PostgresDue } from "./postgresDue.ts";
import { PostgresIntake } from "./postgresIntake.ts";
import type { PostgresLease } from "./postgresLease.ts";
import { PostgresQueueAdmin } from "./postgresQueueAdmin.ts";
import { claimedWorkOf, integer, text } from "./postgresRows.ts";
import { type Claimed, PostgresSettlement } from "./postgresSettlement.ts";
import { PostgresFold } from "./postgresStatistics.ts";
import type { QueueAdmin } from "./queueAdmin.ts";
import { messageRow, workOf } from "./queueRows.ts";
import { SenderTurns } from "./senderTurns.ts";
import { type ClaimRequest, type MessageWriter, type QueueCounts, type Store, StoreError } from "./store.ts";
import type { MessageRow } from "./storeOperation.ts";

const RETRY_MILLISECONDS = 500;
/** How long a delivery waits to hear whether its lease holds, before it is put off. */
const HOLDS_MILLISECONDS = 10_000;
/** No limit, as the database writes it. */
const MOST = 2 ** 31 - 1;

type Leased = {
  claimed: readonly Claimed[];
  /** When each of the destinations that were looked at has its next unclaimed work. */
  next: readonly { destination: string; due: number | undefined }[];
};
const NOTHING: Leased = { claimed: [], next: [] };

export type PostgresQueueParts = {
  connection: PostgresConnection;
  /** For counting, and the operator's hands. */
  forOperator: PostgresConnection;
  lease: PostgresLease;
  bodies: PostgresBodies;
  inlineBytes: number;
  clock: Clock;
  random: Random;
  onTrouble: (error: StoreError) => void;
};

type LeaseRequest = {
  now: number;
  limit: number;
  perDestination: number;
  picks: readonly { destination: string; room: number }[];
};

/** The shared queue as one replica sees it: what is due where is remembered here and corrected by every claim; the truth is in the database. */
export class PostgresQueue implements Store {
  readonly queueAdmin: QueueAdmin;
  readonly failed = new Promise<Error>(() => undefined);
  readonly #parts: PostgresQueueParts;
  readonly #newName: () => MessageId;
  readonly #turns = new SenderTurns();
  readonly #intake: PostgresIntake;
  readonly #settlement: PostgresSettlement;
  readonly #due: PostgresDue;
  readonly #fold: PostgresFold;
  readonly #time: DatabaseTime;
  readonly #claims = new WeakMap<Work, Claimed>();
  readonly #listeners: ((destinations?: readonly string[]) => void)[] = [];
  readonly #closing = new AbortController();

  constructor(parts: PostgresQueueParts) {
    const { connection, bodies, inlineBytes, clock, random, onTrouble } = parts;
    this.#parts = parts;
    this.#newName = messageIds(clock, random);
    this.#time = new DatabaseTime(clock);
    const time = this.#time;
    this.#intake = new PostgresIntake({
      connection,
      bodies,
      inlineBytes,
      turns: this.#turns,
      newName: this.#newName,
      clock,
      time,
    });
    this.#settlement = new PostgresSettlement({
      connection,
      intake: this.#intake,
      clock,
      time,
      closing: this.#closing.signal,
      onTrouble,
    });
    this.#due = new PostgresDue(connection, time, () => this.#announce());
    this.#fold = new PostgresFold(connection);
    this.queueAdmin = new PostgresQueueAdmin({
      connection: parts.forOperator,
      flushed: () => parts.lease.flushed(),
      onDue: async () => {
        await this.#due.look();
        this.#announce();
      },
      now: () => clock.now(),
      time,
    });
  }

  /** Resolves when this replica knows what is due; from then on it is one of those that serve the queue. */
  async start(): Promise<void> {
    await this.#due.start();
    this.#parts.lease.start();
    this.#parts.bodies.start();
    this.#fold.start();
  }

  begin(): MessageWriter {
    return new SpoolWriter({
      bodies: this.#parts.bodies,
      newName: this.#newName,
      inlineBytes: this.#parts.inlineBytes,
      requireSpace: () => this.#requireOpen(),
      store: (envelope, recipients, content) => this.#insert(messageRow(envelope, recipients, content, this.#turns)),
    });
  }

  async add(message: NewMessage, content: Buffer): Promise<void> {
    this.#requireOpen();
    const row = await this.#intake.rowOf(message, content);
    try {
      await this.#insert(row);
    } catch (error) {
      await this.#intake.discard(row);
      throw error;
    }
  }

  async #insert(message: MessageRow): Promise<void> {
    await this.#intake.store(message, this.#closing.signal);
    this.#offer(message);
    this.#announce(message.works.map(({ destination }) => destination));
  }

  async claim({ now, limit, exclude, room, opened = [], destinationLimit }: ClaimRequest): Promise<readonly Work[]> {
    const free = (destination: string): number => (exclude.has(destination) ? 0 : Math.min(limit, room?.(destination) ?? limit));
    await this.#parts.lease.flushed();
    for (const destination of opened) this.#due.unpark(destination);
    for (;;) {
      const picks = this.#due.pick(now, limit, free);
      if (picks.length === 0) return [];
      const request = { now, limit, perDestination: destinationLimit ?? MOST, picks };
      const { claimed, next } = (await this.#lease(request)) ?? (await this.#lease(request)) ?? NOTHING;
      this.#due.correct(next, now, claimed.length);
      if (claimed.length > 0) return this.#taken(claimed, now);
      if (next.length === 0) return [];
    }
  }

  /** Undefined: this replica was declared dead; it lives on under another number, which is the one to claim under. */
  async #lease({ now, limit, perDestination, picks }: LeaseRequest): Promise<Leased | undefined> {
    const { lease, connection } = this.#parts;
    const owner = await lease.owner().catch((error: unknown) => {
      throw connection.failure(error);
    });
    const batch = lease.nextBatch();
    try {
      const destinations = picks.map(({ destination }) => destination);
      const rooms = picks.map(({ room }) => room);
      const { ahead } = this.#time;
      const values = [owner, batch, now + ahead, limit, Math.min(perDestination, MOST), destinations, rooms];
      const rows = await connection.ask("SELECT * FROM claim($1, $2, $3, $4, $5, $6, $7)", values);
      const works = rows.filter(({ message }) => message !== null).map((row) => claimedWorkOf(row, ahead));
      const next = rows
        .filter(({ message }) => message === null)
        .map((row) => ({
          destination: text(row, "destination"),
          due: row.due === null ? undefined : integer(row, "due") - ahead,
        }));
      return { claimed: works.map((work): Claimed => ({ ...work, key: { ...work.key, owner } })), next };
    } catch (error) {
      lease.claimFailed(owner, batch, error);
      if (isForeignKeyViolation(error)) return undefined;
      throw connection.failure(error);
    }
  }

  #taken(claimed: readonly Claimed[], now: number): readonly Work[] {
    return claimed.map((one) => {
      const work = workOf(one, now);
      this.#claims.set(work, one);
      return work;
    });
  }

  async *content(id: MessageId): AsyncGenerator<Buffer> {
    const { connection, bodies } = this.#parts;
    try {
      const [row] = await connection.ask("SELECT size, checksum, body, content FROM message WHERE id = $1", [id]);
      if (row === undefined) throw new StoreError("io", `message ${id} is not in the queue`);
      const { body, content } = row;
      const [size, checksum] = [integer(row, "size"), integer(row, "checksum")];
      if (typeof body === "string") yield* bodies.read(body, size, checksum);
      else if (Buffer.isBuffer(content) && content.length === size && crc32(content) === checksum) yield content;
      else throw new StoreError("corrupt", `the content of message ${id} is not what was stored: delete it from the queue`);
    } catch (error) {
      throw connection.failure(error);
    }
  }

  async holds(work: Work): Promise<"held" | "lost"> {
    const claimed = this.#claims.get(work);
    if (claimed === undefined) return "lost";
    const { lease, clock } = this.#parts;
    const deadline = clock.monotonic() + HOLDS_MILLISECONDS;
    for (;;) {
      try {
        return (await lease.holds(claimed.key)) ? "held" : "lost";
      } catch (error) {
        // Who cannot know must not send: others may have it by now.
        if (!(error instanceof Error) || clock.monotonic() > deadline || this.#closing.signal.aborted) return "lost";
      }
      await delay(RETRY_MILLISECONDS);
    }
  }

  async settle(
    work: Work,
    settled: readonly Settled[],
    generated: readonly { message: NewMessage; content: Buffer }[],
  ): Promise<void> {
    const claimed = this.#claims.get(work);
    if (claimed === undefined) throw new Error(`message ${work.envelope.id} at ${work.destination} is not claimed`);
    const { waiting, stored } = await this.#settlement.record(claimed, settled, generated);
    this.#claims.delete(work);
    for (const one of waiting) this.#due.offer(work.destination, one.due);
    this.#due.unpark(work.destination);
    for (const message of stored) this.#offer(message);
    if (stored.length > 0) this.#announce();
  }

  release(work: Work): void {
    const claimed = this.#claims.get(work);
    if (claimed === undefined) return;
    this.#claims.delete(work);
    this.#parts.lease.release(claimed.key, () => {
      this.#due.offer(work.destination, claimed.due);
      this.#due.unpark(work.destination);
      this.#announce();
    });
  }

  nextDueAt(exclude?: Pick<ReadonlySet<string>, "has">): Promise<number | undefined> {
    return Promise.resolve(this.#due.next(exclude));
  }

  async counts(): Promise<QueueCounts> {
    await this.#parts.lease.flushed();
    const counts = await countQueue(this.#parts.forOperator);
    const { oldestAcceptedAt } = counts;
    return oldestAcceptedAt === undefined ? counts : { ...counts, oldestAcceptedAt: oldestAcceptedAt - this.#time.ahead };
  }

  onWork(listener: (destinations?: readonly string[]) => void): void {
    this.#listeners.push(listener);
  }

  async health(): Promise<{ kind: "writable" } | { kind: "unwritable"; reason: string }> {
    try {
      this.#requireOpen();
      await this.#parts.lease.beat();
      return { kind: "writable" };
    } catch (error) {
      return { kind: "unwritable", reason: this.#parts.connection.failure(error).message };
    }
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#due.stop();
    this.#fold.stop();
    this.#parts.bodies.stop();
    await this.#parts.lease.close();
    await Promise.all([this.#parts.forOperator.close(), this.#parts.connection.close()]);
  }

  #requireOpen(): void {
    if (this.#closing.signal.aborted) throw new StoreError("closed", "the spool is closed");
  }

  #offer(message: MessageRow): void {
    for (const { destination, due } of message.works) this.#due.offer(destination, due);
  }

  #announce(destinations?: readonly string[]): void {
    for (const listener of this.#listeners) listener(destinations);
  }
}
