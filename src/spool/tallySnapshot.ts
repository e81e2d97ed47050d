import type { DatabaseSync } from "node:sqlite";
import { QueueTally, type TallySnapshot } from "./queueTally.ts";

/**
 * The tally of a queue that was closed in order, so that the next start need not count it. It is believed only if nothing was committed since: every
 * transaction that changes the queue raises `tally.generation`, and the snapshot has the one that it was taken at.
 */
export const SNAPSHOT_TABLE = `
  ALTER TABLE tally ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
  CREATE TABLE snapshot (one INTEGER PRIMARY KEY CHECK (one = 1), generation INTEGER NOT NULL, tally TEXT NOT NULL) STRICT;
`;

/** The tally as it was kept; an empty one, to be counted, where none was or it is not that of this queue. */
export function readTally(database: DatabaseSync): QueueTally {
  const sql = "SELECT s.tally FROM snapshot s JOIN tally t ON t.generation = s.generation";
  const row = database.prepare(sql).get();
  if (typeof row?.tally !== "string") return new QueueTally();
  try {
    return QueueTally.of(JSON.parse(row.tally) as TallySnapshot);
  } catch (error) {
    // Damaged: counting takes some seconds, and is right.
    if (error instanceof SyntaxError || error instanceof TypeError) return new QueueTally();
    throw error;
  }
}

/** Of a queue that is not counted yet nothing is kept. */
export function keepTally(database: DatabaseSync, tally: QueueTally): void {
  const snapshot = tally.snapshot();
  if (snapshot === undefined) return;
  const sql = "INSERT OR REPLACE INTO snapshot SELECT 1, generation, ? FROM tally";
  database.prepare(sql).run(JSON.stringify(snapshot));
}
