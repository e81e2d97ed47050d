import type { Envelope, MessageId, NewMessage, Work } from "../spool/message.ts";
import { buildDsn } from "./bounce.ts";
import type { Notice } from "./settlement.ts";

/** What composing notices needs of the relay. */
export type NoticeContext = {
  /** The name in them. */
  hostname: string;
  /** When the message will be given up, unless it is delivered. */
  retryUntil: number;
  now: number;
  newId: () => MessageId;
  content: () => AsyncIterable<Buffer>;
  onTrouble: (error: unknown) => void;
};

export type ComposedNotice = { notice: Notice; dsn: { message: NewMessage; content: Buffer } };

/** Octets of the original that a notice may carry (RFC 3461 §4.3: a whole message may be returned as its headers). */
const MAX_RETURNED_OCTETS = 64 * 1024;

/**
 * The notices to the sender of `work`, ready for the queue; fewer where none is due (null sender). Never rejects: what was delivered has to be
 * recorded, whether or not something can be said about the rest.
 */
export async function composeNotices(
  work: Work,
  notices: readonly Notice[],
  context: NoticeContext,
): Promise<readonly ComposedNotice[]> {
  if (notices.length === 0) return [];
  const original = await beginningOf(context.content).catch((error: unknown) => {
    // A notice without the original is better than a recipient whose failure nobody hears of.
    context.onTrouble(error);
    return Buffer.alloc(0);
  });
  return notices.flatMap((notice) => {
    try {
      return composed(work.envelope, notice, original, context);
    } catch (error) {
      context.onTrouble(unsaid(work, notice, error));
      return [];
    }
  });
}

function composed(envelope: Envelope, notice: Notice, original: Buffer, context: NoticeContext): readonly ComposedNotice[] {
  const { hostname, retryUntil, now, newId } = context;
  const dsn = buildDsn({
    envelope,
    kind: notice.action,
    recipients: notice.recipients,
    original,
    hostname,
    now,
    newId,
    ...(notice.action === "delayed" ? { retryUntil } : {}),
  });
  return dsn.kind === "dsn" ? [{ notice, dsn }] : [];
}

/** What the operator has to tell the sender now, since the relay cannot. */
export function unsaid({ envelope, destination }: Work, { action }: Pick<Notice, "action">, cause: unknown): Error {
  const why = cause instanceof Error ? cause.message : String(cause);
  const text = `<${envelope.sender}> was not told that message ${envelope.id} to ${destination} is ${action}: ${why}`;
  return new Error(text, { cause });
}

async function beginningOf(content: () => AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let octets = 0;
  for await (const chunk of content()) {
    chunks.push(chunk);
    octets += chunk.length;
    if (octets >= MAX_RETURNED_OCTETS) break;
  }
  return Buffer.concat(chunks).subarray(0, MAX_RETURNED_OCTETS);
}
