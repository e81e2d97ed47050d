import type { AdminAnswer, AdminQuestion } from "./adminOperation.ts";
import type { Envelope, QueuedRecipient } from "./message.ts";
import type { QueueCounts, StoreError } from "./store.ts";

/**
 * What the store asks of its worker thread, and what comes back. Operations travel in batches; the changes of a batch are one transaction,
 * and its questions are answered after that transaction is on disk.
 */

/** A recipient as it waits in the queue. `due` is its own; its work's is the earliest of these. */
export type WaitingRecipient = QueuedRecipient & { due: number };

/** A message to insert, in the columns of the schema. Content is here, alone in its memory, or in `file`. */
export type MessageRow = {
  envelope: Envelope;
  file?: string;
  content?: Uint8Array;
  /** CRC-32 of the content. */
  checksum: number;
  works: readonly { destination: string; due: number; recipients: readonly WaitingRecipient[] }[];
};

/** Identifies one work: `message` is the row of its message. */
export type WorkKey = { message: number; destination: string };

/** One line of a recipient's history. */
export type AttemptRow = {
  recipient: number;
  number: number;
  at: number;
  outcome: "delivered" | "deferred" | "failed";
  status?: string;
  cause?: string;
  host?: string;
  /** Of a recipient that is settled for good and so no longer in its work. */
  address?: string;
};

export type Change =
  | { kind: "store"; message: MessageRow }
  /** `waiting`: the work's recipients that are not settled for good, after this attempt. */
  | {
      kind: "settle";
      key: WorkKey;
      waiting: readonly WaitingRecipient[];
      attempts: readonly AttemptRow[];
      generated: readonly MessageRow[];
    }
  /** The clock went back: what waits beyond `after` is due `by` milliseconds earlier. */
  | { kind: "bring-forward"; after: number; by: number }
  /** A write that changes nothing of the queue: whether one is possible. */
  | { kind: "probe" };

export type Question =
  | { kind: "claim"; now: number; limit: number; picks: readonly { destination: string; room: number }[] }
  | { kind: "content"; id: string }
  | { kind: "counts" };

/** Claims are memory of the worker: ending one needs no transaction. */
type Release = { kind: "release"; key: WorkKey };

export type Operation = Change | Question | AdminQuestion | Release | { kind: "close" };

export type ClaimedWork = {
  key: WorkKey;
  envelope: Envelope;
  recipients: readonly WaitingRecipient[];
  due: number;
  content?: Uint8Array;
};

/** `outcome`: the worker died before it answered. */
export type Failure = { kind: "failed"; error: StoreError["kind"]; text: string; outcome?: "unknown" };

export type Answer =
  | { kind: "done" }
  /** `next`: per picked destination, when its next unclaimed work is due. */
  | { kind: "claimed"; works: readonly ClaimedWork[]; next: readonly { destination: string; due?: number }[] }
  /** `checksum`: CRC-32 of the content; absent in what a release before schema 2 stored. */
  | { kind: "content"; size: number; checksum?: number; bytes?: Uint8Array; file?: string }
  | { kind: "unknown" }
  | { kind: "counted"; counts: QueueCounts }
  | AdminAnswer
  | Failure;

/** First message of the worker: the queue as it was found. */
export type Opened =
  | { kind: "opened"; due: readonly { destination: string; due: number }[] }
  | { kind: "locked" }
  | { kind: "refused" | "damaged"; reason: string }
  | Failure;

/** Works that are due later than `latestDue` are the trace of a clock that was ahead; they become due at `now`. */
export type WorkerSettings = {
  database: string;
  bodies: string;
  now: number;
  latestDue: number;
  /** URL of a module that is told of commit points (commitPoint.ts). */
  points?: string;
};
