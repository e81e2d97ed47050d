import type { Envelope, MessageId } from "./message.ts";
import type { Store } from "./store.ts";

/**
 * The operator's hands on the queue, beside the engine that serves it: the same for every store. An entry is one message at one destination,
 * which is also what is retried, held, released and deleted.
 *
 * incoming  no recipient tried yet; active: an attempt is under way; deferred: tried and waiting; held: by the operator, not tried until
 * released.
 */
export const QUEUE_STATES = ["incoming", "active", "deferred", "held"] as const;
export type QueueState = (typeof QUEUE_STATES)[number];

/** All that is given must hold; nothing given: every entry. */
export type QueueFilter = {
  ids?: readonly MessageId[];
  /** Destination: A-label domain or `[literal]`; `.example.org`: its subdomains, not itself. */
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
  /** Those that still wait, as `lastReason` has their reason; what became of the others is in the message's history. */
  recipients: readonly { address: string; attempts: number; status?: string; reason?: string }[];
};

/** A place in the order of every listing: by time of acceptance, then id, then destination, each as its octets sort. */
export type QueuePosition = { acceptedAt: number; id: MessageId; destination: string };

/** `next`: to be handed back as `after` for the following page; absent on the last one. A page with `next` may be empty. */
export type QueuePage = { entries: readonly QueueEntry[]; next?: QueuePosition };

/** One attempt for one recipient, as it was recorded. */
export type AttemptRecord = {
  /** The address, also of a recipient that is settled for good. */
  recipient: string;
  /** 1 for the first. */
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
  /** By destination. */
  entries: readonly [QueueEntry, ...QueueEntry[]];
  /** Oldest first. */
  attempts: readonly AttemptRecord[];
};

export const STATISTIC_KEYS = ["destination", "reason"] as const;
export type StatisticKey = (typeof STATISTIC_KEYS)[number];

export type QueueStatistic = {
  /** The destination, or `reasonGroup` of the last reason. */
  key: string;
  /** Entries: a message counts once for each of its destinations. */
  messages: number;
  recipients: number;
  /**
   * Of a long queue it may be somewhat too early (acceptanceTimes.ts); by reason, in a shared queue, it is that of the oldest entry of the
   * destinations where the reason occurs.
   */
  oldestAcceptedAt: number;
  /** The most frequent last reason (as `reasonGroup` makes it), where the key is a destination and something was tried. */
  reason?: string;
};

/**
 * `changed`: entries that the action changed; `unchanged`: entries that were so already (held ones at hold, others at release; held ones at
 * retry); `busy`: entries that were left alone because an attempt is under way; `unknown`: ids of the filter that are not in the queue.
 */
export type QueueChange = { changed: number; unchanged: number; busy: number; unknown: readonly MessageId[] };

export const QUEUE_ACTIONS = ["retry", "hold", "release", "delete"] as const;
export type QueueAction = (typeof QUEUE_ACTIONS)[number];

/** Rejects with a StoreError like the store itself. */
export interface QueueAdmin {
  /** Oldest acceptance first. Stable: an entry that stays is on exactly one page, whatever comes and goes meanwhile. */
  list(filter: QueueFilter, page: { limit: number; after?: QueuePosition }): Promise<QueuePage>;
  show(id: MessageId): Promise<QueuedMessage | undefined>;
  /** Most recipients first. */
  statistics(by: StatisticKey, limit: number): Promise<readonly QueueStatistic[]>;
  /**
   * retry: due now, unless held; hold and release; delete: gone for good, without a DSN. What resolved survives kill -9. Works through a long
   * queue piece by piece: what is killed half way is done for some entries and not for others, never for half an entry.
   */
  act(action: QueueAction, filter: QueueFilter): Promise<QueueChange>;
}

/** A store with its operator's hands. */
export type AdministeredStore = Store & { readonly queueAdmin: QueueAdmin };

/** The position as text for a URL, and back; undefined for what is no position. */
export function positionText({ acceptedAt, id, destination }: QueuePosition): string {
  return `${acceptedAt}/${id}/${destination}`;
}

export function positionOf(text: string): QueuePosition | undefined {
  const [, acceptedAt, id, destination] = /^(\d{1,15})\/([A-Za-z0-9]{1,64})\/([\x21-\x7e]{1,255})$/.exec(text) ?? [];
  if (acceptedAt === undefined || id === undefined || destination === undefined) return undefined;
  return { acceptedAt: Number(acceptedAt), id, destination };
}

/** What the entry's last reason is shown as where nobody tried yet. */
export const NEVER_TRIED = "not tried yet";

const GROUP_CHARACTERS = 200;
const MAIL_ADDRESS = /<?[^\s<>"'();:,@]+@([^\s<>"'();:,@]+?)>?(?=[\s"'();:,]|[.]?$|$)/g;

/** How long a host has been resting (delivery/restingHosts.ts). */
const SINCE_WHEN = / \(\d+ s ago, failure \d+ in a row; [^)]*\)/g;

/**
 * Reasons that differ only in whose mailbox they speak of, or since when, are one: mail addresses are cut to `*@domain`, and the text to 200
 * characters.
 */
export function reasonGroup(reason: string | undefined): string {
  if (reason === undefined) return NEVER_TRIED;
  return reason.replace(SINCE_WHEN, "").replace(MAIL_ADDRESS, "*@$1").slice(0, GROUP_CHARACTERS);
}
