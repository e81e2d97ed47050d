import type { Clock } from "../clock.ts";
import type { Shard } from "./shards.ts";
import type { Answer, Subject } from "./workerMessage.ts";
import { type WorkerEnd, WorkerProcess } from "./workerProcess.ts";

/**
 * The supervisor of the worker processes: each has a shard of the spool, one that ends unasked is started again with its shard, after a wait that
 * doubles while it does not live long. What is left over in shards that no setting names any more is delivered by workers that take no mail and
 * end when their queue is empty.
 *
 *   starting --ready--> working --ends unasked--> waiting --> starting
 *                          +-- stop, or its left-over queue is empty --> stopping --> gone
 */
export type SupervisorOptions = {
  shards: readonly Shard[];
  leftOver: readonly Shard[];
  /** Arguments of the program for the worker of a shard. */
  argumentsFor: (shard: Shard, role: Role) => readonly string[];
  clock: Clock;
  out: (lines: string) => void;
  err: (lines: string) => void;
  onEvent: (event: SupervisorEvent) => void;
  /** How many messages are in the queue, by the metrics of a worker; undefined when they do not say. */
  queued: (metrics: readonly unknown[]) => number | undefined;
  restart?: { initialMilliseconds: number; maximumMilliseconds: number };
};

/** accepts: takes mail; empties: only delivers what a shard holds. */
export type Role = "accepts" | "empties";

export type SupervisorEvent =
  | { kind: "ended"; shard: string; end: WorkerEnd; restartMilliseconds: number }
  | { kind: "restarted"; shard: string }
  /** A shard that was left over holds nothing any more. */
  | { kind: "emptied"; shard: string };

type Slot = { shard: Shard; role: Role; worker: WorkerProcess; wait: number; timer?: NodeJS.Timeout };

const RESTART = { initialMilliseconds: 500, maximumMilliseconds: 30_000 };
/** A worker that lived so long did not fail at its start. */
const SETTLED_MILLISECONDS = 60_000;
const EMPTY_CHECK_MILLISECONDS = 2000;

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #slots = new Set<Slot>();
  #state: "running" | "stopping" = "running";
  #emptyCheck: NodeJS.Timeout | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Resolves when every worker works; rejects, with none left running, when one ends instead. */
  async start(): Promise<void> {
    const { shards, leftOver } = this.#options;
    for (const shard of shards) this.#slots.add(this.#begin(shard, "accepts"));
    for (const shard of leftOver) this.#slots.add(this.#begin(shard, "empties"));
    const slots = [...this.#slots];
    const results = await Promise.all(slots.map(({ worker }) => worker.ready));
    const failed = slots.find((_, n) => results[n] === "ended");
    if (failed !== undefined) {
      const text = endText(await failed.worker.ended);
      // What became of the others does not matter any more: none had begun.
      await this.#endAll();
      throw new Error(`the worker of ${failed.shard.directory} ended at its start (${text}): its log lines say why`);
    }
    for (const slot of slots) this.#watch(slot, this.#options.clock.monotonic());
    if (leftOver.length > 0) this.#emptyCheck = setInterval(() => void this.#endEmpty(), EMPTY_CHECK_MILLISECONDS).unref();
  }

  /** Every worker drains; resolves when all are gone. Rejects when one of them could not drain. */
  async stop(): Promise<void> {
    const failed = await this.#endAll();
    if (failed.length > 0) throw new Error(`not all workers drained: ${failed.join(", ")}`);
  }

  /** Resolves with those that ended otherwise than by a drain. */
  async #endAll(): Promise<readonly string[]> {
    this.#state = "stopping";
    clearInterval(this.#emptyCheck);
    const slots = [...this.#slots];
    for (const slot of slots) {
      clearTimeout(slot.timer);
      slot.worker.tell({ kind: "stop" });
      // Who is still starting may not have heard it.
      void slot.worker.ready.then(() => slot.worker.tell({ kind: "stop" }));
    }
    const ends = await Promise.all(slots.map(({ worker }) => worker.ended));
    return slots.flatMap(({ shard, timer }, n) => {
      const end = ends[n];
      // One that waited for its restart had ended before.
      if (end === undefined || timer !== undefined || (end.kind === "exited" && end.code === 0)) return [];
      return [`${shard.name}: ${endText(end)}`];
    });
  }

  reload(): void {
    for (const { worker } of this.#slots) worker.tell({ kind: "reload" });
  }

  /** What each worker answers. */
  ask(what: Subject): Promise<readonly { shard: string; role: Role; answer: Answer }[]> {
    const slots = [...this.#slots];
    return Promise.all(
      slots.map(async ({ shard, role, worker }) => ({ shard: shard.name, role, answer: await worker.ask(what) })),
    );
  }

  /** Those of the moment, to ask one of them. */
  get workers(): readonly { shard: string; ask: WorkerProcess["ask"] }[] {
    return [...this.#slots].map(({ shard, worker }) => ({
      shard: shard.name,
      ask: (what, request, milliseconds) => worker.ask(what, request, milliseconds),
    }));
  }

  #begin(shard: Shard, role: Role): Slot {
    return { shard, role, worker: this.#fork(shard, role), wait: this.#restartTimes.initialMilliseconds };
  }

  #fork(shard: Shard, role: Role): WorkerProcess {
    const { argumentsFor, out, err } = this.#options;
    return new WorkerProcess({ arguments: argumentsFor(shard, role), out, err });
  }

  get #restartTimes(): { initialMilliseconds: number; maximumMilliseconds: number } {
    return this.#options.restart ?? RESTART;
  }

  #watch(slot: Slot, since: number): void {
    void slot.worker.ended.then((end) => {
      if (this.#state === "stopping" || !this.#slots.has(slot)) return;
      const { initialMilliseconds, maximumMilliseconds } = this.#restartTimes;
      if (this.#options.clock.monotonic() - since >= SETTLED_MILLISECONDS) slot.wait = initialMilliseconds;
      this.#options.onEvent({ kind: "ended", shard: slot.shard.name, end, restartMilliseconds: slot.wait });
      slot.timer = setTimeout(() => this.#restart(slot), slot.wait);
      slot.wait = Math.min(2 * slot.wait, maximumMilliseconds);
    });
  }

  #restart(slot: Slot): void {
    delete slot.timer;
    slot.worker = this.#fork(slot.shard, slot.role);
    this.#watch(slot, this.#options.clock.monotonic());
    void slot.worker.ready.then((result) => {
      if (result === "ready") this.#options.onEvent({ kind: "restarted", shard: slot.shard.name });
    });
  }

  /** Only what is certain counts: a worker that does not answer goes on. */
  async #endEmpty(): Promise<void> {
    for (const slot of [...this.#slots].filter(({ role, timer }) => role === "empties" && timer === undefined)) {
      const answer = await slot.worker.ask("metrics");
      if (this.#state === "stopping" || answer.what !== "metrics" || this.#options.queued(answer.metrics) !== 0) continue;
      if (!this.#slots.delete(slot)) continue;
      slot.worker.tell({ kind: "stop" });
      await slot.worker.ended;
      this.#options.onEvent({ kind: "emptied", shard: slot.shard.name });
    }
  }
}

export function endText(end: WorkerEnd): string {
  switch (end.kind) {
    case "exited":
      return `exit status ${end.code}`;
    case "killed":
      return `killed by ${end.signal}`;
    case "not-begun":
      return `the system made no process: ${end.reason}`;
    default:
      return end satisfies never;
  }
}
