import type { AdminAnswer, AdminQuestion, StatisticGroup } from "./adminOperation.ts";
import type { MessageId } from "./message.ts";
import {
  NEVER_TRIED,
  type QueueAction,
  type QueueAdmin,
  type QueueChange,
  type QueuedMessage,
  type QueueEntry,
  type QueueFilter,
  type QueuePage,
  type QueuePosition,
  type QueueStatistic,
  type StatisticKey,
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
/** Keys that are told apart in one statistic; the rest is one. */
const MAX_KEYS = 20_000;
const OTHER = "(other)";

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
    const merged = new Map<string, Merged>();
    let at: QueuePosition | undefined;
    do {
      const answer = await this.#ask({ kind: "statistics", by, ...position(at) }, "grouped");
      for (const group of answer.groups) merge(merged, group);
      at = answer.at;
    } while (at !== undefined);
    const largest = [...merged.values()].sort(
      (one, other) => other.recipients - one.recipients || (one.key < other.key ? -1 : 1),
    );
    return largest.slice(0, limit).map(statisticOf);
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

type Merged = Omit<QueueStatistic, "reason"> & { reasons: Map<string, number> };

function merge(into: Map<string, Merged>, group: StatisticGroup): void {
  const key = into.has(group.key) || into.size < MAX_KEYS ? group.key : OTHER;
  const known = into.get(key) ?? {
    key,
    messages: 0,
    recipients: 0,
    oldestAcceptedAt: group.oldestAcceptedAt,
    reasons: new Map<string, number>(),
  };
  known.messages += group.messages;
  known.recipients += group.recipients;
  known.oldestAcceptedAt = Math.min(known.oldestAcceptedAt, group.oldestAcceptedAt);
  for (const [reason, count] of group.reasons) {
    if (reason !== NEVER_TRIED) known.reasons.set(reason, (known.reasons.get(reason) ?? 0) + count);
  }
  into.set(key, known);
}

function statisticOf({ reasons, ...statistic }: Merged): QueueStatistic {
  let most: readonly [string, number] | undefined;
  for (const one of reasons) if (most === undefined || one[1] > most[1]) most = one;
  return most === undefined ? statistic : { ...statistic, reason: most[0] };
}
