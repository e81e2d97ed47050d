import { crc32 } from "node:zlib";
import type { Envelope } from "./message.ts";
import { reasonGroup } from "./queueAdmin.ts";
import type { AttemptRow, ClaimedWork, MessageRow, WaitingRecipient } from "./storeOperation.ts";

/** Between what the store handles and what the database's statements take and give. */
export type Row = Readonly<Record<string, unknown>>;

const SMTP_UTF8 = 1;
const EIGHT_BIT_MIME = 2;
const REQUIRE_TLS = 4;
const TLS_REQUIRED_NO = 8;
const TLS_REPORT = 16;

function flagsOf(envelope: Envelope): number {
  return (
    (envelope.smtpUtf8 ? SMTP_UTF8 : 0) |
    (envelope.eightBitMime ? EIGHT_BIT_MIME : 0) |
    (envelope.requireTls ? REQUIRE_TLS : 0) |
    (envelope.tlsRequiredNo ? TLS_REQUIRED_NO : 0) |
    (envelope.purpose === "tls-report" ? TLS_REPORT : 0)
  );
}

/** PostgreSQL's text has no NUL and no lone surrogate, which xtext (RFC 3461 §4) and a peer's reply may smuggle in. */
export function storable(text: string): string {
  return text.replaceAll("\0", "\ufffd").toWellFormed();
}

export function json(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => (typeof inner === "string" ? storable(inner) : inner));
}

export function text(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== "string") throw new Error(`column ${column} is ${typeof value}, not text`);
  return value;
}

export function integer(row: Row, column: string): number {
  const value = row[column];
  if (typeof value !== "number") throw new Error(`column ${column} is ${typeof value}, not a number`);
  return value;
}

export function envelopeOf(row: Row): Envelope {
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

/** The arguments of `store`; `ahead`: of the database's clock (databaseTime.ts). */
export function storeValues({ envelope, file, content, checksum, works }: MessageRow, ahead: number): readonly unknown[] {
  return [
    envelope.id,
    storable(envelope.sender),
    envelope.acceptedAt + ahead,
    flagsOf(envelope),
    envelope.envelopeId === undefined ? null : storable(envelope.envelopeId),
    envelope.returnContent ?? null,
    envelope.size,
    checksum,
    file ?? null,
    content === undefined ? null : Buffer.from(content.buffer, content.byteOffset, content.length),
    json(works.map((work) => ({ ...work, due: work.due + ahead, recipients: laterBy(ahead, work.recipients) }))),
  ];
}

export const STORE = "SELECT store($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

/** What waits on, with what its last reason is counted as (postgresTallyTables.ts). */
export function waitingJson(waiting: readonly WaitingRecipient[], ahead: number): string {
  return json(
    laterBy(ahead, waiting).map((recipient) => {
      const { lastOutcome } = recipient;
      if (lastOutcome === undefined || lastOutcome.kind === "delivered") return recipient;
      return { ...recipient, group: reasonGroup(storable(lastOutcome.cause.text)) };
    }),
  );
}

function laterBy(milliseconds: number, waiting: readonly WaitingRecipient[]): readonly WaitingRecipient[] {
  return waiting.map((recipient) => ({ ...recipient, due: recipient.due + milliseconds }));
}

function waitingOf(row: Row): readonly WaitingRecipient[] {
  return (row.recipients as readonly (WaitingRecipient & { group?: string })[]).map(({ group: _, ...recipient }) => recipient);
}

/** Content that is inline and undamaged; the damaged one is told of when it is asked for. */
export function claimedWorkOf(row: Row, ahead: number): ClaimedWork {
  const envelope = envelopeOf(row);
  const { content } = row;
  const whole = Buffer.isBuffer(content) && crc32(content) === row.checksum;
  return {
    key: { message: integer(row, "message"), destination: text(row, "destination") },
    due: integer(row, "due") - ahead,
    recipients: laterBy(-ahead, waitingOf(row)),
    envelope: { ...envelope, acceptedAt: envelope.acceptedAt - ahead },
    ...(whole ? { content } : {}),
  };
}

/** The history lines of one attempt, with the addresses that the work knew then. */
export function attemptsJson(attempts: readonly AttemptRow[], recipients: readonly WaitingRecipient[], ahead: number): string {
  const addresses = new Map(recipients.map(({ index, address }) => [index, address]));
  return json(
    attempts.map((attempt) => ({ ...attempt, at: attempt.at + ahead, address: addresses.get(attempt.recipient) ?? "" })),
  );
}
