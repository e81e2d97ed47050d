import { Worker } from "node:worker_threads";
import type { Answer, Opened, Operation, WorkerSettings } from "./storeOperation.ts";

/**
 * The way to the worker thread. One batch is under way at a time; what is asked meanwhile gathers into the next one, so that the slower the disk,
 * the larger the transactions (group commit).
 */
type Waiting = { operation: Operation; resolve: (answer: Answer) => void };

/** So that one transaction, and the time until its first answer, stays bounded. */
const MAX_BATCH = 1000;

/** Turns of the event loop that one batch may gather for. With nothing else going on, that is one more, and takes microseconds. */
const MAX_GATHERING_TURNS = 8;

const CLOSED = "the spool is closed";
// Compiled, this file and the worker's have another extension.
const WORKER_FILE = new URL(import.meta.url.endsWith(".ts") ? "./sqliteWorker.ts" : "./sqliteWorker.js", import.meta.url);

export class OperationQueue {
  readonly #worker: Worker;
  #gathering: Waiting[] = [];
  #underWay: readonly Waiting[] = [];
  #scheduled = false;
  #closing = false;
  #end: string | undefined;
  #opened: ((opened: Opened) => void) | undefined;
  readonly #failed = Promise.withResolvers<Error>();

  private constructor(settings: WorkerSettings) {
    this.#worker = new Worker(WORKER_FILE, { workerData: settings });
    this.#worker.on("message", (message: Opened | readonly Answer[]) => this.#receive(message));
    this.#worker.on("error", (error) => this.#fail(`the spool's worker thread failed: ${error.message}`));
    this.#worker.on("exit", () => this.#fail(this.#closing ? CLOSED : "the spool's worker thread ended unasked"));
  }

  /** Starts the worker; resolves with what it found, and then operations may be submitted. */
  static async open(settings: WorkerSettings): Promise<{ queue: OperationQueue; opened: Opened }> {
    const queue = new OperationQueue(settings);
    const opened = await new Promise<Opened>((resolve) => {
      queue.#opened = resolve;
    });
    return { queue, opened };
  }

  /** Resolves when the worker has ended unasked: nothing can be stored or read any more by this process. */
  get failed(): Promise<Error> {
    return this.#failed.promise;
  }

  /** Why nothing more can be asked; undefined while the worker runs. */
  get ended(): string | undefined {
    return this.#end;
  }

  submit(operation: Operation): Promise<Answer> {
    if (this.#end !== undefined) return Promise.resolve({ kind: "failed", error: "closed", text: this.#end });
    if (operation.kind === "close") this.#closing = true;
    return new Promise((resolve) => {
      this.#gathering.push({ operation, resolve });
      this.#schedule();
    });
  }

  async terminate(): Promise<void> {
    this.#closing = true;
    await this.#worker.terminate();
  }

  #schedule(): void {
    if (this.#scheduled || this.#underWay.length > 0 || this.#gathering.length === 0) return;
    this.#scheduled = true;
    // Not at once: what other connections bring in this turn of the event loop shares the transaction.
    setImmediate(() => this.#gather(0, 1));
  }

  /** While each turn of the event loop brings more, another one is waited for, up to a bound: commits cost more than turns. */
  #gather(before: number, turn: number): void {
    const { length } = this.#gathering;
    if (length > before && turn < MAX_GATHERING_TURNS) setImmediate(() => this.#gather(length, turn + 1));
    else this.#send();
  }

  #send(): void {
    this.#scheduled = false;
    if (this.#end !== undefined || this.#underWay.length > 0) return;
    this.#underWay = this.#gathering.splice(0, MAX_BATCH);
    const operations = this.#underWay.map(({ operation }) => operation);
    this.#worker.postMessage(operations, operations.flatMap(ownedContents));
  }

  #receive(message: Opened | readonly Answer[]): void {
    if ("kind" in message) {
      this.#opened?.(message);
      return;
    }
    const answered = this.#underWay;
    this.#underWay = [];
    for (const [index, answer] of message.entries()) answered[index]?.resolve(answer);
    this.#schedule();
  }

  #fail(reason: string): void {
    if (this.#end !== undefined) return;
    this.#end = reason;
    const failure = { kind: "failed", error: reason === CLOSED ? "closed" : "io", text: reason } as const;
    if (reason !== CLOSED) this.#failed.resolve(new Error(reason));
    this.#opened?.(failure);
    for (const { resolve } of this.#underWay) resolve({ ...failure, outcome: "unknown" });
    for (const { resolve } of this.#gathering) resolve(failure);
    this.#underWay = [];
    this.#gathering = [];
  }
}

/** What is to be stored changes owner instead of being copied. What `settle` generates stays here: a settle may have to be repeated. */
function ownedContents(operation: Operation): ArrayBuffer[] {
  const content = operation.kind === "store" ? operation.message.content : undefined;
  return content?.buffer instanceof ArrayBuffer ? [content.buffer] : [];
}
