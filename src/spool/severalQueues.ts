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

/** Asked of each of several queues, so that what is cut off from a statistic is small. */
const STATISTICS_LIMIT = 1000;

/** The operator's hands on several queues as on one: the shards of a spool that several processes serve. */
export class SeveralQueues implements QueueAdmin {
  readonly #queues: readonly QueueAdmin[];

  constructor(queues: readonly QueueAdmin[]) {
    this.#queues = queues;
  }

  async list(filter: QueueFilter, page: { limit: number; after?: QueuePosition }): Promise<QueuePage> {
    const pages = await Promise.all(this.#queues.map((queue) => queue.list(filter, page)));
    // What lies behind the nearest end of a page may have something of that queue before it.
    const ends = pages.flatMap(({ next }) => (next === undefined ? [] : [next]));
    const end = ends.sort(compared)[0];
    const entries = pages.flatMap((one) => one.entries).sort(compared);
    const certain = end === undefined ? entries : entries.filter((entry) => compared(entry, end) <= 0);
    const shown = certain.slice(0, page.limit);
    const last = shown.at(-1);
    const cut = certain.length > shown.length && last !== undefined ? positionOfEntry(last) : end;
    return { entries: shown, ...(cut === undefined ? {} : { next: cut }) };
  }

  async show(id: MessageId): Promise<QueuedMessage | undefined> {
    for (const queue of this.#queues) {
      const found = await queue.show(id);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async statistics(by: StatisticKey, limit: number): Promise<readonly QueueStatistic[]> {
    const all = await Promise.all(this.#queues.map((queue) => queue.statistics(by, Math.max(limit, STATISTICS_LIMIT))));
    const merged = new Map<string, QueueStatistic>();
    for (const one of all.flat()) {
      const known = merged.get(one.key);
      merged.set(one.key, known === undefined ? one : sumOf(known, one));
    }
    return [...merged.values()]
      .sort((one, other) => other.recipients - one.recipients || (one.key < other.key ? -1 : 1))
      .slice(0, limit);
  }

  async act(action: QueueAction, filter: QueueFilter): Promise<QueueChange> {
    let sum: QueueChange = { changed: 0, unchanged: 0, busy: 0, unknown: filter.ids ?? [] };
    for (const queue of this.#queues) {
      const { changed, unchanged, busy, unknown } = await queue.act(action, filter);
      const missing = new Set(unknown);
      sum = {
        changed: sum.changed + changed,
        unchanged: sum.unchanged + unchanged,
        busy: sum.busy + busy,
        unknown: [...new Set(sum.unknown)].filter((id) => missing.has(id)),
      };
    }
    return sum;
  }
}

function compared(one: QueuePosition, other: QueuePosition): number {
  if (one.acceptedAt !== other.acceptedAt) return one.acceptedAt - other.acceptedAt;
  if (one.id !== other.id) return one.id < other.id ? -1 : 1;
  return one.destination < other.destination ? -1 : one.destination > other.destination ? 1 : 0;
}

function positionOfEntry({ acceptedAt, id, destination }: QueueEntry): QueuePosition {
  return { acceptedAt, id, destination };
}

function sumOf(one: QueueStatistic, other: QueueStatistic): QueueStatistic {
  const reason = one.recipients >= other.recipients ? (one.reason ?? other.reason) : (other.reason ?? one.reason);
  return {
    key: one.key,
    messages: one.messages + other.messages,
    recipients: one.recipients + other.recipients,
    oldestAcceptedAt: Math.min(one.oldestAcceptedAt, other.oldestAcceptedAt),
    ...(reason === undefined ? {} : { reason }),
  };
}
