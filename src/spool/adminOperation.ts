import type { MessageId } from "./message.ts";
import type {
  QueueAction,
  QueuedMessage,
  QueueEntry,
  QueueFilter,
  QueuePosition,
  QueueStatistic,
  StatisticKey,
} from "./queueAdmin.ts";

/**
 * What the operator asks of the worker thread, and what comes back. Each question is a slice: the worker reads a bounded number of rows and says
 * in `at` where the next slice begins, so that the engine's own questions are answered in between; without `at` the queue is at its end.
 */
export type AdminQuestion =
  /** At most `most` entries. */
  | { kind: "list"; filter: QueueFilter; after?: QueuePosition; most: number }
  | { kind: "show"; id: MessageId }
  /** While the queue is still being counted (queueTally.ts), this counts on, a slice. */
  | { kind: "statistics"; by: StatisticKey; limit: number }
  /** One transaction. */
  | { kind: "act"; action: QueueAction; filter: QueueFilter; after?: QueuePosition; now: number }
  | { kind: "missing"; ids: readonly MessageId[] };

export type AdminAnswer =
  | { kind: "listed"; entries: readonly QueueEntry[]; at?: QueuePosition }
  | { kind: "shown"; message: QueuedMessage | undefined }
  /** Absent: not all is counted yet. */
  | { kind: "grouped"; statistics?: readonly QueueStatistic[] }
  /** `offers`: destinations that have something due at that time now. */
  | {
      kind: "acted";
      changed: number;
      unchanged: number;
      busy: number;
      offers: readonly { destination: string; due: number }[];
      at?: QueuePosition;
    }
  | { kind: "missing-ids"; ids: readonly MessageId[] };

export function isAdminQuestion<T extends { kind: string }>(operation: T): operation is T & AdminQuestion {
  switch (operation.kind as AdminQuestion["kind"]) {
    case "list":
    case "show":
    case "statistics":
    case "act":
    case "missing":
      return true;
    default:
      return false;
  }
}
