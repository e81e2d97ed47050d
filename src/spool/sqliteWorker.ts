import { readdirSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import { type AdminQuestion, isAdminQuestion } from "./adminOperation.ts";
import { Checkpoint } from "./checkpoint.ts";
import { Claims } from "./claims.ts";
import { type AtPoint, loadPoints } from "./commitPoint.ts";
import { FreshMessages } from "./freshMessages.ts";
import { QueueActions } from "./queueActions.ts";
import { type Applied, QueueTables } from "./queueTables.ts";
import type { QueueTally } from "./queueTally.ts";
import { prepareDatabase } from "./schema.ts";
import { failureOf, isLocked, isMissing } from "./storeFailure.ts";
import type { Answer, Change, MessageRow, Opened, Operation, Question, WorkerSettings } from "./storeOperation.ts";
import { keepTally, readTally } from "./tallySnapshot.ts";
import { checkLog } from "./writeAheadLog.ts";

/**
 * The worker thread that owns the database. Group commit: all changes of a batch are one transaction, answered after its COMMIT (an fsync)
 * returned; while it runs, the next batch gathers on the other side.
 */
function isChange(operation: Operation): operation is Change {
  const { kind } = operation;
  return kind === "store" || kind === "settle" || kind === "bring-forward" || kind === "probe";
}

class Queue {
  readonly #database: DatabaseSync;
  readonly #tables: QueueTables;
  readonly #fresh = new FreshMessages();
  readonly #claims: Claims;
  readonly #actions: QueueActions;
  readonly #tally: QueueTally;
  readonly #settings: WorkerSettings;
  readonly #at: AtPoint;
  readonly #checkpoint: Checkpoint;
  /** Body files whose message has left. */
  readonly #unneeded = new Set<string>();

  constructor(database: DatabaseSync, settings: WorkerSettings, at: AtPoint) {
    this.#at = at;
    this.#database = database;
    this.#settings = settings;
    this.#checkpoint = new Checkpoint(database, settings.database);
    this.#tables = new QueueTables(database);
    this.#tally = readTally(database);
    this.#claims = new Claims(this.#tables, this.#fresh);
    this.#actions = new QueueActions(database, this.#tables, this.#claims, this.#tally);
  }

  destinations(): readonly { destination: string; due: number }[] {
    return this.#tables.destinations();
  }

  /** Files of messages whose row was never committed, or is gone: a crash came in between. */
  sweepOrphans(): void {
    for (const file of readdirSync(this.#settings.bodies)) {
      if (!this.#tables.hasFile(file)) unlinkSync(join(this.#settings.bodies, file));
    }
  }

  /** After a restart nobody knows how far the clock was ahead: what waits too long is due now. */
  boundWaits(): void {
    const { now, latestDue } = this.#settings;
    this.#tables.bringForward(latestDue, 0, now);
  }

  run(batch: readonly Operation[]): readonly Answer[] {
    const outcomes = new Map<Operation, Answer>();
    const changes = this.#admitted(batch.filter(isChange), outcomes);
    if (changes.length > 0) this.#commitTogether(changes, outcomes);
    for (const operation of batch) {
      if (operation.kind === "release") this.#claims.end(operation.key);
      if (operation.kind === "settle" && outcomes.get(operation)?.kind === "done") this.#claims.end(operation.key);
    }
    return batch.map((operation) => outcomes.get(operation) ?? this.#answer(operation));
  }

  /** While the log does not move into the database, what became of queued mail is recorded, and nothing new is taken. */
  #admitted(changes: readonly Change[], outcomes: Map<Operation, Answer>): readonly Change[] {
    const intake = changes.filter(({ kind }) => kind === "store" || kind === "probe");
    const trouble = intake.length === 0 ? undefined : this.#checkpoint.trouble();
    if (trouble === undefined) return changes;
    const { error, text } = this.#failure(trouble);
    const refusal = { kind: "failed", error, text: `the log cannot be moved into the database: ${text}` } as const;
    for (const change of intake) outcomes.set(change, refusal);
    return changes.filter((change) => !outcomes.has(change));
  }

  /** One transaction for all; when it fails, one for each, so that a change that cannot be stored does not take others with it. */
  #commitTogether(changes: readonly Change[], outcomes: Map<Operation, Answer>): void {
    const answer = this.#commit(changes);
    if (answer.kind === "done" || changes.length === 1) for (const change of changes) outcomes.set(change, answer);
    else for (const change of changes) outcomes.set(change, this.#commit([change]));
  }

  #commit(changes: readonly Change[]): Answer {
    let applied: Applied;
    try {
      this.#database.exec("BEGIN IMMEDIATE");
      applied = this.#tables.apply(changes);
      this.#tellOf(changes, "before-commit");
      this.#database.exec("COMMIT");
      this.#tellOf(changes, "after-commit");
    } catch (error) {
      // After some errors (SQLITE_FULL, SQLITE_IOERR) SQLite has rolled back by itself.
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      return this.#failure(error);
    }
    this.#checkpoint.committed();
    for (const change of changes) this.#count(change);
    for (const { sequence, message } of applied.stored) this.#fresh.keep(sequence, message);
    this.#removeBodies(applied.files);
    return { kind: "done" };
  }

  #count(change: Change): void {
    if (change.kind === "store") this.#countNew(change.message);
    if (change.kind !== "settle") return;
    const was = this.#claims.entry(change.key);
    if (was !== undefined) this.#tally.changed(was, { ...was, recipients: change.waiting });
    for (const message of change.generated) this.#countNew(message);
  }

  #countNew({ envelope: { id, acceptedAt }, works }: MessageRow): void {
    for (const { destination, recipients } of works) this.#tally.changed(undefined, { id, acceptedAt, destination, recipients });
  }

  #removeBodies(files: readonly string[]): void {
    for (const file of files) this.#unneeded.add(file);
    for (const file of this.#unneeded) this.#removeBody(file);
  }

  #tellOf(changes: readonly Change[], when: "before-commit" | "after-commit"): void {
    for (const kind of ["store", "settle"] as const)
      if (changes.some((change) => change.kind === kind)) this.#at(`${kind}-${when}`);
  }

  #removeBody(file: string): void {
    this.#at("body-before-removal");
    try {
      unlinkSync(join(this.#settings.bodies, file));
    } catch (error) {
      // The message is done and its row is gone; only its space is not free yet. Tried again after the next commit, and at the next start.
      if (!isMissing(error)) return;
    }
    this.#unneeded.delete(file);
  }

  #answer(operation: Operation): Answer {
    if (isChange(operation) || operation.kind === "release") return { kind: "done" };
    try {
      if (operation.kind === "act") return this.#act(operation);
      if (isAdminQuestion(operation)) return this.#actions.answer(operation);
      return operation.kind === "close" ? this.#close() : this.#ask(operation);
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      return this.#failure(error);
    }
  }

  #act(question: AdminQuestion & { kind: "act" }): Answer {
    const { answer, files } = this.#actions.act(question);
    this.#removeBodies(files);
    return answer;
  }

  #ask(question: Question): Answer {
    switch (question.kind) {
      case "claim":
        return this.#claims.claim(question);
      case "content": {
        const found = this.#tables.content(question.id);
        return found === undefined ? { kind: "unknown" } : { kind: "content", ...found };
      }
      case "counts": {
        const tally = this.#tables.tally();
        const active = this.#claims.active((message) => tally.held > 0 && this.#actions.isHeld(message));
        const waiting = {
          incoming: tally.incoming - active.incoming,
          deferred: tally.deferred - active.deferred,
          held: tally.held - active.held,
        };
        return { kind: "counted", counts: { ...tally, ...waiting, active: active.incoming + active.deferred + active.held } };
      }
      default:
        return question satisfies never;
    }
  }

  #close(): Answer {
    try {
      keepTally(this.#database, this.#tally);
      this.#at("before-checkpoint");
      this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
      this.#at("after-checkpoint");
    } catch (error) {
      // On a full disk nothing is kept of the tally, and the log stays beside the database, and the next start reads it: nothing is lost, so closing goes on.
      if (!(error instanceof Error)) throw error;
    }
    this.#database.close();
    return { kind: "done" };
  }

  #failure(error: unknown): Answer & { kind: "failed" } {
    return failureOf(error, dirname(this.#settings.database));
  }
}

/** By reading, which changes nothing, and which the lock of a running relay forbids. */
function isInUse(path: string): boolean {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    database.prepare("SELECT count(*) FROM sqlite_schema").get();
    return false;
  } catch (error) {
    return isLocked(error);
  } finally {
    database.close();
  }
}

function open(settings: WorkerSettings, at: AtPoint): { opened: Opened; queue?: Queue } {
  const directory = dirname(settings.database);
  try {
    const log = checkLog(`${settings.database}-wal`);
    // Opened, it would lose what is behind the damage. The log of another relay that runs may be seen half written.
    if (log.kind === "damaged") return { opened: isInUse(settings.database) ? { kind: "locked" } : log };
    const database = new DatabaseSync(settings.database);
    const verdict = prepareDatabase(database);
    if (verdict.kind !== "ready") {
      database.close();
      return { opened: verdict };
    }
    const queue = new Queue(database, settings, at);
    queue.sweepOrphans();
    queue.boundWaits();
    return { opened: { kind: "opened", due: queue.destinations() }, queue };
  } catch (error) {
    return { opened: isLocked(error) ? { kind: "locked" } : failureOf(error, directory) };
  }
}

function contents(answers: readonly Answer[]): ArrayBuffer[] {
  const blobs = answers.flatMap((answer) => {
    if (answer.kind === "claimed") return answer.works.map((work) => work.content);
    return answer.kind === "content" ? [answer.bytes] : [];
  });
  return blobs.flatMap((blob) => (blob === undefined ? [] : [blob.buffer as ArrayBuffer]));
}

const settings = workerData as WorkerSettings;
const { opened, queue } = open(settings, await loadPoints(settings.points));
parentPort?.postMessage(opened);
if (queue !== undefined) {
  parentPort?.on("message", (batch: readonly Operation[]) => {
    const answers = queue.run(batch);
    parentPort?.postMessage(answers, contents(answers));
    if (batch.some((operation) => operation.kind === "close")) parentPort?.close();
  });
}
