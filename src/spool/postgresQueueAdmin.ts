import type { DatabaseTime } from "./databaseTime.ts";
import type { MessageId } from "./message.ts";
import type { PostgresConnection } from "./postgresConnection.ts";
import { entryOf, filterOf, SqlValues } from "./postgresFilter.ts";
import { envelopeOf, integer, type Row, text } from "./postgresRows.ts";
import { statistics } from "./postgresStatistics.ts";
import type {
  AttemptRecord,
  QueueAction,
  QueueAdmin,
  QueueChange,
  QueuedMessage,
  QueueFilter,
  QueuePage,
  QueuePosition,
  QueueStatistic,
  StatisticKey,
} from "./queueAdmin.ts";

/** Entries that one transaction of an action changes: what it has locked, deliveries wait for. */
const ACTION_ENTRIES = 500;

const ENTRIES = `SELECT w.message, w.destination, w.due, w.held, w.recipients, m.id, m.accepted_at, m.sender, m.size,
    EXISTS (SELECT FROM lease l WHERE l.message = w.message AND l.destination = w.destination) AS active
  FROM message m JOIN work w ON w.message = m.seq`;
const ORDER = "ORDER BY m.accepted_at, m.id, w.destination";
export type PostgresAdminParts = {
  connection: PostgresConnection;
  /** Resolves when what this replica has given back is free. */
  flushed: () => Promise<void>;
  /** Something may be due that was not. */
  onDue: () => Promise<void>;
  now: () => number;
  time: DatabaseTime;
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
    return statistics(by, limit, (sql, values) => this.#ask(sql, values));
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
      const values = [action, messages, destinations, this.#parts.now() + this.#parts.time.ahead];
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
    const { acceptedBefore } = filter;
    const before = acceptedBefore === undefined ? {} : { acceptedBefore: acceptedBefore + this.#parts.time.ahead };
    const where = filterOf({ ...filter, ...before }, after, values);
    return this.#ask(`${ENTRIES} WHERE ${where} ${ORDER} LIMIT ${values.add(limit)}`, values.all);
  }

  async #unknown(ids: readonly MessageId[] = []): Promise<readonly MessageId[]> {
    const rows = ids.length === 0 ? [] : await this.#ask("SELECT id FROM message WHERE id = ANY ($1)", [[...ids]]);
    const known = new Set(rows.map(({ id }) => id));
    return [...new Set(ids)].filter((id) => !known.has(id));
  }

  async #ask(sql: string, values?: readonly unknown[]): Promise<readonly Row[]> {
    const { connection } = this.#parts;
    return connection.ask(sql, values).catch((error: unknown) => {
      throw connection.failure(error);
    });
  }
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
