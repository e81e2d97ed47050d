import type { PostgresConnection } from "./postgresConnection.ts";
import { integer, type Row, text } from "./postgresRows.ts";
import { NEVER_TRIED, type QueueStatistic, reasonGroup, type StatisticKey } from "./queueAdmin.ts";

/** The queue by destination and by reason, from the tally (postgresTallyTables.ts). */

const SUMS = `sums AS (
    SELECT destination, reason, sum(works)::bigint AS works, sum(entries)::bigint AS entries, sum(recipients)::bigint AS recipients
    FROM (SELECT * FROM tally UNION ALL SELECT * FROM tally_change) c GROUP BY 1, 2 HAVING sum(recipients) > 0
  )`;
/** Of the entry at $destination that was stored first. */
const oldestAt = (destination: string): string =>
  `(SELECT m.accepted_at FROM work w JOIN message m ON m.seq = w.message WHERE w.destination = ${destination} ORDER BY w.message LIMIT 1)`;

const BY_DESTINATION = `
  WITH ${SUMS}, largest AS (
    SELECT destination, sum(works)::bigint AS messages, sum(recipients)::bigint AS recipients FROM sums GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT $1
  ), aged AS MATERIALIZED (SELECT l.*, ${oldestAt("l.destination")} AS oldest FROM largest l)
  SELECT a.destination AS key, a.messages, a.recipients, a.oldest, s.reason, s.recipients AS of_reason
  FROM aged a JOIN sums s USING (destination) ORDER BY a.recipients DESC, a.destination, s.recipients DESC, s.reason`;

const BY_REASON = `
  WITH ${SUMS} SELECT reason, sum(entries)::bigint AS messages, sum(recipients)::bigint AS recipients FROM sums GROUP BY 1`;

/** For each group of reasons the oldest entry of the destinations where one of them occurs. */
const OLDEST_BY_REASON = `
  WITH ${SUMS}, named AS (SELECT * FROM unnest($1::text[], $2::text[]) AS n(reason, key)),
  aged AS MATERIALIZED (SELECT d.destination, ${oldestAt("d.destination")} AS oldest FROM (SELECT DISTINCT destination FROM sums JOIN named USING (reason)) d)
  SELECT n.key, min(a.oldest) AS oldest FROM named n JOIN sums USING (reason) JOIN aged a USING (destination) GROUP BY 1`;

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
  const pairs = largest.flatMap(({ key, raw }) => raw.map((reason) => [reason, key] as const));
  const rows = await ask(OLDEST_BY_REASON, [pairs.map(([reason]) => reason), pairs.map(([, key]) => key)]);
  const oldest = new Map(rows.map((row) => [text(row, "key"), integer(row, "oldest")]));
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
