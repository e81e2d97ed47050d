import { existsSync, linkSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { realDisk } from "./disk.ts";
import { type DamagedMessages, salvage } from "./salvage.ts";
import { prepareDatabase } from "./schema.ts";
import { isLocked } from "./storeFailure.ts";
import { checkLog, type LogState } from "./writeAheadLog.ts";

/**
 * Puts a damaged spool right while no relay uses it: whatever can be read is copied, row by row, into a fresh database, which then takes the
 * place of the damaged one. Nothing is thrown away: the damaged database and its log, and the bodies of messages that could not be read, go
 * into a folder of their own.
 */
export type Repair =
  | { kind: "sound"; messages: number }
  | ({ kind: "repaired"; messages: number; kept: string } & DamagedMessages)
  /** Not even the first page can be read: only a backup helps. */
  | { kind: "unreadable"; reason: string }
  | { kind: "absent" | "in-use" };

const DATABASE = "queue.db";
const LOG = "queue.db-wal";
const SHARED_MEMORY = "queue.db-shm";
const FRESH = "repaired.db";

/** `now` names the folder that keeps what was damaged. Rejects when the disk fails or is full; the spool is then as it was. */
export async function repairSpool(directory: string, now: Date): Promise<Repair> {
  const path = join(directory, DATABASE);
  if (!existsSync(path)) return { kind: "absent" };
  const fresh = join(directory, FRESH);
  for (const left of [fresh, `${fresh}-wal`]) rmSync(left, { force: true });
  // Read only, so that closing it does not touch its log. While a relay runs, its exclusive lock lets nobody read.
  const source = new DatabaseSync(path, { readOnly: true, defensive: false });
  try {
    const state = stateOf(source, checkLog(join(directory, LOG)));
    if (state.kind !== "damaged") return state;
    const damaged = copy(source, fresh);
    source.close();
    const kept = join(directory, `damaged-${now.toISOString().replaceAll(":", "").slice(0, 17)}`);
    await exchange(directory, kept);
    moveBodies(directory, kept);
    await realDisk.syncDirectory(directory);
    return { kind: "repaired", kept, ...damaged };
  } finally {
    if (source.isOpen) source.close();
    // Of this reader only: the relay needs none.
    rmSync(join(directory, SHARED_MEMORY), { force: true });
  }
}

function stateOf(source: DatabaseSync, log: LogState): { kind: "damaged" } | Exclude<Repair, { kind: "repaired" | "absent" }> {
  try {
    // Reads a file that is shorter than its first page says; nothing is written here.
    source.exec("PRAGMA writable_schema = ON");
    source.prepare("SELECT count(*) FROM sqlite_schema").get();
  } catch (error) {
    if (isLocked(error)) return { kind: "in-use" };
    return { kind: "unreadable", reason: error instanceof Error ? error.message : String(error) };
  }
  if (log.kind === "damaged") return log;
  try {
    const [verdict, ...more] = source.prepare("PRAGMA integrity_check(2)").all();
    const sound = more.length === 0 && verdict?.integrity_check === "ok";
    if (sound) return { kind: "sound", messages: Number(source.prepare("SELECT count(*) AS n FROM message").get()?.n) };
  } catch (error) {
    // What cannot even be checked is damaged.
    if (!(error instanceof Error)) throw error;
  }
  return { kind: "damaged" };
}

function copy(source: DatabaseSync, fresh: string): { messages: number } & DamagedMessages {
  const target = new DatabaseSync(fresh);
  try {
    const verdict = prepareDatabase(target);
    if (verdict.kind !== "ready") throw new Error(`a fresh database is ${verdict.kind}: ${verdict.reason}`);
    return salvage(source, target);
  } finally {
    target.close();
  }
}

/** The damaged files have their names in `kept`, durably, before the fresh one takes the place of the database in one step. */
async function exchange(directory: string, kept: string): Promise<void> {
  mkdirSync(kept, { mode: 0o700 });
  for (const name of [DATABASE, LOG]) {
    if (existsSync(join(directory, name))) linkSync(join(directory, name), join(kept, name));
  }
  await realDisk.syncDirectory(kept);
  await realDisk.syncDirectory(directory);
  // The log of the damaged one must not be taken for the fresh one's.
  rmSync(join(directory, LOG), { force: true });
  renameSync(join(directory, FRESH), join(directory, DATABASE));
}

/** Bodies that no message names would be swept at the next start. */
function moveBodies(directory: string, kept: string): void {
  const bodies = join(directory, "bodies");
  if (!existsSync(bodies)) return;
  const database = new DatabaseSync(join(directory, DATABASE), { readOnly: true });
  try {
    const named = database.prepare("SELECT 1 FROM message WHERE file = ?");
    for (const file of readdirSync(bodies)) {
      if (named.get(file) !== undefined) continue;
      mkdirSync(join(kept, "bodies"), { recursive: true, mode: 0o700 });
      renameSync(join(bodies, file), join(kept, "bodies", file));
    }
  } finally {
    database.close();
  }
}
