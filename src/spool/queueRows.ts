import type { Envelope, NewMessage, QueuedRecipient, RecipientRequest, Settled, Work } from "./message.ts";
import type { StoredContent } from "./messageWriter.ts";
import type { SenderTurns } from "./senderTurns.ts";
import type { AttemptRow, ClaimedWork, MessageRow, WaitingRecipient } from "./storeOperation.ts";

/** Between the messages and works that others see and the rows that are stored. */

/** A new message: its recipients grouped by destination, each group due at once, in the place that is its sender's turn. */
export function messageRow(
  envelope: Envelope,
  recipients: NewMessage["recipients"],
  content: StoredContent,
  turns: SenderTurns,
): MessageRow {
  const groups = new Map<string, { due: number; recipients: WaitingRecipient[] }>();
  for (const [index, recipient] of recipients.entries()) {
    const group = groups.get(recipient.destination) ?? { due: turns.place(envelope, recipient), recipients: [] };
    group.recipients.push(waitingRecipient(recipient, index, group.due));
    groups.set(recipient.destination, group);
  }
  const works = [...groups].map(([destination, group]) => ({ destination, ...group }));
  const { checksum } = content;
  return { envelope, works, checksum, ...("file" in content ? { file: content.file } : { content: content.content }) };
}

function waitingRecipient(recipient: RecipientRequest, index: number, due: number): WaitingRecipient {
  return { ...recipient, index, attempts: 0, delayWarned: false, due };
}

/** The recipients of a claimed work that are due, as the delivery sees them. */
export function workOf(claimed: ClaimedWork, now: number): Work {
  // The clock may have gone back between the claim and now.
  const latest = Math.max(now, claimed.due);
  const due = claimed.recipients.filter((recipient) => recipient.due <= latest).map(queuedRecipient);
  const [first, ...rest] = due;
  if (first === undefined) throw new Error(`claimed work of message ${claimed.envelope.id} has no recipient that is due`);
  const { content } = claimed;
  return {
    envelope: claimed.envelope,
    destination: claimed.key.destination,
    recipients: [first, ...rest],
    ...(content === undefined ? {} : { content: Buffer.from(content.buffer, content.byteOffset, content.length) }),
  };
}

function queuedRecipient({ due: _, ...recipient }: WaitingRecipient): QueuedRecipient {
  return recipient;
}

/** What of a claimed work goes on waiting, and the lines that its recipients' history gains. */
export function settlement(
  claimed: ClaimedWork,
  settled: readonly Settled[],
  at: number,
): { waiting: readonly WaitingRecipient[]; attempts: readonly AttemptRow[] } {
  const settledByIndex = new Map(settled.map((one) => [one.index, one]));
  const waiting: WaitingRecipient[] = [];
  const attempts: AttemptRow[] = [];
  for (const recipient of claimed.recipients) {
    const one = settledByIndex.get(recipient.index);
    if (one === undefined) {
      waiting.push(recipient);
      continue;
    }
    settledByIndex.delete(recipient.index);
    attempts.push(attemptRow(recipient, one, at));
    if (one.outcome.kind !== "deferred") continue;
    // Without a time the message would be tried again at once, for ever.
    if (one.nextAttemptAt === undefined)
      throw new Error(`recipient ${one.index} is deferred without a time for the next attempt`);
    waiting.push({
      ...recipient,
      attempts: recipient.attempts + 1,
      due: one.nextAttemptAt,
      delayWarned: one.delayWarned ?? recipient.delayWarned,
      lastOutcome: one.outcome,
    });
  }
  const [unknown] = settledByIndex.keys();
  if (unknown !== undefined) throw new Error(`recipient ${unknown} is not part of the claimed work`);
  return { waiting, attempts };
}

function attemptRow(recipient: WaitingRecipient, { outcome }: Settled, at: number): AttemptRow {
  const gone = outcome.kind === "deferred" ? {} : { address: recipient.address };
  const row = { recipient: recipient.index, number: recipient.attempts + 1, at, outcome: outcome.kind, ...gone };
  if (outcome.kind === "delivered") {
    const { code, enhanced, lines } = outcome.reply;
    return { ...row, status: enhanced ?? String(code), cause: lines.join(" ") };
  }
  const { status, cause } = outcome;
  return { ...row, status, cause: cause.text, ...(cause.host === undefined ? {} : { host: cause.host }) };
}
