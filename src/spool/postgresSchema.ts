import { FIRST_FUNCTIONS } from "./postgresFunctions.ts";
import { FIRST_TABLES } from "./postgresTables.ts";
import { TALLY_TABLES } from "./postgresTallyTables.ts";

/** What is asked of a connection here: one statement with its values, the rows that come back. */
export type Ask = (sql: string, values?: readonly unknown[]) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/**
 * What leads from one version of the schema to the next; the first entry from nothing to version 1. A spool of any earlier release takes the
 * steps that it lacks, in one transaction; entries are only ever added.
 */
const UPGRADES: readonly string[] = [`${FIRST_TABLES}${FIRST_FUNCTIONS}`, TALLY_TABLES];

/** "dane" as a number. */
const ADVISORY_LOCK = 0x64616e65;

export type PostgresVerdict = { kind: "ready"; notices: readonly string[] } | { kind: "refused"; reason: string };

/** Creates or upgrades the tables, inside a transaction that the caller has begun; replicas that start together do it one after the other. */
export async function prepareSchema(ask: Ask): Promise<PostgresVerdict> {
  await ask("SET LOCAL statement_timeout = 0");
  await ask("SET LOCAL lock_timeout = 0");
  await ask("SELECT pg_advisory_xact_lock($1)", [ADVISORY_LOCK]);
  await ask("CREATE SCHEMA IF NOT EXISTS dane_relay");
  await ask("CREATE TABLE IF NOT EXISTS schema_version (one integer PRIMARY KEY CHECK (one = 1), version integer NOT NULL)");
  const [row] = await ask("SELECT version FROM schema_version");
  const version = typeof row?.version === "number" ? row.version : 0;
  if (version > UPGRADES.length) {
    const reason = `it was written by a newer release (schema ${version}, this release knows ${UPGRADES.length}): run that release, or use another database`;
    return { kind: "refused", reason };
  }
  for (const upgrade of UPGRADES.slice(version)) await ask(upgrade);
  await ask("INSERT INTO schema_version VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET version = excluded.version", [
    UPGRADES.length,
  ]);
  return { kind: "ready", notices: [] };
}

/** design.md §5: 250 means on disk. Whether this server keeps what it has committed. */
export async function checkDurability(ask: Ask): Promise<PostgresVerdict> {
  const [row] = await ask(`SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
    current_setting('synchronous_commit') AS synchronous_commit, pg_is_in_recovery() AS standby,
    current_setting('default_transaction_read_only') AS read_only`);
  if (row?.standby !== false || row.read_only !== "off")
    return { kind: "refused", reason: "it is read-only: a standby, or set so" };
  if (row.fsync !== "on") {
    return { kind: "refused", reason: "its fsync is off: a crash of that machine would lose acknowledged mail. Set fsync = on" };
  }
  // "on" was set for the session; where the server's own setting is the stronger remote_apply, that stays.
  if (row.synchronous_commit !== "on" && row.synchronous_commit !== "remote_apply") {
    return {
      kind: "refused",
      reason: `synchronous_commit is ${String(row.synchronous_commit)} although it was set for the session`,
    };
  }
  if (row.full_page_writes === "on") return { kind: "ready", notices: [] };
  const notice =
    "the database's full_page_writes is off: unless its file system never tears a page (ZFS), a crash there can lose acknowledged mail";
  return { kind: "ready", notices: [notice] };
}
