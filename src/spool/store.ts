import type { Envelope, MessageId, NewMessage, Settled, Work } from "./message.ts";

/** `room`: how many works of a destination may be taken (beside `limit`, which is for all); it is asked, not kept. */
export type ClaimRequest = {
  now: number;
  limit: number;
  exclude: ReadonlySet<string>;
  room?: (destination: string) => number;
  /** Destinations that may have more room than at the last claim: looked at in any case, however many others have none. */
  opened?: Iterable<string>;
  /** How many works of one destination all processes that share the queue may have claimed together. */
  destinationLimit?: number;
};

/**
 * The durable queue, in words. A recipient is pending (due at a time), claimed (until the process dies; where several processes share the
 * queue, until this one was not heard of for the time of a lease), held, or settled for good (delivered, failed). A message leaves the store
 * when its last recipient is settled for good.
 * Whatever `commit`, `add` or `settle` resolved for survives kill -9 and power loss.
 */
export interface Store {
  /** Begins a message whose content arrives in pieces. */
  begin(): MessageWriter;
  /** Messages made by ourselves (DSNs), content at hand. */
  add(message: NewMessage, content: Buffer): Promise<void>;
  /**
   * Takes due, unclaimed recipients, oldest due first, at most `limit` works; destinations in `exclude` are passed over. New mail is due
   * at once, in the order of senders' turns (senderTurns.ts).
   * Recipients of one message and destination come as one Work.
   */
  claim(request: ClaimRequest): Promise<readonly Work[]>;
  /** Content in chunks. Rejects with a StoreError when it cannot be read in full. */
  content(id: MessageId): AsyncIterable<Buffer>;
  /**
   * Ends a claim: records what became of each recipient, and stores `generated` messages (DSNs) in the same transaction, so that a
   * recipient is failed if and only if its DSN is queued. While the disk is full or fails, it waits and tries again (what was delivered
   * must not be delivered again); it rejects when the store is damaged or closed. After a lost claim only what was delivered is recorded.
   */
  settle(work: Work, settled: readonly Settled[], generated: readonly { message: NewMessage; content: Buffer }[]): Promise<void>;
  /**
   * Whether the claim still holds: asked right before the end of the content goes out. A store that others share may have given the work to
   * another process, because this one was not heard of; then the message must not be sent. Without it, claims end with the process.
   */
  holds?(work: Work): Promise<"held" | "lost">;
  /** Ends a claim without an attempt (drain, or no free connection); the recipients are due as before. */
  release(work: Work): void;
  /** When the next unclaimed recipient is due, those of `exclude` not counted; may be too early, never too late; undefined: none is waiting. */
  nextDueAt(exclude?: Pick<ReadonlySet<string>, "has">): Promise<number | undefined>;
  counts(): Promise<QueueCounts>;
  /** Called after each commit or add, if known with the destinations of the new message, and after release: there may be something due. */
  onWork(listener: (destinations?: readonly string[]) => void): void;
  /** Whether a message could be stored now; the text says what is wrong and what to do. */
  health(): Promise<{ kind: "writable" } | { kind: "unwritable"; reason: string }>;
  /** Resolves when this process can never use the store again, and should end; stays open otherwise. */
  readonly failed: Promise<Error>;
  close(): Promise<void>;
}

export interface MessageWriter {
  /** Takes the chunk (it must not be changed afterwards); resolves when more may be written (back-pressure). Rejects with a StoreError (kind "full" when the disk is). */
  write(chunk: Buffer): Promise<void>;
  /** Durable when it resolves. Rejects with a StoreError, and then nothing of the message stays. */
  commit(envelope: Omit<Envelope, "size">, recipients: NewMessage["recipients"]): Promise<void>;
  abort(): void;
}

/** Messages by state: `active` are claimed now, `incoming` never tried, `deferred` tried and waiting, `held` by the operator. */
export type QueueCounts = { incoming: number; active: number; deferred: number; held: number; oldestAcceptedAt?: number };

/** Nobody can say whether what was asked for was done: it may be on disk, and what belongs to it must stay. */
export type StoreErrorOptions = ErrorOptions & { outcome?: "unknown" };

export class StoreError extends Error {
  readonly kind: "full" | "io" | "corrupt" | "closed";
  readonly outcome: "not-done" | "unknown";

  constructor(kind: StoreError["kind"], message: string, options?: StoreErrorOptions) {
    super(message, options);
    this.kind = kind;
    this.outcome = options?.outcome ?? "not-done";
    this.name = "StoreError";
  }
}
