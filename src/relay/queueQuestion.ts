import type {
  QueueAction,
  QueueAdmin,
  QueueChange,
  QueuedMessage,
  QueueFilter,
  QueuePage,
  QueuePosition,
  QueueStatistic,
  StatisticKey,
} from "../spool/queueAdmin.ts";
import { StoreError } from "../spool/store.ts";
import type { Answer } from "../workers/workerMessage.ts";

/** What a supervisor asks of the queue of a worker process: QueueAdmin over their channel, as JSON. */
export type QueueQuestion =
  | { kind: "list"; filter: QueueFilter; page: { limit: number; after?: QueuePosition } }
  | { kind: "show"; id: string }
  | { kind: "statistics"; by: StatisticKey; limit: number }
  | { kind: "act"; action: QueueAction; filter: QueueFilter };

/** The worker's side. */
export function answerQueueQuestion(queue: QueueAdmin, question: QueueQuestion): Promise<unknown> {
  switch (question.kind) {
    case "list":
      return queue.list(question.filter, question.page);
    case "show":
      return queue.show(question.id);
    case "statistics":
      return queue.statistics(question.by, question.limit);
    case "act":
      return queue.act(question.action, question.filter);
    default:
      return question satisfies never;
  }
}

/** The supervisor's side: the queue of one worker. Rejects with a StoreError when the worker cannot answer. */
export class WorkerQueue implements QueueAdmin {
  readonly #shard: string;
  readonly #ask: (question: QueueQuestion) => Promise<Answer>;

  constructor(shard: string, ask: (question: QueueQuestion) => Promise<Answer>) {
    this.#shard = shard;
    this.#ask = ask;
  }

  async list(filter: QueueFilter, page: { limit: number; after?: QueuePosition }): Promise<QueuePage> {
    return (await this.#result({ kind: "list", filter, page })) as QueuePage;
  }

  async show(id: string): Promise<QueuedMessage | undefined> {
    return (await this.#result({ kind: "show", id })) as QueuedMessage | undefined;
  }

  async statistics(by: StatisticKey, limit: number): Promise<readonly QueueStatistic[]> {
    return (await this.#result({ kind: "statistics", by, limit })) as readonly QueueStatistic[];
  }

  async act(action: QueueAction, filter: QueueFilter): Promise<QueueChange> {
    return (await this.#result({ kind: "act", action, filter })) as QueueChange;
  }

  async #result(question: QueueQuestion): Promise<unknown> {
    const answer = await this.#ask(question);
    if (answer.what === "queue") return answer.result;
    const reason = answer.what === "failed" ? answer.reason : "it answered another question";
    throw new StoreError("io", `the worker of ${this.#shard}: ${reason}: try again in a moment`);
  }
}
