import type { MessageId } from "./message.ts";
import type { PostgresConnection } from "./postgresConnection.ts";
import { entryOf, filterOf, SqlValues } from "./postgresFilter.ts";
import { envelopeOf, integer, type Row, text } from "./postgresRows.ts";
import {
  type AttemptRecord,
  type QueueAction,
  type QueueAdmin,
  type QueueChange,
  type QueuedMessage,
  type QueueFilter,
  type QueuePage,
  type QueuePosition,
  type QueueStatistic,
  reasonGroup,
  type StatisticKey,
} from "./queueAdmin.ts";

/** Entries that one transaction of an action changes: what it has locked, deliveries wait for. */
const ACTION_ENTRIES = 500;

const ENTRIES = `SELECT w.message, w.destination, w.due, w.held, w.recipients, m.id, m.accepted_at, m.sender, m.size,
    EXISTS (SELECT FROM lease l WHERE l.message = w.message AND l.destination = w.destination) AS active
  FROM message m JOIN work w ON w.message = m.seq`;
const ORDER = "ORDER BY m.accepted_at, m.id, w.destination";
const WAITING = "FROM work w JOIN message m ON m.seq = w.message";
/** Each entry with each last reason of its recipients, and how many of them have it. Most have one recipient, and that is read faster. */
const REASONS = `SELECT w.message, w.destination, m.accepted_at, w.recipients #>> '{0,lastOutcome,cause,text}' AS reason, 1 AS recipients
    ${WAITING} WHERE jsonb_array_length(w.recipients) = 1
  UNION ALL SELECT w.message, w.destination, m.accepted_at, r.reason, r.recipients ${WAITING} CROSS JOIN LATERAL (
    SELECT one #>> '{lastOutcome,cause,text}' AS reason, count(*) AS recipients FROM jsonb_array_elements(w.recipients) AS one GROUP BY 1
  ) AS r WHERE jsonb_array_length(w.recipients) <> 1`;

export type PostgresAdminParts = {
  connection: PostgresConnection;
  /** Resolves when what this replica has given back is free. */
  flushed: () => Promise<void>;
  /** Something may be due that was not. */
  onDue: () => Promise<void>;
  now: () => number;
};

/** The operator's hands on the shared queue, through any of its replicas. */
export class PostgresQueueAdmin implements QueueAdmin {
  readonly #parts: PostgresAdminParts;

  constructor(parts: PostgresAdminParts) {
    this.#parts = parts;
  }

  async list(filter: QueueFilter, { limit, after }: { limit: number; after?: QueuePosition }): Promise<QueuePage> {
    const rows = await this.#rows(filter, after, limit + 1);
    const entries = rows.slice(0, limit).map(entryOf);
    const last = entries.at(-1);
    if (rows.length <= limit || last === undefined) return { entries };
    const { acceptedAt, id, destination } = last;
    return { entries, next: { acceptedAt, id, destination } };
  }

  async show(id: MessageId): Promise<QueuedMessage | undefined> {
    const [row] = await this.#ask("SELECT * FROM message WHERE id = $1", [id]);
    if (row === undefined) return undefined;
    const [first, ...rest] = (await this.#ask(`${ENTRIES} WHERE m.id = $1 ORDER BY w.destination`, [id])).map(entryOf);
    if (first === undefined) return undefined;
    const entries: QueuedMessage["entries"] = [first, ...rest];
    const history = await this.#ask("SELECT * FROM attempt WHERE message = $1 ORDER BY at, number, recipient", [row.seq]);
    return { envelope: envelopeOf(row), entries, attempts: history.map(attemptOf) };
  }

  statistics(by: StatisticKey, limit: number): Promise<readonly QueueStatistic[]> {
    return by === "destination" ? this.#byDestination(limit) : this.#byReason(limit);
  }

  async act(action: QueueAction, filter: QueueFilter): Promise<QueueChange> {
    const unknown = await this.#unknown(filter.ids);
    await this.#parts.flushed();
    const total = { changed: 0, unchanged: 0, busy: 0 };
    let after: QueuePosition | undefined;
    do {
      const rows = await this.#rows(filter, after, ACTION_ENTRIES);
      const messages = rows.map(({ message }) => message);
      const destinations = rows.map(({ destination }) => destination);
      const values = [action, messages, destinations, this.#parts.now()];
      const [done] = await this.#ask("SELECT * FROM act($1, $2, $3, $4)", values);
      if (done === undefined) throw new Error("the database says nothing of what it did");
      for (const key of ["changed", "unchanged", "busy"] as const) total[key] += integer(done, key);
      const last = rows.length < ACTION_ENTRIES ? undefined : rows.at(-1);
      after = last === undefined ? undefined : entryOf(last);
    } while (after !== undefined);
    if (action === "retry" || action === "release") await this.#parts.onDue();
    return { ...total, unknown };
  }

  #rows(filter: QueueFilter, after: QueuePosition | undefined, limit: number): Promise<readonly Row[]> {
    const values = new SqlValues();
    const where = filterOf(filter, after, values);
    return this.#ask(`${ENTRIES} WHERE ${where} ${ORDER} LIMIT ${values.add(limit)}`, values.all);
  }

  async #unknown(ids: readonly MessageId[] = []): Promise<readonly MessageId[]> {
    const rows = ids.length === 0 ? [] : await this.#ask("SELECT id FROM message WHERE id = ANY ($1)", [[...ids]]);
    const known = new Set(rows.map(({ id }) => id));
    return [...new Set(ids)].filter((id) => !known.has(id));
  }

  async #byDestination(limit: number): Promise<readonly QueueStatistic[]> {
    const rows = await this.#ask(
      `SELECT w.destination AS key, count(*) AS messages, sum(jsonb_array_length(w.recipients))::bigint AS recipients,
        min(m.accepted_at) AS oldest FROM work w JOIN message m ON m.seq = w.message
        GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT $1`,
      [limit],
    );
    const reasons = await this.#ask(
      `SELECT destination, reason, sum(recipients)::bigint AS recipients FROM (${REASONS}) r
        WHERE destination = ANY ($1) AND reason IS NOT NULL GROUP BY 1, 2`,
      [rows.map(({ key }) => key)],
    );
    return rows.map((row) => {
      const groups = new Map<string, number>();
      for (const one of reasons.filter(({ destination }) => destination === row.key)) {
        const group = reasonGroup(text(one, "reason"));
        groups.set(group, (groups.get(group) ?? 0) + integer(one, "recipients"));
      }
      const [most] = [...groups].sort(([, a], [, b]) => b - a);
      return { ...statisticOf(text(row, "key"), row), ...(most === undefined ? {} : { reason: most[0] }) };
    });
  }

  async #byReason(limit: number): Promise<readonly QueueStatistic[]> {
    const rows = await this.#ask(
      `SELECT reason, sum(recipients)::bigint AS recipients, count(*) AS messages, min(accepted_at) AS oldest FROM (${REASONS}) r GROUP BY 1`,
    );
    const groups = new Map<string, { raw: (string | null)[]; statistic: QueueStatistic }>();
    for (const row of rows) {
      const raw = row.reason === null ? null : text(row, "reason");
      const statistic = statisticOf(reasonGroup(raw ?? undefined), row);
      const known = groups.get(statistic.key);
      if (known === undefined) groups.set(statistic.key, { raw: [raw], statistic });
      else groups.set(statistic.key, { raw: [...known.raw, raw], statistic: sum(known.statistic, statistic) });
    }
    const largest = [...groups.values()].sort((a, b) => larger(a.statistic, b.statistic)).slice(0, limit);
    // An entry whose recipients were given reasons that only differ in a mailbox is still one.
    return Promise.all(
      largest.map(async ({ raw, statistic }) => (raw.length === 1 ? statistic : this.#recounted(raw, statistic))),
    );
  }

  async #recounted(raw: readonly (string | null)[], statistic: QueueStatistic): Promise<QueueStatistic> {
    const entries = `SELECT DISTINCT message, destination FROM (${REASONS}) r WHERE reason = ANY ($1)`;
    const [row] = await this.#ask(`SELECT count(*) AS messages FROM (${entries}) e`, [[...raw]]);
    return row === undefined ? statistic : { ...statistic, messages: integer(row, "messages") };
  }

  async #ask(sql: string, values?: readonly unknown[]): Promise<readonly Row[]> {
    const { connection } = this.#parts;
    return connection.ask(sql, values).catch((error: unknown) => {
      throw connection.failure(error);
    });
  }
}

function statisticOf(key: string, row: Row): QueueStatistic {
  return {
    key,
    messages: integer(row, "messages"),
    recipients: integer(row, "recipients"),
    oldestAcceptedAt: integer(row, "oldest"),
  };
}

function sum(a: QueueStatistic, b: QueueStatistic): QueueStatistic {
  const oldestAcceptedAt = Math.min(a.oldestAcceptedAt, b.oldestAcceptedAt);
  return { key: a.key, messages: a.messages + b.messages, recipients: a.recipients + b.recipients, oldestAcceptedAt };
}

function larger(a: QueueStatistic, b: QueueStatistic): number {
  return b.recipients - a.recipients || (a.key < b.key ? -1 : 1);
}

function attemptOf(row: Row): AttemptRecord {
  const { outcome, status, cause, host } = row;
  if (outcome !== "delivered" && outcome !== "deferred" && outcome !== "failed") throw new Error(`outcome ${String(outcome)}`);
  return {
    recipient: text(row, "address"),
    number: integer(row, "number"),
    at: integer(row, "at"),
    outcome,
    ...(typeof status === "string" ? { status } : {}),
    ...(typeof cause === "string" ? { reason: cause } : {}),
    ...(typeof host === "string" ? { host } : {}),
  };
}
