import type { PostgresConnection } from "./postgresConnection.ts";
import { integer } from "./postgresRows.ts";
import type { QueueCounts } from "./store.ts";

/** Messages by state. A message is active where any of its works is claimed, else held where any is held by the operator. */
const COUNTS = `
  WITH special AS (
    SELECT message, true AS active FROM (SELECT DISTINCT message FROM lease) l
    UNION ALL
    SELECT message, false FROM (SELECT DISTINCT message FROM work WHERE held) h WHERE NOT EXISTS (SELECT FROM lease l WHERE l.message = h.message)
  ), state AS (
    SELECT count(*) FILTER (WHERE s.active) AS active, count(*) FILTER (WHERE NOT s.active) AS held, count(*) FILTER (WHERE m.tried) AS tried
    FROM special s JOIN message m ON m.seq = s.message
  )
  SELECT (SELECT count(*) FROM message) AS messages, (SELECT count(*) FROM message WHERE tried) AS tried,
    s.active, s.held, s.tried AS special_tried, (SELECT accepted_at FROM message ORDER BY accepted_at, id LIMIT 1) AS oldest FROM state s`;

export async function countQueue(connection: PostgresConnection): Promise<QueueCounts> {
  const [row] = await connection.ask(COUNTS).catch((error: unknown) => {
    throw connection.failure(error);
  });
  if (row === undefined) throw new Error("the database counted nothing");
  const [active, held] = [integer(row, "active"), integer(row, "held")];
  const deferred = integer(row, "tried") - integer(row, "special_tried");
  const incoming = integer(row, "messages") - active - held - deferred;
  return { incoming, active, deferred, held, ...(row.oldest === null ? {} : { oldestAcceptedAt: integer(row, "oldest") }) };
}
