import cluster, { type Worker } from "node:cluster";
import type { Readable } from "node:stream";
import { WholeLines } from "./wholeLines.ts";
import type { Answer, FromWorker, Subject, ToWorker } from "./workerMessage.ts";

/**
 * One worker process as its supervisor sees it. Listening sockets are shared by node:cluster: the supervisor holds them, and whichever worker is
 * free accepts. To have the supervisor hand connections on in turn takes 0.4 ms of CPU more for each.
 */
export type WorkerEnd =
  | { kind: "exited"; code: number }
  | { kind: "killed"; signal: string }
  /** The system made no process: too many of them, out of memory or of descriptors. */
  | { kind: "not-begun"; reason: string };

export type WorkerOptions = {
  /** Of the command line of this program. */
  arguments: readonly string[];
  /** Whole lines of its standard output and standard error. */
  out: (lines: string) => void;
  err: (lines: string) => void;
};

const ANSWER_MILLISECONDS = 4000;

export class WorkerProcess {
  readonly #worker: Worker;
  readonly #asked = new Map<number, (answer: Answer) => void>();
  readonly #ready = Promise.withResolvers<"ready" | "ended">();
  readonly #ended = Promise.withResolvers<WorkerEnd>();
  #number = 0;

  constructor({ arguments: args, out, err }: WorkerOptions) {
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    cluster.setupPrimary({ args: [...args], silent: true });
    this.#worker = cluster.fork();
    const { stdout, stderr } = this.#worker.process;
    passOn(stdout, out);
    passOn(stderr, err);
    this.#worker.on("message", (message: FromWorker) => this.#heard(message));
    this.#worker.on("error", (error) => {
      // Without a process there will be no exit. Else it is a message that could not be sent: the process is ending, and its exit says so.
      if (this.#worker.process.pid === undefined) this.#over({ kind: "not-begun", reason: error.message });
    });
    this.#worker.on("exit", (code: number, signal: string | null) =>
      this.#over(signal === null ? { kind: "exited", code } : { kind: "killed", signal }),
    );
  }

  /** Resolves when it works, or has ended before it did. */
  get ready(): Promise<"ready" | "ended"> {
    return this.#ready.promise;
  }

  get ended(): Promise<WorkerEnd> {
    return this.#ended.promise;
  }

  tell(message: ToWorker): void {
    if (this.#worker.isConnected()) this.#worker.send(message);
  }

  /** Never rejects; a worker that has ended, or does not answer in time, has failed to. */
  ask(what: Subject, request?: unknown, milliseconds = ANSWER_MILLISECONDS): Promise<Answer> {
    this.#number += 1;
    const number = this.#number;
    return new Promise((resolve) => {
      const late = setTimeout(() => settle({ what: "failed", reason: "it does not answer" }), milliseconds);
      const settle = (answer: Answer): void => {
        clearTimeout(late);
        this.#asked.delete(number);
        resolve(answer);
      };
      this.#asked.set(number, settle);
      if (this.#worker.isConnected()) this.tell({ kind: "ask", number, what, request });
      else settle({ what: "failed", reason: "it has ended" });
    });
  }

  #heard(message: FromWorker): void {
    switch (message.kind) {
      case "ready":
        this.#ready.resolve("ready");
        return;
      case "answer":
        this.#asked.get(message.number)?.(message.answer);
        return;
      default:
        message satisfies never;
    }
  }

  #over(end: WorkerEnd): void {
    this.#ready.resolve("ended");
    this.#ended.resolve(end);
    for (const settle of [...this.#asked.values()]) settle({ what: "failed", reason: "it has ended" });
  }
}

function passOn(stream: Readable | null, write: (lines: string) => void): void {
  const lines = new WholeLines(write);
  stream?.on("data", (chunk: Buffer) => lines.push(chunk));
  stream?.on("end", () => lines.end());
}
