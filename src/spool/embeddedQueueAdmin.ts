import { setTimeout as delay } from "node:timers/promises";
import type { AdminAnswer, AdminQuestion } from "./adminOperation.ts";
import type { MessageId } from "./message.ts";
import type {
  QueueAction,
  QueueAdmin,
  QueueChange,
  QueuedMessage,
  QueueEntry,
  QueueFilter,
  QueuePage,
  QueuePosition,
  QueueStatistic,
  StatisticKey,
} from "./queueAdmin.ts";

/** The operator's hands on the embedded spool, on this side of the worker thread: slice after slice, so that mail goes on in between. */
export type EmbeddedQueueAdminOptions = {
  /** Rejects with a StoreError. */
  ask: (question: AdminQuestion) => Promise<AdminAnswer>;
  now: () => number;
  monotonic: () => number;
  /** Something of these destinations may be due earlier than was known. */
  offer: (offers: readonly { destination: string; due: number }[]) => void;
};

/** A page is handed out after this time, however few of its entries were found. */
const PAGE_MILLISECONDS = 1000;
/** Ids in one question. */
const MAX_IDS = 500;
/** Between the slices of the count at the start, so that mail goes on. */
const COUNT_PAUSE_MILLISECONDS = 10;

export class EmbeddedQueueAdmin implements QueueAdmin {
  readonly #options: EmbeddedQueueAdminOptions;

  constructor(options: EmbeddedQueueAdminOptions) {
    this.#options = options;
  }

  async list(filter: QueueFilter, { limit, after }: { limit: number; after?: QueuePosition }): Promise<QueuePage> {
    const entries: QueueEntry[] = [];
    const started = this.#options.monotonic();
    let at = after;
    for (;;) {
      // One more than asked for, to know whether there is a further page.
      const most = limit + 1 - entries.length;
      const answer = await this.#ask({ kind: "list", filter, most, ...position(at) }, "listed");
      entries.push(...answer.entries);
      const last = entries[limit - 1];
      if (entries.length > limit && last !== undefined) return { entries: entries.slice(0, limit), next: positionOfEntry(last) };
      if (answer.at === undefined) return { entries };
      at = answer.at;
      if (this.#options.monotonic() - started > PAGE_MILLISECONDS) return { entries, next: at };
    }
  }

  async show(id: MessageId): Promise<QueuedMessage | undefined> {
    return (await this.#ask({ kind: "show", id }, "shown")).message;
  }

  async statistics(by: StatisticKey, limit: number): Promise<readonly QueueStatistic[]> {
    for (;;) {
      const { statistics } = await this.#ask({ kind: "statistics", by, limit }, "grouped");
      if (statistics !== undefined) return statistics;
    }
  }

  /** Has the queue counted, little by little, so that statistics are there when they are asked for; ends when it is, or with the store. */
  async count(closing: AbortSignal): Promise<void> {
    while (!closing.aborted) {
      const answer = await this.#options.ask({ kind: "statistics", by: "destination", limit: 0 });
      if (answer.kind !== "grouped" || answer.statistics !== undefined) return;
      await delay(COUNT_PAUSE_MILLISECONDS, undefined, { ref: false });
    }
  }

  async act(action: QueueAction, filter: QueueFilter): Promise<QueueChange> {
    if (filter.ids === undefined) return { ...(await this.#actOn(action, filter)), unknown: [] };
    const all = [...new Set(filter.ids)];
    const sum = { changed: 0, unchanged: 0, busy: 0 };
    const unknown: MessageId[] = [];
    for (let from = 0; from < all.length; from += MAX_IDS) {
      const ids = all.slice(from, from + MAX_IDS);
      // Before the action: what it deletes was known.
      unknown.push(...(await this.#ask({ kind: "missing", ids }, "missing-ids")).ids);
      const { changed, unchanged, busy } = await this.#actOn(action, { ...filter, ids });
      sum.changed += changed;
      sum.unchanged += unchanged;
      sum.busy += busy;
    }
    return { ...sum, unknown };
  }

  async #actOn(action: QueueAction, filter: QueueFilter): Promise<Omit<QueueChange, "unknown">> {
    const sum = { changed: 0, unchanged: 0, busy: 0 };
    const now = this.#options.now();
    let at: QueuePosition | undefined;
    do {
      const answer = await this.#ask({ kind: "act", action, filter, now, ...position(at) }, "acted");
      sum.changed += answer.changed;
      sum.unchanged += answer.unchanged;
      sum.busy += answer.busy;
      if (answer.offers.length > 0) this.#options.offer(answer.offers);
      at = answer.at;
    } while (at !== undefined);
    return sum;
  }

  async #ask<K extends AdminAnswer["kind"]>(question: AdminQuestion, kind: K): Promise<AdminAnswer & { kind: K }> {
    const answer = await this.#options.ask(question);
    if (answer.kind !== kind) throw new Error(`the spool answered ${answer.kind}, not ${kind}`);
    return answer as AdminAnswer & { kind: K };
  }
}

function position(after: QueuePosition | undefined): { after?: QueuePosition } {
  return after === undefined ? {} : { after };
}

function positionOfEntry({ acceptedAt, id, destination }: QueueEntry): QueuePosition {
  return { acceptedAt, id, destination };
}
