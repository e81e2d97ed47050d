import type { DatabaseSync, StatementSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import type { Envelope } from "./message.ts";
import type { AttemptRow, Change, MessageRow, WaitingRecipient, WorkKey } from "./storeOperation.ts";

/** The statements on message, work, attempt and tally. Every method runs inside the caller's transaction. */
const SMTP_UTF8 = 1;
const EIGHT_BIT_MIME = 2;
const REQUIRE_TLS = 4;
const TLS_REQUIRED_NO = 8;
const TLS_REPORT = 16;

type Column = string | number | null | Uint8Array;
type Row = Record<string, Column>;

/** What was done within a transaction, to be followed up once it is committed: body files that are no longer needed, messages that were stored. */
export type Applied = { files: readonly string[]; stored: readonly { sequence: number; message: MessageRow }[] };

export type WorkRow = { key: WorkKey; due: number };

function flagsOf(envelope: Envelope): number {
  return (
    (envelope.smtpUtf8 ? SMTP_UTF8 : 0) |
    (envelope.eightBitMime ? EIGHT_BIT_MIME : 0) |
    (envelope.requireTls ? REQUIRE_TLS : 0) |
    (envelope.tlsRequiredNo ? TLS_REQUIRED_NO : 0) |
    (envelope.purpose === "tls-report" ? TLS_REPORT : 0)
  );
}

function text(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== "string") throw new Error(`column ${column} is ${typeof value}, not text`);
  return value;
}

function integer(row: Row, column: string): number {
  const value = row[column];
  if (typeof value !== "number") throw new Error(`column ${column} is ${typeof value}, not a number`);
  return value;
}

function envelopeOf(row: Row): Envelope {
  const flags = integer(row, "flags");
  const { envelope_id: envelopeId, return_content: returnContent } = row;
  return {
    id: text(row, "id"),
    sender: text(row, "sender"),
    acceptedAt: integer(row, "accepted_at"),
    smtpUtf8: (flags & SMTP_UTF8) !== 0,
    eightBitMime: (flags & EIGHT_BIT_MIME) !== 0,
    requireTls: (flags & REQUIRE_TLS) !== 0,
    tlsRequiredNo: (flags & TLS_REQUIRED_NO) !== 0,
    size: integer(row, "size"),
    ...((flags & TLS_REPORT) === 0 ? {} : { purpose: "tls-report" as const }),
    ...(typeof envelopeId === "string" ? { envelopeId } : {}),
    ...(returnContent === "FULL" || returnContent === "HDRS" ? { returnContent } : {}),
  };
}

/** Changes of the tally within one transaction. */
type TallyChange = { incoming: number; deferred: number };

export class QueueTables {
  readonly #statements: ReturnType<typeof prepareStatements>;

  constructor(database: DatabaseSync) {
    this.#statements = prepareStatements(database);
  }

  /** Applies the changes in order. */
  apply(changes: readonly Change[]): Applied {
    const tally = { incoming: 0, deferred: 0 };
    const files: string[] = [];
    const stored: { sequence: number; message: MessageRow }[] = [];
    const insert = (message: MessageRow): void => {
      stored.push({ sequence: this.#insert(message, tally), message });
    };
    for (const change of changes) {
      switch (change.kind) {
        case "store":
          insert(change.message);
          break;
        case "settle":
          for (const message of change.generated) insert(message);
          files.push(...this.#settle(change, tally));
          break;
        case "bring-forward":
          this.bringForward(change.after, change.by, Number.MAX_SAFE_INTEGER);
          break;
        case "probe":
          this.#statements.probe.run();
          break;
        default:
          change satisfies never;
      }
    }
    if (changes.some(({ kind }) => kind === "store" || kind === "settle"))
      this.#statements.tally.run(tally.incoming, tally.deferred);
    return { files, stored };
  }

  /** Whatever is due after `after` becomes due `by` milliseconds earlier, and not later than `latest`. */
  bringForward(after: number, by: number, latest: number): void {
    for (const { destination } of this.destinations()) this.#statements.bringForward.run(destination, after, by, latest);
  }

  #insert(message: MessageRow, tally: TallyChange): number {
    const { envelope } = message;
    const { lastInsertRowid } = this.#statements.insertMessage.run(
      envelope.id,
      envelope.sender,
      envelope.acceptedAt,
      flagsOf(envelope),
      envelope.envelopeId ?? null,
      envelope.returnContent ?? null,
      envelope.size,
      message.file ?? null,
      message.content ?? null,
      message.checksum,
    );
    for (const work of message.works) {
      this.#statements.insertWork.run(lastInsertRowid, work.destination, work.due, JSON.stringify(work.recipients));
    }
    tally.incoming += 1;
    return Number(lastInsertRowid);
  }

  #settle(change: Change & { kind: "settle" }, tally: TallyChange): readonly string[] {
    const { message, destination } = change.key;
    const tried = this.#statements.anyAttempt.get(message) !== undefined;
    const earliest = earliestDue(change.waiting);
    if (earliest === undefined) {
      this.#statements.deleteWork.run(message, destination);
      // The last recipient is settled for good: the message leaves.
      if (this.#statements.anyWork.get(message) === undefined) {
        if (tried) this.#statements.deleteAttempts.run(message);
        tally[tried ? "deferred" : "incoming"] -= 1;
        const row = this.#statements.deleteMessage.get(message);
        return typeof row?.file === "string" ? [row.file] : [];
      }
    } else {
      this.#statements.updateWork.run(earliest, JSON.stringify(change.waiting), message, destination);
    }
    for (const attempt of change.attempts) this.#insertAttempt(message, attempt);
    // A message with a held entry counts as held, tried or not.
    if (!tried && this.#statements.anyHeld.get(message) === undefined) {
      tally.incoming -= 1;
      tally.deferred += 1;
    }
    return [];
  }

  #insertAttempt(message: number, attempt: AttemptRow): void {
    const { recipient, number, at, outcome, status, cause, host, address } = attempt;
    const optional = [status ?? null, cause ?? null, host ?? null, address ?? null];
    this.#statements.insertAttempt.run(message, recipient, number, at, outcome, ...optional);
  }

  /** Works of `destination` that are not held, earliest due first, behind `after`. */
  dueWorks(destination: string, after: WorkRow | undefined, most: number): readonly WorkRow[] {
    const due = after?.due ?? Number.MIN_SAFE_INTEGER;
    const rows = this.#statements.dueWorks.all(destination, due, after?.key.message ?? 0, most);
    return rows.map((row) => ({ key: { message: integer(row, "message"), destination }, due: integer(row, "due") }));
  }

  recipients(key: WorkKey): readonly WaitingRecipient[] {
    const row = this.#statements.recipients.get(key.message, key.destination);
    if (row === undefined) throw new Error(`no work for message ${key.message} at ${key.destination}`);
    return JSON.parse(text(row, "recipients")) as readonly WaitingRecipient[];
  }

  /** Content that is inline and undamaged; the damaged one is told of when it is asked for. */
  message(sequence: number): { envelope: Envelope; content?: Uint8Array } {
    const row = this.#statements.message.get(sequence);
    if (row === undefined) throw new Error(`message ${sequence} has work but no row`);
    const { content } = row;
    const whole = content instanceof Uint8Array && (row.checksum === null || crc32(content) === row.checksum);
    return { envelope: envelopeOf(row), ...(whole ? { content } : {}) };
  }

  content(id: string): { size: number; checksum?: number; bytes?: Uint8Array; file?: string } | undefined {
    const row = this.#statements.content.get(id);
    if (row === undefined) return undefined;
    const { content, file, checksum } = row;
    const size = integer(row, "size");
    const known = typeof checksum === "number" ? { checksum } : {};
    return {
      size,
      ...known,
      ...(content instanceof Uint8Array ? { bytes: content } : {}),
      ...(typeof file === "string" ? { file } : {}),
    };
  }

  hasFile(file: string): boolean {
    return this.#statements.hasFile.get(file) !== undefined;
  }

  /** Earliest due time of every destination, by skipping from one destination to the next in the index. */
  destinations(): readonly { destination: string; due: number }[] {
    const found: { destination: string; due: number }[] = [];
    let row = this.#statements.nextDestination.get("");
    while (row !== undefined) {
      const destination = text(row, "destination");
      found.push({ destination, due: integer(row, "due") });
      row = this.#statements.nextDestination.get(destination);
    }
    return found;
  }

  tried(message: number): boolean {
    return this.#statements.anyAttempt.get(message) !== undefined;
  }

  tally(): { incoming: number; deferred: number; held: number; oldestAcceptedAt?: number } {
    const row = this.#statements.readTally.get();
    if (row === undefined) throw new Error("the tally is missing");
    const oldest = this.#statements.oldest.get();
    return {
      incoming: integer(row, "incoming"),
      deferred: integer(row, "deferred"),
      held: integer(row, "held"),
      ...(oldest === undefined ? {} : { oldestAcceptedAt: integer(oldest, "accepted_at") }),
    };
  }
}

function earliestDue(recipients: readonly WaitingRecipient[]): number | undefined {
  let earliest: number | undefined;
  for (const { due } of recipients) if (earliest === undefined || due < earliest) earliest = due;
  return earliest;
}

function prepareStatements(database: DatabaseSync) {
  const prepare = (
    sql: string,
  ): Omit<StatementSync, "get" | "all"> & {
    get(...values: Column[]): Row | undefined;
    all(...values: Column[]): Row[];
  } => database.prepare(sql) as never;
  return {
    insertMessage:
      prepare(`INSERT INTO message (id, sender, accepted_at, flags, envelope_id, return_content, size, file, content, checksum)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),
    insertWork: prepare("INSERT INTO work (message, destination, due, recipients) VALUES (?, ?, ?, ?)"),
    updateWork: prepare("UPDATE work SET due = ?, recipients = ? WHERE message = ? AND destination = ?"),
    deleteWork: prepare("DELETE FROM work WHERE message = ? AND destination = ?"),
    // Destination by destination, for the index leads with it: without it a million rows would be read to find none.
    bringForward: prepare(`UPDATE work SET due = min(due - ?3, ?4), recipients = (
        SELECT json_group_array(json_set(value, '$.due', min(value ->> '$.due' - ?3, ?4))) FROM json_each(recipients)
      ) WHERE held = 0 AND destination = ?1 AND due > ?2`),
    anyWork: prepare("SELECT 1 FROM work WHERE message = ? LIMIT 1"),
    anyHeld: prepare("SELECT 1 FROM work WHERE message = ? AND held <> 0 LIMIT 1"),
    deleteMessage: prepare("DELETE FROM message WHERE seq = ? RETURNING file"),
    insertAttempt: prepare("INSERT INTO attempt VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"),
    anyAttempt: prepare("SELECT 1 FROM attempt WHERE message = ? LIMIT 1"),
    deleteAttempts: prepare("DELETE FROM attempt WHERE message = ?"),
    // A bare parameter as LIMIT would have SQLite plan the statement anew whenever one is bound.
    dueWorks: prepare(`SELECT message, due FROM work
      WHERE held = 0 AND destination = ?1 AND (due, message) > (?2, ?3) ORDER BY due, message LIMIT ?4 + 0`),
    recipients: prepare("SELECT recipients FROM work WHERE message = ? AND destination = ?"),
    message: prepare("SELECT * FROM message WHERE seq = ?"),
    content: prepare("SELECT size, checksum, file, content FROM message WHERE id = ?"),
    hasFile: prepare("SELECT 1 FROM message WHERE file = ?"),
    nextDestination: prepare(`SELECT destination, due FROM work
      WHERE held = 0 AND destination > ? ORDER BY destination, due LIMIT 1`),
    tally: prepare("UPDATE tally SET incoming = incoming + ?, deferred = deferred + ?, generation = generation + 1"),
    readTally: prepare("SELECT incoming, deferred, held FROM tally"),
    oldest: prepare("SELECT accepted_at FROM message ORDER BY seq LIMIT 1"),
    probe: prepare("UPDATE tally SET probes = probes + 1"),
  };
}
