import type { Envelope, MessageId } from "./message.ts";

/**
 * The operator's hands on the queue, beside the engine that serves it: the same for every store. An entry is one message at one destination,
 * which is also what is retried, held, released and deleted.
 *
 * incoming  never tried; active: an attempt is under way; deferred: tried and waiting; held: by the operator, not tried until released.
 */
export type QueueState = "incoming" | "active" | "deferred" | "held";

/** All that is given must hold; nothing given: every entry. */
export type QueueFilter = {
  ids?: readonly MessageId[];
  /** Destination: A-label domain or `[literal]`; `.example.org`: its subdomains. */
  domain?: string;
  /** Envelope sender, exact; "" is the null reverse-path. */
  sender?: string;
  state?: QueueState;
  /** Milliseconds since the epoch. */
  acceptedBefore?: number;
  /** Part of the last reason of a recipient, without regard to case. */
  reason?: string;
};

export type QueueEntry = {
  id: MessageId;
  sender: string;
  destination: string;
  state: QueueState;
  /** Milliseconds since the epoch. */
  acceptedAt: number;
  /** Not for active and held entries. */
  nextAttemptAt?: number;
  /** Octets. */
  size: number;
  recipients: readonly { address: string; attempts: number; status?: string; reason?: string }[];
};

/** `next`: to be handed back as `after` for the following page; absent on the last one. */
export type QueuePage = { entries: readonly QueueEntry[]; next?: string };

/** One attempt for one recipient, as it was recorded. */
export type AttemptRecord = {
  recipient: string;
  number: number;
  /** Milliseconds since the epoch. */
  at: number;
  outcome: "delivered" | "deferred" | "failed";
  status?: string;
  reason?: string;
  host?: string;
};

export type QueuedMessage = {
  envelope: Envelope;
  entries: readonly [QueueEntry, ...QueueEntry[]];
  /** Oldest first. */
  attempts: readonly AttemptRecord[];
};

export type QueueStatistic = {
  /** The destination, or the reason's words. */
  key: string;
  messages: number;
  recipients: number;
  oldestAcceptedAt: number;
  /** The most frequent last reason, where the key is a destination. */
  reason?: string;
};

/** `busy`: entries that were left alone because an attempt is under way; `unknown`: ids of the filter that are not in the queue. */
export type QueueChange = { changed: number; busy: number; unknown: readonly MessageId[] };

export type QueueAction = "retry" | "hold" | "release" | "delete";

/** Rejects with a StoreError like the store itself. */
export interface QueueAdmin {
  /** Oldest acceptance first. */
  list(filter: QueueFilter, page: { limit: number; after?: string }): Promise<QueuePage>;
  show(id: MessageId): Promise<QueuedMessage | undefined>;
  /** Largest first. */
  statistics(by: "destination" | "reason", limit: number): Promise<readonly QueueStatistic[]>;
  /**
   * retry: due now (held entries stay held); hold and release; delete: gone for good, without a DSN. What resolved survives kill -9.
   */
  act(action: QueueAction, filter: QueueFilter): Promise<QueueChange>;
}
