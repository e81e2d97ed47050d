import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { DomainAggregate, PolicyAggregate } from "../tlsrpt/report.ts";
import type { AppliedPolicy, Failure, SessionEnds } from "../tlsrpt/result.ts";

/**
 * What TLSRPT remembers, in an SQLite file of its own beside the queue.
 *
 * sessions  per UTC day (its first millisecond), reporting domain and applied policy (as JSON): how many succeeded and failed.
 * failure   the failed ones of each by what failed where (as JSON).
 * plan      when the reports of a day begin to go out.
 * dispatch  what became of the report of one day and domain at each URI; the empty URI is the look-up of who wants it.
 */
const SCHEMA_VERSION = 1;
/** "trpt" as a number: tells our files from other SQLite files. */
const APPLICATION_ID = 0x74727074;

const TABLES = `
  CREATE TABLE sessions (
    day INTEGER NOT NULL, domain TEXT NOT NULL, policy TEXT NOT NULL,
    successful INTEGER NOT NULL, failed INTEGER NOT NULL,
    PRIMARY KEY (day, domain, policy)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE failure (
    day INTEGER NOT NULL, domain TEXT NOT NULL, policy TEXT NOT NULL, detail TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (day, domain, policy, detail)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE plan (day INTEGER PRIMARY KEY, due INTEGER NOT NULL, begun INTEGER NOT NULL DEFAULT 0) STRICT;
  CREATE TABLE dispatch (
    day INTEGER NOT NULL, domain TEXT NOT NULL, uri TEXT NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL, began INTEGER NOT NULL, due INTEGER NOT NULL,
    PRIMARY KEY (day, domain, uri)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX dispatch_due ON dispatch(due) WHERE state = 'waiting';
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};
`;

/** How long a reader waits for a writer, and the other way round. */
const BUSY_MILLISECONDS = 5000;

/** Most policies of one domain and day; sessions of further ones are counted under a policy without its details. */
export const MAX_POLICIES = 32;
/** Most different failures of one policy and day; further ones are counted by their result type alone. */
export const MAX_FAILURES = 100;
/** Most domains of a day; sessions with further ones are not counted. */
export const MAX_DOMAINS = 100_000;

/** Sessions that ended alike: how many. `detail` is set for failed ones. */
export type Tally = {
  day: number;
  domain: string;
  policy: AppliedPolicy;
  detail?: { failure: Failure; ends: SessionEnds };
  count: number;
};

export type OpenedTables = { kind: "tables"; tables: TlsrptTables } | { kind: "missing" } | { kind: "refused"; reason: string };

/** Opens the file; `write` creates it where there is none. Throws what SQLite throws where the file cannot be used at all. */
export function openTables(file: string, access: "read" | "write"): OpenedTables {
  let database: DatabaseSync;
  try {
    database = new DatabaseSync(file, { readOnly: access === "read", timeout: BUSY_MILLISECONDS });
  } catch (error) {
    // SQLITE_CANTOPEN: for a reader, nothing has been counted yet.
    if (access === "read" && error instanceof Error && "errcode" in error && error.errcode === 14) return { kind: "missing" };
    throw error;
  }
  const version = pragma(database, "user_version");
  if (version === 0 && pragma(database, "schema_version") === 0) {
    if (access === "read") return { kind: "missing" };
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE; ${TABLES} COMMIT;`);
  } else if (pragma(database, "application_id") !== APPLICATION_ID || version !== SCHEMA_VERSION) {
    database.close();
    return { kind: "refused", reason: `${file} is the database of another program, or of a newer release` };
  }
  return { kind: "tables", tables: new TlsrptTables(database) };
}

function pragma(database: DatabaseSync, name: string): number {
  return Number(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
}

/** Counts: written in batches, read by day and domain. */
export class TlsrptTables {
  readonly database: DatabaseSync;
  readonly #sessions: StatementSync;
  readonly #failure: StatementSync;
  #domains: { day: number; count: number } = { day: Number.NaN, count: 0 };

  constructor(database: DatabaseSync) {
    this.database = database;
    this.#sessions = database.prepare(
      "INSERT INTO sessions VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET successful = successful + excluded.successful, failed = failed + excluded.failed",
    );
    this.#failure = database.prepare(
      "INSERT INTO failure VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
    );
  }

  /** All of them or, when it throws, none. */
  add(tallies: readonly Tally[]): void {
    this.transaction(() => {
      for (const tally of tallies) this.#addOne(tally);
    });
  }

  #addOne(tally: Tally): void {
    const { day, domain, detail, count } = tally;
    const policy = this.#policyKey(tally);
    if (policy === undefined) return;
    this.#sessions.run(day, domain, policy, detail === undefined ? count : 0, detail === undefined ? 0 : count);
    if (detail !== undefined) this.#failure.run(day, domain, policy, this.#detailKey(tally, policy, detail), count);
  }

  /** The policy as it is stored, which may be a coarser one; undefined: the domain is one too many. */
  #policyKey({ day, domain, policy }: Tally): string | undefined {
    const exact = JSON.stringify(policy);
    if (this.#number("SELECT count(*) FROM sessions WHERE day = ? AND domain = ? AND policy = ?", day, domain, exact) > 0)
      return exact;
    const known = this.#number("SELECT count(*) FROM sessions WHERE day = ? AND domain = ?", day, domain);
    if (known === 0) return this.#admitDomain(day) === "admitted" ? exact : undefined;
    return known < MAX_POLICIES ? exact : JSON.stringify(withoutDetails(policy, domain));
  }

  #admitDomain(day: number): "admitted" | "full" {
    if (this.#domains.day !== day) {
      this.#domains = { day, count: this.#number("SELECT count(DISTINCT domain) FROM sessions WHERE day = ?", day) };
    }
    if (this.#domains.count >= MAX_DOMAINS) return "full";
    this.#domains.count += 1;
    return "admitted";
  }

  #detailKey({ day, domain }: Tally, policy: string, detail: NonNullable<Tally["detail"]>): string {
    const exact = JSON.stringify(detail);
    const where = "FROM failure WHERE day = ? AND domain = ? AND policy = ?";
    if (this.#number(`SELECT count(*) ${where} AND detail = ?`, day, domain, policy, exact) > 0) return exact;
    if (this.#number(`SELECT count(*) ${where}`, day, domain, policy) < MAX_FAILURES) return exact;
    return JSON.stringify({ failure: { resultType: detail.failure.resultType }, ends: {} } satisfies Tally["detail"]);
  }

  /** Days with counts, the oldest first. */
  days(): readonly number[] {
    const days: number[] = [];
    // Each step is one descent of the index, however many rows a day has.
    const next = this.database.prepare("SELECT min(day) AS day FROM sessions WHERE day > ?");
    for (let day = next.get(-1)?.day; typeof day === "number"; day = next.get(day)?.day) days.push(day);
    return days;
  }

  domains(day: number): readonly string[] {
    const rows = this.database.prepare("SELECT DISTINCT domain FROM sessions WHERE day = ? ORDER BY domain").all(day);
    return rows.map(({ domain }) => String(domain));
  }

  /** Policies with most failures first. */
  aggregate(day: number, domain: string): DomainAggregate {
    const rows = this.database
      .prepare("SELECT policy, successful, failed FROM sessions WHERE day = ? AND domain = ? ORDER BY failed DESC, policy")
      .all(day, domain);
    const policies = rows.map(({ policy, successful, failed }): PolicyAggregate => {
      const failures = this.database
        .prepare("SELECT detail, count FROM failure WHERE day = ? AND domain = ? AND policy = ? ORDER BY count DESC, detail")
        .all(day, domain, String(policy));
      return {
        // Our own file, and JSON that this class wrote.
        policy: JSON.parse(String(policy)) as AppliedPolicy,
        successful: Number(successful),
        failed: Number(failed),
        failures: failures.map((row) => ({
          ...(JSON.parse(String(row.detail)) as NonNullable<Tally["detail"]>),
          count: Number(row.count),
        })),
      };
    });
    return { domain, day, policies };
  }

  /** Forgets everything about days before `day`. */
  prune(day: number): void {
    this.transaction(() => {
      for (const table of ["sessions", "failure", "plan", "dispatch"])
        this.database.prepare(`DELETE FROM ${table} WHERE day < ?`).run(day);
    });
  }

  transaction(work: () => void): void {
    this.database.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.database.exec("COMMIT");
    } catch (error) {
      // After some errors (SQLITE_FULL, SQLITE_IOERR) SQLite has rolled back by itself.
      if (this.database.isTransaction) this.database.exec("ROLLBACK");
      // What was counted may not be there.
      this.#domains = { day: Number.NaN, count: 0 };
      throw error;
    }
  }

  close(): void {
    this.database.close();
  }

  #number(sql: string, ...parameters: (number | string)[]): number {
    return Number(Object.values(this.database.prepare(sql).get(...parameters) ?? {})[0]);
  }
}

function withoutDetails(policy: AppliedPolicy, domain: string): AppliedPolicy {
  switch (policy.type) {
    case "tlsa":
      return { type: "tlsa", domain, strings: [] };
    case "sts":
      return { type: "sts", domain, strings: [], mxHosts: [] };
    case "no-policy-found":
      return { type: "no-policy-found", domain };
    default:
      return policy satisfies never;
  }
}
