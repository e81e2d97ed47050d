import cluster from "node:cluster";
import type { Answer, FromWorker, Subject, ToWorker } from "./workerMessage.ts";

type Answering = (what: Subject, request: unknown) => Promise<Answer>;

/** The worker's side of the channel to its supervisor. When the supervisor is gone, node:cluster ends the worker: nothing acknowledged is lost. */
export class Supervised {
  #stop: () => void = () => undefined;
  #stopAsked = false;
  #reload: () => void = () => undefined;
  #answer: Answering = () => Promise.resolve({ what: "failed", reason: "it is starting" });

  constructor() {
    if (cluster.worker === undefined) throw new Error("this process has no supervisor");
    process.on("message", (message: ToWorker) => this.#heard(message));
  }

  /** Calls the listener once, also when the supervisor asked before. */
  onStop(listener: () => void): void {
    this.#stop = listener;
    if (this.#stopAsked) listener();
  }

  onReload(listener: () => void): void {
    this.#reload = listener;
  }

  /** From now on the supervisor's questions are answered by `answer`. */
  onQuestion(answer: Answering): void {
    this.#answer = answer;
  }

  ready(): void {
    this.#say({ kind: "ready" });
  }

  #heard(message: ToWorker): void {
    switch (message.kind) {
      case "stop":
        if (this.#stopAsked) return;
        this.#stopAsked = true;
        this.#stop();
        return;
      case "reload":
        this.#reload();
        return;
      case "ask": {
        const { number, what, request } = message;
        void this.#answer(what, request)
          .catch((error: unknown): Answer => ({ what: "failed", reason: error instanceof Error ? error.message : String(error) }))
          .then((answer) => this.#say({ kind: "answer", number, answer }));
        return;
      }
      default:
        message satisfies never;
    }
  }

  #say(message: FromWorker): void {
    if (process.connected) process.send?.(message);
  }
}
