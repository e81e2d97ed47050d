import type { DatabaseSync } from "node:sqlite";
import { SNAPSHOT_TABLE } from "./tallySnapshot.ts";

/**
 * The tables of the embedded spool.
 *
 * message   what was accepted; written once, never changed. Content is inline or in a file of `bodies/`.
 * work      the recipients of one message at one destination, as a JSON array of those that are not settled for good; `due` is the
 *           earliest of their due times. Claims are not here: they live in memory and end with the process.
 * attempt   what happened to each recipient so far, as long as its message is in the queue.
 * tally     one row: how many messages were never tried, tried and waiting, held; kept in the transaction that changes it.
 * snapshot  the queue by destination and reason as it was closed (tallySnapshot.ts).
 */
/** "dane" as a number: tells our files from other SQLite files. */
const APPLICATION_ID = 0x64616e65;

const FIRST_TABLES = `
  CREATE TABLE message (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    sender TEXT NOT NULL,
    accepted_at INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    envelope_id TEXT,
    return_content TEXT,
    size INTEGER NOT NULL,
    file TEXT,
    content BLOB
  ) STRICT;
  CREATE UNIQUE INDEX message_id ON message(id);
  CREATE UNIQUE INDEX message_file ON message(file) WHERE file IS NOT NULL;
  CREATE TABLE work (
    message INTEGER NOT NULL,
    destination TEXT NOT NULL,
    due INTEGER NOT NULL,
    held INTEGER NOT NULL DEFAULT 0,
    recipients TEXT NOT NULL,
    PRIMARY KEY (message, destination)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX work_due ON work(destination, due, message) WHERE held = 0;
  CREATE TABLE attempt (
    message INTEGER NOT NULL,
    recipient INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    status TEXT,
    cause TEXT,
    host TEXT,
    PRIMARY KEY (message, recipient, number)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE tally (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    incoming INTEGER NOT NULL,
    deferred INTEGER NOT NULL,
    held INTEGER NOT NULL,
    probes INTEGER NOT NULL
  ) STRICT;
  INSERT INTO tally VALUES (1, 0, 0, 0, 0);
`;

/**
 * What leads from one version of the schema to the next; the first entry from nothing to version 1. A spool of any earlier release takes the
 * steps that it lacks, in one transaction; entries are only ever added.
 */
const UPGRADES: readonly string[] = [
  FIRST_TABLES,
  // CRC-32 of the content, NULL where an earlier release stored it.
  "ALTER TABLE message ADD COLUMN checksum INTEGER",
  // For the operator: the order of listings, what is held, and whom the history speaks of once a recipient is settled for good.
  `CREATE INDEX message_accepted ON message(accepted_at, id);
   CREATE INDEX work_held ON work(destination, message) WHERE held <> 0;
   ALTER TABLE attempt ADD COLUMN address TEXT;`,
  SNAPSHOT_TABLE,
];
const SCHEMA_VERSION = UPGRADES.length;

/** Pages of 4 KiB in the write-ahead log before its content moves to the database file (16 MiB). */
const CHECKPOINT_PAGES = 4096;
/** A log that grew beyond this is cut back after a checkpoint. */
const LOG_LIMIT_BYTES = 64 * 1024 * 1024;
const CACHE_KIBIBYTES = 32 * 1024;
/** Up to this size the whole database is checked at start; a larger one shows damage when the damaged page is read. */
const CHECK_LIMIT_BYTES = 64 * 1024 * 1024;

export type SchemaVerdict = { kind: "ready" } | { kind: "refused" | "damaged"; reason: string };

function numberPragma(database: DatabaseSync, name: string): number {
  const row = database.prepare(`PRAGMA ${name}`).get();
  const value = row === undefined ? undefined : Object.values(row)[0];
  if (typeof value !== "number") throw new Error(`PRAGMA ${name} gave ${String(value)}`);
  return value;
}

/**
 * Makes `database` ready for use: takes the exclusive lock (throws SQLITE_BUSY when another process has it), sets durability, creates or
 * checks the tables. synchronous=FULL in WAL mode is an fsync of the log in every COMMIT: what COMMIT returned for survives power loss.
 */
export function prepareDatabase(database: DatabaseSync): SchemaVerdict {
  // Before WAL is entered, so that no shared-memory file is made and the lock is held until close.
  database.exec("PRAGMA locking_mode = EXCLUSIVE");
  const application = numberPragma(database, "application_id");
  const version = numberPragma(database, "user_version");
  if (application !== APPLICATION_ID && (application !== 0 || version !== 0 || numberPragma(database, "schema_version") !== 0)) {
    return { kind: "refused", reason: "it is the database of another program" };
  }
  if (version > SCHEMA_VERSION) {
    const reason = `it was written by a newer release (schema ${version}, this release knows ${SCHEMA_VERSION}): run that release, or use another directory`;
    return { kind: "refused", reason };
  }
  database.exec("PRAGMA journal_mode = WAL");
  database.exec("PRAGMA synchronous = FULL");
  database.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  database.exec(`PRAGMA journal_size_limit = ${LOG_LIMIT_BYTES}`);
  database.exec(`PRAGMA cache_size = -${CACHE_KIBIBYTES}`);
  // BEGIN IMMEDIATE takes the lock now, also on a new file.
  database.exec("BEGIN IMMEDIATE");
  if (version < SCHEMA_VERSION) {
    for (const upgrade of UPGRADES.slice(version)) database.exec(upgrade);
    database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${SCHEMA_VERSION}`);
  }
  database.exec("COMMIT");
  return checkDatabase(database);
}

function checkDatabase(database: DatabaseSync): SchemaVerdict {
  if (numberPragma(database, "page_count") * numberPragma(database, "page_size") > CHECK_LIMIT_BYTES) return { kind: "ready" };
  const row = database.prepare("PRAGMA quick_check(1)").get();
  const verdict = row === undefined ? "no answer" : String(Object.values(row)[0]);
  return verdict === "ok" ? { kind: "ready" } : { kind: "damaged", reason: verdict };
}
