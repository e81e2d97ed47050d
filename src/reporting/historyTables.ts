import { DatabaseSync } from "node:sqlite";

/**
 * What was seen of each host, in an SQLite file of its own.
 *
 * state        one row for each stretch of time in which an address of a host looked the same: the fingerprints of its chain (own first),
 *              its TLSA RRset, and what came of the two. Stretches under the same records overlap where several servers take turns.
 * certificate  each certificate once, by the SHA-256 of its DER.
 */
const SCHEMA_VERSION = 1;
/** "dhst" as a number: tells our files from other SQLite files. */
const APPLICATION_ID = 0x64687374;

const TABLES = `
  CREATE TABLE state (
    id INTEGER PRIMARY KEY, host TEXT NOT NULL, address TEXT NOT NULL, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,
    chain TEXT NOT NULL, tlsa_status TEXT NOT NULL, ttl INTEGER NOT NULL, tlsa TEXT NOT NULL, verdict TEXT NOT NULL
  ) STRICT;
  CREATE INDEX state_host ON state(host, address, last_seen);
  CREATE INDEX state_age ON state(last_seen);
  CREATE TABLE certificate (fingerprint TEXT PRIMARY KEY, der BLOB NOT NULL) STRICT, WITHOUT ROWID;
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** SQLITE_CANTOPEN: for a reader, nothing has been seen yet. */
const CANNOT_OPEN = 14;

export type OpenedHistory = { kind: "open"; database: DatabaseSync } | { kind: "missing" } | { kind: "refused"; reason: string };

/** `write` creates the file where there is none. Throws what SQLite throws where the file cannot be used at all. */
export function openHistoryFile(file: string, access: "read" | "write", busyMilliseconds: number): OpenedHistory {
  let database: DatabaseSync;
  try {
    database = new DatabaseSync(file, { readOnly: access === "read", timeout: busyMilliseconds });
  } catch (error) {
    if (access === "read" && error instanceof Error && "errcode" in error && error.errcode === CANNOT_OPEN)
      return { kind: "missing" };
    throw error;
  }
  const version = pragma(database, "user_version");
  if (version === 0 && pragma(database, "schema_version") === 0) {
    if (access === "read") {
      database.close();
      return { kind: "missing" };
    }
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE; ${TABLES} COMMIT;`);
  } else if (pragma(database, "application_id") !== APPLICATION_ID || version !== SCHEMA_VERSION) {
    database.close();
    return { kind: "refused", reason: `${file} is the database of another program, or of a newer release` };
  }
  return { kind: "open", database };
}

function pragma(database: DatabaseSync, name: string): number {
  return Number(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
}
