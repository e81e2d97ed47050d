import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { QueueEntry, QueueFilter, QueuePosition, QueueState } from "./queueAdmin.ts";
import type { CountedEntry } from "./queueTally.ts";
import type { WaitingRecipient, WorkKey } from "./storeOperation.ts";

/**
 * Reads the queue for the operator, in the order of acceptance, a slice at a time.
 *
 * candidates   where an index knows the few messages that a filter can mean (ids, one domain, what is held or active), only these are read
 * scan         else the index of acceptance is followed, SLICE_MESSAGES at a time, whether they match or not
 */
const SLICE_MESSAGES = 2000;
/** A filter that means more messages than these is a scan. */
const MAX_CANDIDATES = 2000;
/** Sorts behind every destination. */
const BEHIND_ALL = "~";

type Value = string | number;
type Row = Record<string, string | number | null | Uint8Array>;

/** An entry with what identifies its row. */
export type ScannedEntry = {
  key: WorkKey;
  due: number;
  held: boolean;
  entry: QueueEntry;
  recipients: readonly WaitingRecipient[];
};

export type Slice<T> = { found: readonly T[]; at?: QueuePosition };

/** Whether a work is claimed now, and which messages have one. */
export type ClaimedWorks = { has(key: WorkKey): boolean; messages(): readonly number[] };

export class QueueScan {
  readonly #database: DatabaseSync;
  readonly #claims: ClaimedWorks;
  readonly #prepared = new Map<string, StatementSync>();

  constructor(database: DatabaseSync, claims: ClaimedWorks) {
    this.#database = database;
    this.#claims = claims;
  }

  /** Up to `most` entries behind `after` that `filter` means. */
  entries(filter: QueueFilter, after: QueuePosition | undefined, most: number): Slice<ScannedEntry> {
    const candidates = this.#candidates(filter);
    const end = candidates === undefined ? this.#sliceEnd(after, filter.acceptedBefore) : undefined;
    const { where, values } = conditions(filter, after, end);
    const source = candidates === undefined ? SCAN : CANDIDATES;
    const sql = `SELECT w.message, w.destination, w.due, w.held, w.recipients, m.id, m.accepted_at, m.sender, m.size
      FROM ${source} WHERE ${where} ORDER BY m.accepted_at, m.id, w.destination LIMIT ? + 0`;
    const head = candidates === undefined ? [] : [JSON.stringify(candidates)];
    const rows = this.all(sql, [...head, ...values, most]);
    const entries = rows.map((row) => this.#entry(row));
    const found = entries.filter(({ entry }) => matches(entry, filter));
    const last = rows.length < most ? undefined : entries.at(-1);
    const at = last === undefined ? end : positionOfEntry(last.entry);
    return { found, ...(at === undefined ? {} : { at }) };
  }

  /** Every entry of one message, by destination. */
  ofMessage(message: number): readonly ScannedEntry[] {
    const sql = `SELECT w.message, w.destination, w.due, w.held, w.recipients, m.id, m.accepted_at, m.sender, m.size
      FROM message m CROSS JOIN work w ON w.message = m.seq WHERE m.seq = ? ORDER BY w.destination`;
    return this.all(sql, [message]).map((row) => this.#entry(row));
  }

  /** The waiting recipients of a slice, without a look at the messages themselves: the index has all that is wanted of these. */
  recipients(after: Omit<QueuePosition, "destination"> | undefined): Slice<CountedEntry> {
    const from = after === undefined ? undefined : { ...after, destination: BEHIND_ALL };
    const end = this.#sliceEnd(from, undefined);
    const { where, values } = conditions({}, from, end);
    const sql = `SELECT w.destination, w.recipients, m.accepted_at, m.id FROM ${SCAN} WHERE ${where}`;
    const found = this.all(sql, values).map((row) => ({
      id: String(row.id),
      acceptedAt: Number(row.accepted_at),
      destination: String(row.destination),
      recipients: waiting(row),
    }));
    return { found, ...(end === undefined ? {} : { at: end }) };
  }

  all(sql: string, values: readonly Value[]): readonly Row[] {
    let statement = this.#prepared.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#prepared.set(sql, statement);
    }
    return statement.all(...values) as Row[];
  }

  /** Where the slice behind `after` ends; undefined: with the queue, or with what `acceptedBefore` can mean. */
  #sliceEnd(after: QueuePosition | undefined, acceptedBefore: number | undefined): QueuePosition | undefined {
    const sql = `SELECT accepted_at, id FROM message INDEXED BY message_accepted
      WHERE (accepted_at, id) > (?, ?) ORDER BY accepted_at, id LIMIT 1 OFFSET ${SLICE_MESSAGES}`;
    const [row] = this.all(sql, [after?.acceptedAt ?? Number.MIN_SAFE_INTEGER, after?.id ?? ""]);
    if (row === undefined) return undefined;
    const end = { acceptedAt: Number(row.accepted_at), id: String(row.id), destination: BEHIND_ALL };
    return acceptedBefore !== undefined && end.acceptedAt >= acceptedBefore ? undefined : end;
  }

  /** The rows of the few messages that can match; undefined: not known, or too many. */
  #candidates({ ids, domain, state }: QueueFilter): readonly number[] | undefined {
    if (ids !== undefined) {
      const sql = "SELECT seq FROM message WHERE id IN (SELECT value FROM json_each(?))";
      return this.all(sql, [JSON.stringify(ids)]).map(({ seq }) => Number(seq));
    }
    if (state === "active") return this.#claims.messages();
    const exact = domain?.startsWith(".") === false ? [domain] : [];
    const limit = MAX_CANDIDATES + 1;
    const narrowed = exact.length === 0 ? "" : "AND destination = ?";
    const found: number[] = [];
    if (state === "held" || exact.length > 0) {
      const held = `SELECT DISTINCT message FROM work INDEXED BY work_held WHERE held <> 0 ${narrowed} LIMIT ${limit}`;
      found.push(...this.all(held, exact).map(({ message }) => Number(message)));
    } else return undefined;
    if (state !== "held") {
      const free = `SELECT message FROM work INDEXED BY work_due WHERE held = 0 ${narrowed} LIMIT ${limit}`;
      found.push(...this.all(free, exact).map(({ message }) => Number(message)));
    }
    return found.length > MAX_CANDIDATES ? undefined : [...new Set(found)];
  }

  #entry(row: Row): ScannedEntry {
    const key = { message: Number(row.message), destination: String(row.destination) };
    const due = Number(row.due);
    const held = row.held !== 0;
    const recipients = waiting(row);
    const state = this.#stateOf(key, held, recipients);
    const entry = {
      id: String(row.id),
      sender: String(row.sender),
      destination: key.destination,
      state,
      acceptedAt: Number(row.accepted_at),
      ...(state === "active" || state === "held" ? {} : { nextAttemptAt: Math.max(due, Number(row.accepted_at)) }),
      size: Number(row.size),
      recipients: recipients.map((recipient) => {
        const { address, attempts, lastOutcome } = recipient;
        const reason = reasonOf(recipient);
        const status = lastOutcome === undefined || lastOutcome.kind === "delivered" ? undefined : lastOutcome.status;
        return { address, attempts, ...(status === undefined ? {} : { status }), ...(reason === undefined ? {} : { reason }) };
      }),
    };
    return { key, due, held, entry, recipients };
  }

  #stateOf(key: WorkKey, held: boolean, recipients: readonly WaitingRecipient[]): QueueState {
    if (held) return "held";
    if (this.#claims.has(key)) return "active";
    return recipients.every(({ attempts }) => attempts === 0) ? "incoming" : "deferred";
  }
}

const SCAN = "message m INDEXED BY message_accepted CROSS JOIN work w ON w.message = m.seq";
const CANDIDATES = "json_each(?) c CROSS JOIN message m ON m.seq = c.value CROSS JOIN work w ON w.message = m.seq";

function conditions(
  filter: QueueFilter,
  after: QueuePosition | undefined,
  end: QueuePosition | undefined,
): { where: string; values: readonly Value[] } {
  const { domain, sender, state, acceptedBefore } = filter;
  const parts: { sql: string; values: readonly Value[] }[] = [{ sql: "TRUE", values: [] }];
  if (after !== undefined) {
    const { acceptedAt, id, destination } = after;
    // The first for the index, the second for the message of which some entries were seen.
    parts.push({ sql: "(m.accepted_at, m.id) >= (?, ?)", values: [acceptedAt, id] });
    parts.push({ sql: "NOT (m.accepted_at = ? AND m.id = ? AND w.destination <= ?)", values: [acceptedAt, id, destination] });
  }
  if (end !== undefined) parts.push({ sql: "(m.accepted_at, m.id) <= (?, ?)", values: [end.acceptedAt, end.id] });
  if (acceptedBefore !== undefined) parts.push({ sql: "m.accepted_at < ?", values: [acceptedBefore] });
  if (domain?.startsWith(".")) parts.push({ sql: "substr(w.destination, ?) = ?", values: [-domain.length, domain] });
  else if (domain !== undefined) parts.push({ sql: "w.destination = ?", values: [domain] });
  if (state !== undefined) parts.push({ sql: state === "held" ? "w.held <> 0" : "w.held = 0", values: [] });
  parts.push(...necessary(filter));
  // Last: it is the one that reads the message's row.
  if (sender !== undefined) parts.push({ sql: "m.sender = ?", values: [sender] });
  return { where: parts.map(({ sql }) => sql).join(" AND "), values: parts.flatMap(({ values }) => values) };
}

/** What the text of the recipients must have in it for `matches` to hold: most rows then need not be parsed. */
function necessary({ state, reason }: QueueFilter): { sql: string; values: readonly Value[] }[] {
  const parts: { sql: string; values: readonly Value[] }[] = [];
  if (state === "incoming") parts.push({ sql: `instr(w.recipients, '"attempts":0') > 0`, values: [] });
  if (state === "deferred") parts.push({ sql: `w.recipients GLOB '*"attempts":[1-9]*'`, values: [] });
  // What JSON would write in another way, or SQLite does not know the lower case of, is left to the parsed text.
  const plain = reason !== undefined && /^[ !#-[\]-~]*$/.test(reason);
  if (plain) parts.push({ sql: "instr(lower(w.recipients), ?) > 0", values: [reason.toLowerCase()] });
  return parts;
}

function matches({ state, recipients }: QueueEntry, filter: QueueFilter): boolean {
  if (filter.state !== undefined && filter.state !== state) return false;
  const wanted = filter.reason?.toLowerCase();
  return wanted === undefined || recipients.some(({ reason }) => reason?.toLowerCase().includes(wanted) === true);
}

function waiting(row: Row): readonly WaitingRecipient[] {
  return JSON.parse(String(row.recipients)) as readonly WaitingRecipient[];
}

function reasonOf({ lastOutcome }: WaitingRecipient): string | undefined {
  return lastOutcome === undefined || lastOutcome.kind === "delivered" ? undefined : lastOutcome.cause.text;
}

function positionOfEntry({ acceptedAt, id, destination }: QueueEntry): QueuePosition {
  return { acceptedAt, id, destination };
}
