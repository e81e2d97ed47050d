import type { PostgresConnection } from "./postgresConnection.ts";
import { integer, type Row, text } from "./postgresRows.ts";
import { NEVER_TRIED, type QueueStatistic, reasonGroup, type StatisticKey } from "./queueAdmin.ts";

/** The queue by destination and by reason, from the tally (postgresTallyTables.ts). */

/** Of the entry that was stored first at `destination`, where there is one. The order is that of work_destination, and of no other index. */
const oldestAt = (destination: string): string =>
  `(SELECT m.accepted_at FROM work w JOIN message m ON m.seq = w.message
    WHERE (w.destination, w.message) > (${destination}, 0) ORDER BY w.destination, w.message LIMIT 1)`;

const DESTINATIONS = `destinations AS (
    SELECT destination, sum(works)::bigint AS messages, sum(recipients)::bigint AS recipients FROM (
      SELECT destination, works, recipients FROM tally WHERE reason = '' AND destination <> ''
      UNION ALL SELECT destination, works, recipients FROM tally_change
    ) c GROUP BY 1 HAVING sum(recipients) > 0
  )`;

const BY_DESTINATION = `
  WITH ${DESTINATIONS}, largest AS MATERIALIZED (
    SELECT d.*, ${oldestAt("d.destination")} AS oldest FROM (SELECT * FROM destinations ORDER BY recipients DESC, destination LIMIT $1) d
  ), reasons AS (
    SELECT destination, reason, sum(recipients)::bigint AS recipients FROM (
      SELECT t.destination, t.reason, t.recipients FROM largest l JOIN tally t USING (destination) WHERE t.reason <> ''
      UNION ALL SELECT t.destination, t.reason, t.recipients FROM largest l JOIN tally_change t USING (destination)
    ) c GROUP BY 1, 2 HAVING sum(recipients) > 0
  )
  SELECT l.destination AS key, l.messages, l.recipients, l.oldest, r.reason, r.recipients AS of_reason
  FROM largest l JOIN reasons r USING (destination) ORDER BY l.recipients DESC, l.destination, r.recipients DESC, r.reason`;

const BY_REASON = `
  SELECT reason, sum(entries)::bigint AS messages, sum(recipients)::bigint AS recipients FROM (
    SELECT reason, entries, recipients FROM tally WHERE destination = '' UNION ALL SELECT reason, entries, recipients FROM tally_change
  ) c GROUP BY 1 HAVING sum(recipients) > 0`;

/** The destinations of the entries that were stored first: mostly all that is needed. */
const OF_THE_FIRST = `
  SELECT w.destination, min(m.accepted_at) AS oldest FROM (SELECT message, destination FROM work ORDER BY message LIMIT 2000) w
  JOIN message m ON m.seq = w.message GROUP BY 1 ORDER BY 2`;
const OF_ALL = `SELECT o.destination, o.oldest FROM (SELECT d.destination, ${oldestAt("d.destination")} AS oldest FROM destinations d) o ORDER BY 2`;

/** For each group of reasons the oldest entry of the destinations where one of them occurs, as far as these are among `aged`. */
const oldestByReason = (aged: string): string => `
  WITH ${DESTINATIONS}, aged AS MATERIALIZED (${aged})
  SELECT n.key, min(least((
    SELECT a.oldest FROM aged a
    WHERE EXISTS (SELECT FROM tally t WHERE t.destination = a.destination AND t.reason = n.reason AND t.recipients > 0) ORDER BY a.oldest LIMIT 1
  ), (
    SELECT min(a.oldest) FROM (
      SELECT destination FROM tally_change WHERE reason = n.reason GROUP BY 1 HAVING sum(recipients) > 0
    ) c JOIN aged a USING (destination)
  ))) AS oldest FROM unnest($1::text[], $2::text[]) AS n(reason, key) GROUP BY 1`;

/** Changes folded in one transaction. */
const MOST_FOLDED = 20_000;
const FOLD_MILLISECONDS = 5000;

/** Folds the changes of the tally, so that there are never many. */
export class PostgresFold {
  readonly #connection: PostgresConnection;
  #timer: NodeJS.Timeout | undefined;
  #state: "open" | "closed" = "open";

  constructor(connection: PostgresConnection) {
    this.#connection = connection;
  }

  start(): void {
    if (this.#state === "closed") return;
    this.#timer = setTimeout(() => {
      const again = (): void => this.start();
      // The database is away: they are folded when it is back.
      this.fold().then(again, again);
    }, FOLD_MILLISECONDS);
    this.#timer.unref();
  }

  stop(): void {
    this.#state = "closed";
    clearTimeout(this.#timer);
  }

  async fold(): Promise<void> {
    for (;;) {
      const [row] = await this.#connection.ask("SELECT fold_tally($1)", [MOST_FOLDED]);
      if (row?.fold_tally !== MOST_FOLDED || this.#state === "closed") return;
    }
  }
}

/** Most recipients first, at most `limit`. */
export function statistics(by: StatisticKey, limit: number, ask: PostgresConnection["ask"]): Promise<readonly QueueStatistic[]> {
  return by === "destination" ? byDestination(limit, ask) : byReason(limit, ask);
}

async function byDestination(limit: number, ask: PostgresConnection["ask"]): Promise<readonly QueueStatistic[]> {
  const found = new Map<string, { statistic: QueueStatistic; reasons: Map<string, number> }>();
  for (const row of await ask(BY_DESTINATION, [limit])) {
    const key = text(row, "key");
    const known = found.get(key) ?? { statistic: statisticOf(key, row), reasons: new Map<string, number>() };
    found.set(key, known);
    const reason = reasonGroup(text(row, "reason"));
    if (reason !== NEVER_TRIED) known.reasons.set(reason, (known.reasons.get(reason) ?? 0) + integer(row, "of_reason"));
  }
  return [...found.values()].map(({ statistic, reasons }) => {
    const [most] = [...reasons].sort(([, a], [, b]) => b - a);
    return { ...statistic, ...(most === undefined ? {} : { reason: most[0] }) };
  });
}

type Group = { key: string; raw: string[]; messages: number; recipients: number };

async function byReason(limit: number, ask: PostgresConnection["ask"]): Promise<readonly QueueStatistic[]> {
  const groups = new Map<string, Group>();
  for (const row of await ask(BY_REASON)) {
    const raw = text(row, "reason");
    const key = reasonGroup(raw);
    const group = groups.get(key) ?? { key, raw: [], messages: 0, recipients: 0 };
    group.raw.push(raw);
    group.messages += integer(row, "messages");
    group.recipients += integer(row, "recipients");
    groups.set(key, group);
  }
  const largest = [...groups.values()].sort(larger).slice(0, limit);
  const pairs = largest.flatMap(({ key, raw }) => raw.map((reason) => ({ reason, key })));
  const oldest = new Map<string, number>();
  for (const aged of [OF_THE_FIRST, OF_ALL]) {
    const unknown = pairs.filter(({ key }) => !oldest.has(key));
    if (unknown.length === 0) break;
    const values = [unknown.map(({ reason }) => reason), unknown.map(({ key }) => key)];
    for (const row of await ask(oldestByReason(aged), values)) {
      if (row.oldest !== null) oldest.set(text(row, "key"), integer(row, "oldest"));
    }
  }
  return largest.flatMap(({ key, messages, recipients }) => {
    const oldestAcceptedAt = oldest.get(key);
    // All of them left between the two questions.
    return oldestAcceptedAt === undefined ? [] : [{ key, messages, recipients, oldestAcceptedAt }];
  });
}

function larger(one: Group, other: Group): number {
  return other.recipients - one.recipients || (one.key < other.key ? -1 : 1);
}

function statisticOf(key: string, row: Row): QueueStatistic {
  return {
    key,
    messages: integer(row, "messages"),
    recipients: integer(row, "recipients"),
    oldestAcceptedAt: integer(row, "oldest"),
  };
}
