import { integer, type Row, text } from "./postgresRows.ts";
import type { QueueEntry, QueueFilter, QueuePosition, QueueState } from "./queueAdmin.ts";
import type { WaitingRecipient } from "./storeOperation.ts";

/** A filter of the operator as SQL over message m and work w, and a row of these as the entry that he sees. */

/** The values of a statement, in the order in which they are added. */
export class SqlValues {
  readonly all: unknown[] = [];

  /** Its placeholder. */
  add(value: unknown): string {
    this.all.push(value);
    return `$${this.all.length}`;
  }
}

const LEASED = "EXISTS (SELECT FROM lease l WHERE l.message = w.message AND l.destination = w.destination)";
const TRIED = "jsonb_path_exists(w.recipients, '$[*] ? (@.attempts > 0)')";

const STATES: Readonly<Record<QueueState, string>> = {
  held: "w.held",
  active: `NOT w.held AND ${LEASED}`,
  deferred: `NOT w.held AND NOT ${LEASED} AND ${TRIED}`,
  incoming: `NOT w.held AND NOT ${LEASED} AND NOT ${TRIED}`,
};

/** The condition, its values added to `values`. */
export function filterOf(filter: QueueFilter, after: QueuePosition | undefined, values: SqlValues): string {
  const { ids, domain, sender, state, acceptedBefore, reason } = filter;
  const parts: string[] = ["TRUE"];
  if (after !== undefined) {
    const [at, id] = [values.add(after.acceptedAt), values.add(after.id)];
    // The first for the index, the second for the message of which some entries were seen.
    parts.push(`(m.accepted_at, m.id) >= (${at}, ${id})`);
    parts.push(`NOT (m.accepted_at = ${at} AND m.id = ${id} AND w.destination <= ${values.add(after.destination)})`);
  }
  if (ids !== undefined) parts.push(`m.id = ANY (${values.add([...ids])})`);
  if (domain?.startsWith(".")) parts.push(`right(w.destination, ${domain.length}) = ${values.add(domain)}`);
  else if (domain !== undefined) parts.push(`w.destination = ${values.add(domain)}`);
  if (sender !== undefined) parts.push(`m.sender = ${values.add(sender)}`);
  if (acceptedBefore !== undefined) parts.push(`m.accepted_at < ${values.add(acceptedBefore)}`);
  if (state !== undefined) parts.push(STATES[state]);
  if (reason !== undefined) {
    const wanted = values.add(reason);
    parts.push(`EXISTS (SELECT FROM jsonb_array_elements(w.recipients) AS r
      WHERE strpos(lower(r #>> '{lastOutcome,cause,text}'), lower(${wanted})) > 0)`);
  }
  return parts.join(" AND ");
}

export function entryOf(row: Row): QueueEntry {
  const recipients = row.recipients as readonly WaitingRecipient[];
  const state = stateOf(row, recipients);
  const acceptedAt = integer(row, "accepted_at");
  return {
    id: text(row, "id"),
    sender: text(row, "sender"),
    destination: text(row, "destination"),
    state,
    acceptedAt,
    // New mail is due before its time, by its sender's turn.
    ...(state === "active" || state === "held" ? {} : { nextAttemptAt: Math.max(integer(row, "due"), acceptedAt) }),
    size: integer(row, "size"),
    recipients: recipients.map(({ address, attempts, lastOutcome }) => {
      if (lastOutcome === undefined || lastOutcome.kind === "delivered") return { address, attempts };
      return { address, attempts, status: lastOutcome.status, reason: lastOutcome.cause.text };
    }),
  };
}

function stateOf(row: Row, recipients: readonly WaitingRecipient[]): QueueState {
  if (row.held === true) return "held";
  if (row.active === true) return "active";
  return recipients.every(({ attempts }) => attempts === 0) ? "incoming" : "deferred";
}
