import { rmSync } from "node:fs";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import type { Clock, Random } from "../clock.ts";
import type { AdminAnswer } from "./adminOperation.ts";
import type { BodyFiles } from "./bodyFiles.ts";
import type { AtPoint } from "./commitPoint.ts";
import type { Disk } from "./disk.ts";
import { DueIndex } from "./dueIndex.ts";
import { EmbeddedQueueAdmin } from "./embeddedQueueAdmin.ts";
import type { MessageId, NewMessage, Settled, Work } from "./message.ts";
import { messageIds } from "./messageId.ts";
import { SpoolWriter, writeWhole } from "./messageWriter.ts";
import type { OperationQueue } from "./operationQueue.ts";
import { Persistence } from "./persistence.ts";
import type { AdministeredStore } from "./queueAdmin.ts";
import { messageRow, settlement, workOf } from "./queueRows.ts";
import { SenderTurns } from "./senderTurns.ts";
import { type ClaimRequest, type MessageWriter, type QueueCounts, StoreError } from "./store.ts";
import { isUnknown, repairAdvice, requireError, requireStoreError, storeError } from "./storeFailure.ts";
import type { Answer, ClaimedWork, MessageRow } from "./storeOperation.ts";

/** How long a measured amount of free space is believed. */
const SPACE_MEASURE_MILLISECONDS = 100;
/** The wall clock has gone back when it is this much behind the monotonic one. */
const CLOCK_JUMP_MILLISECONDS = 60_000;
/** Between attempts to record a delivery that the disk had no room for. */
const SETTLE_RETRY_MILLISECONDS = 1000;

export type EmbeddedStoreSettings = {
  directory: string;
  inlineBytes: number;
  reserveBytes: number;
  clock: Clock;
  random: Random;
  disk: Disk;
  at: AtPoint;
  /** Of what is tried again by itself. */
  onTrouble: (error: StoreError) => void;
};

/** The store on this side of the worker thread: what is due when, who has claimed what, and the bodies in files. */
export class EmbeddedStore implements AdministeredStore {
  readonly #settings: EmbeddedStoreSettings;
  readonly #queue: OperationQueue;
  readonly #bodies: BodyFiles;
  readonly #newName: () => MessageId;
  readonly #due = new DueIndex();
  readonly #turns = new SenderTurns();
  readonly queueAdmin: EmbeddedQueueAdmin;
  readonly #claims = new WeakMap<Work, ClaimedWork>();
  readonly #listeners: ((destinations?: readonly string[]) => void)[] = [];
  readonly #closing = new AbortController();
  readonly #persistence: Persistence;
  #clock: { now: number; monotonic: number };
  #space = { at: Number.NEGATIVE_INFINITY, free: 0 };

  constructor(
    settings: EmbeddedStoreSettings,
    queue: OperationQueue,
    bodies: BodyFiles,
    due: readonly { destination: string; due: number }[],
  ) {
    this.#settings = settings;
    this.#queue = queue;
    this.#bodies = bodies;
    this.#clock = { now: settings.clock.now(), monotonic: settings.clock.monotonic() };
    this.#newName = messageIds(settings.clock, settings.random);
    this.#persistence = new Persistence({
      failureOf: requireStoreError,
      isOver: () => this.#closing.signal.aborted || queue.ended !== undefined,
      pauseMilliseconds: SETTLE_RETRY_MILLISECONDS,
      onTrouble: settings.onTrouble,
    });
    for (const entry of due) this.#due.set(entry.destination, entry.due);
    this.queueAdmin = new EmbeddedQueueAdmin({
      ask: async (question) => {
        const answer = await queue.submit(question);
        if (answer.kind === "failed") throw new StoreError(answer.error, answer.text);
        return answer as AdminAnswer;
      },
      now: settings.clock.now,
      monotonic: settings.clock.monotonic,
      offer: (offers) => {
        for (const { destination, due: at } of offers) this.#due.offer(destination, at);
        this.#announce(offers.map(({ destination }) => destination));
      },
    });
    void this.queueAdmin.count(this.#closing.signal).catch((error: unknown) => {
      // The spool cannot be read, or is closed: whoever asks for the statistics, or for mail, is told.
      if (!(error instanceof StoreError)) throw error;
    });
  }

  begin(): MessageWriter {
    return new SpoolWriter({
      bodies: this.#bodies,
      newName: this.#newName,
      inlineBytes: this.#settings.inlineBytes,
      requireSpace: () => this.#requireSpace(),
      store: (envelope, recipients, content) => this.#insert(messageRow(envelope, recipients, content, this.#turns)),
    });
  }

  async add(message: NewMessage, content: Buffer): Promise<void> {
    this.#requireSpace();
    const row = await this.#rowOf(message, content);
    try {
      await this.#insert(row);
    } catch (error) {
      await this.#discard(row, error);
      throw error;
    }
  }

  async #insert(message: MessageRow): Promise<void> {
    this.#require(await this.#queue.submit({ kind: "store", message }), "done");
    this.#settings.at("stored-before-reply");
    this.#offer(message);
    this.#announce(message.works.map(({ destination }) => destination));
  }

  async claim({ now, limit, exclude, room, opened = [] }: ClaimRequest): Promise<readonly Work[]> {
    const free = (destination: string): number => (exclude.has(destination) ? 0 : Math.min(limit, room?.(destination) ?? limit));
    await this.#followClock();
    for (const destination of opened) this.#due.unpark(destination);
    for (;;) {
      const picks = this.#due.pick(now, limit, free);
      if (picks.length === 0) return [];
      const answer = this.#require(await this.#queue.submit({ kind: "claim", now, limit, picks }), "claimed");
      for (const { destination, due } of answer.next) this.#due.set(destination, due);
      // None: what was thought to be due was claimed already, and the index knows better now.
      if (answer.works.length === 0) continue;
      return answer.works.map((claimed) => {
        const work = workOf(claimed, now);
        this.#claims.set(work, claimed);
        return work;
      });
    }
  }

  /** A clock that is set back would leave queued mail waiting until it catches up: its due times go back with it. */
  async #followClock(): Promise<void> {
    const now = this.#settings.clock.now();
    const monotonic = this.#settings.clock.monotonic();
    const expected = this.#clock.now + (monotonic - this.#clock.monotonic);
    this.#clock = { now, monotonic };
    const by = expected - now;
    if (by < CLOCK_JUMP_MILLISECONDS) return;
    this.#require(await this.#queue.submit({ kind: "bring-forward", after: now, by }), "done");
    this.#due.bringForward(now, by);
  }

  async *content(id: MessageId): AsyncGenerator<Buffer> {
    const answer = await this.#queue.submit({ kind: "content", id });
    if (answer.kind === "unknown") throw new StoreError("io", `message ${id} is not in the queue`);
    const { size, checksum, bytes, file } = this.#require(answer, "content");
    if (file !== undefined) {
      yield* this.#bodies.read(file, size, checksum);
      return;
    }
    if (bytes?.length !== size) {
      throw new StoreError("corrupt", `message ${id} has ${bytes?.length ?? 0} octets of ${size}: ${this.#advice()}`);
    }
    if (checksum !== undefined && crc32(bytes) !== checksum) {
      throw new StoreError(
        "corrupt",
        `the content of message ${id} is not what was stored: delete it from the queue, and ${this.#advice()}`,
      );
    }
    yield Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  async settle(
    work: Work,
    settled: readonly Settled[],
    generated: readonly { message: NewMessage; content: Buffer }[],
  ): Promise<void> {
    const claimed = this.#claims.get(work);
    if (claimed === undefined) throw new Error(`message ${work.envelope.id} at ${work.destination} is not claimed`);
    this.#settings.at("replied-before-record");
    const { waiting, attempts } = settlement(claimed, settled, this.#settings.clock.now());
    await this.#persistence.record(async () => {
      const messages: MessageRow[] = [];
      try {
        for (const { message, content } of generated) messages.push(await this.#rowOf(message, content));
        this.#require(
          await this.#queue.submit({ kind: "settle", key: claimed.key, waiting, attempts, generated: messages }),
          "done",
        );
      } catch (error) {
        for (const message of messages) await this.#discard(message, error);
        throw error;
      }
      for (const message of messages) this.#offer(message);
    });
    this.#settings.at("settled");
    this.#claims.delete(work);
    for (const { due } of waiting) this.#due.offer(work.destination, due);
    this.#due.unpark(work.destination);
    if (generated.length > 0) this.#announce();
  }

  release(work: Work): void {
    const claimed = this.#claims.get(work);
    if (claimed === undefined) return;
    this.#claims.delete(work);
    this.#due.offer(work.destination, claimed.due);
    this.#due.unpark(work.destination);
    // Once more when the worker has heard of it: the answer to an earlier claim, on its way now, does not know it as due.
    void this.#queue.submit({ kind: "release", key: claimed.key }).then(() => {
      this.#due.offer(work.destination, claimed.due);
      this.#announce();
    });
  }

  nextDueAt(exclude?: Pick<ReadonlySet<string>, "has">): Promise<number | undefined> {
    return Promise.resolve(this.#due.nextDue(exclude));
  }

  async counts(): Promise<QueueCounts> {
    return this.#require(await this.#queue.submit({ kind: "counts" }), "counted").counts;
  }

  onWork(listener: (destinations?: readonly string[]) => void): void {
    this.#listeners.push(listener);
  }

  get failed(): Promise<Error> {
    return this.#queue.failed;
  }

  async health(): Promise<{ kind: "writable" } | { kind: "unwritable"; reason: string }> {
    try {
      this.#requireSpace();
      this.#require(await this.#queue.submit({ kind: "probe" }), "done");
      return { kind: "writable" };
    } catch (error) {
      return { kind: "unwritable", reason: storeError(error, this.#settings.directory).message };
    }
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    const answer = await this.#queue.submit({ kind: "close" });
    await this.#queue.terminate();
    // Before the lock was released the number was ours; a successor writes its own only after it has the lock.
    if (answer.kind === "done") rmSync(join(this.#settings.directory, "pid"), { force: true });
    else this.#require(answer, "done");
  }

  #advice(): string {
    return repairAdvice(this.#settings.directory);
  }

  #require<K extends Answer["kind"]>(answer: Answer, kind: K): Answer & { kind: K } {
    if (answer.kind === "failed") throw new StoreError(answer.error, answer.text, answer);
    if (answer.kind !== kind) throw new Error(`the spool answered ${answer.kind}, not ${kind}`);
    return answer as Answer & { kind: K };
  }

  #requireSpace(): void {
    const { clock, directory, disk, reserveBytes } = this.#settings;
    const now = clock.monotonic();
    try {
      if (now - this.#space.at > SPACE_MEASURE_MILLISECONDS) this.#space = { at: now, free: disk.freeBytes(directory) };
    } catch (error) {
      throw storeError(error, directory);
    }
    if (this.#space.free >= reserveBytes) return;
    const text = `${this.#space.free} octets are free on the file system of ${directory}, ${reserveBytes} are kept for the record of deliveries: free some space there`;
    throw new StoreError("full", text);
  }

  async #rowOf({ envelope, recipients }: NewMessage, content: Buffer): Promise<MessageRow> {
    const stored = await writeWhole(this.#bodies, this.#newName(), content, this.#settings.inlineBytes);
    return messageRow({ ...envelope, size: stored.size }, recipients, stored, this.#turns);
  }

  /** Best effort: a file without a row is swept at the next start. */
  async #discard({ file }: MessageRow, error: unknown): Promise<void> {
    if (file !== undefined && !isUnknown(error)) await this.#bodies.remove(file).catch(requireError);
  }

  #offer(message: MessageRow): void {
    for (const { destination, due } of message.works) this.#due.offer(destination, due);
  }

  #announce(destinations?: readonly string[]): void {
    for (const listener of this.#listeners) listener(destinations);
  }
}
