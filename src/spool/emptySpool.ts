import { existsSync, readdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { prepareDatabase } from "./schema.ts";
import { checkLog } from "./writeAheadLog.ts";

/**
 * Takes the queue file of an embedded spool away when it certainly has no mail: the lock of a relay that serves is held meanwhile, and whatever is
 * unclear (in use, damaged, unreadable, anything queued) leaves everything as it is. What else is in the directory stays.
 */
export function discardEmptyQueue(directory: string): "discarded" | "kept" {
  const path = join(directory, "queue.db");
  if (checkLog(`${path}-wal`).kind === "damaged") return "kept";
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path);
    return prepareDatabase(database).kind === "ready" ? discard(database, directory, path) : "kept";
  } catch (error) {
    // Locked, or broken: the worker that is started for it says so.
    if (!(error instanceof Error)) throw error;
    return "kept";
  } finally {
    // Of a file that is gone SQLite leaves the log alone, which by then may be another's.
    database?.close();
  }
}

function discard(database: DatabaseSync, directory: string, path: string): "discarded" | "kept" {
  for (const table of ["message", "work"])
    if (database.prepare(`SELECT 1 FROM ${table} LIMIT 1`).get() !== undefined) return "kept";
  // Content without a row was never acknowledged.
  const bodies = join(directory, "bodies");
  if (existsSync(bodies)) for (const file of readdirSync(bodies)) unlinkSync(join(bodies, file));
  // A log with something in it would be read into the next queue of this name.
  database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  unlinkSync(path);
  return "discarded";
}
