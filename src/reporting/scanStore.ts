import { DatabaseSync } from "node:sqlite";
import type { SurveyRow } from "../diagnosis/surveyRow.ts";

/**
 * What a scan has found so far, on disk: memory does not grow with the domains, and an interrupted scan goes on where it was.
 *
 * scan    the one that is under way or was the last: what it scans (a digest), when it began, whether it is done.
 * result  a row for each domain that is done, as JSON.
 */
const APPLICATION_ID = 0x6473636e;
const TABLES = `
  CREATE TABLE scan (subject TEXT NOT NULL, began INTEGER NOT NULL, state TEXT NOT NULL) STRICT;
  CREATE TABLE result (domain TEXT PRIMARY KEY, row TEXT NOT NULL) STRICT, WITHOUT ROWID;
  PRAGMA application_id = ${APPLICATION_ID};
`;
const BUSY_MILLISECONDS = 5000;

export type OpenedScanStore = { kind: "store"; store: ScanStore } | { kind: "refused"; reason: string };

/** Throws what SQLite throws where the file cannot be used at all. */
export function openScanStore(file: string): OpenedScanStore {
  const database = new DatabaseSync(file, { timeout: BUSY_MILLISECONDS });
  const pragma = (name: string): number => Number(Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
  if (pragma("schema_version") === 0) {
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE; ${TABLES} COMMIT;`);
  } else if (pragma("application_id") !== APPLICATION_ID) {
    database.close();
    return { kind: "refused", reason: `${file} is the database of another program` };
  }
  return { kind: "store", store: new ScanStore(database) };
}

/** Its methods throw what SQLite throws. */
export class ScanStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Takes up the scan of `subject` where it was left, or begins it: after one that was finished, after one of something else, or `fresh`. */
  begin(subject: string, now: number, fresh: "yes" | "no"): "begun" | "resumed" {
    const known = this.#database.prepare("SELECT subject, state FROM scan").get();
    if (fresh === "no" && known?.subject === subject && known.state === "running") return "resumed";
    this.#database.exec("BEGIN IMMEDIATE; DELETE FROM scan; DELETE FROM result; COMMIT;");
    this.#database.prepare("INSERT INTO scan VALUES (?, ?, 'running')").run(subject, now);
    return "begun";
  }

  isDone(domain: string): "yes" | "no" {
    return this.#database.prepare("SELECT 1 AS one FROM result WHERE domain = ?").get(domain) === undefined ? "no" : "yes";
  }

  add(row: SurveyRow): void {
    this.#database.prepare("INSERT OR REPLACE INTO result VALUES (?, ?)").run(row.domain, JSON.stringify(row));
  }

  finish(): void {
    this.#database.exec("UPDATE scan SET state = 'done'");
  }

  *rows(): Generator<SurveyRow> {
    // Our own file, and JSON that this class wrote.
    for (const { row } of this.#database.prepare("SELECT row FROM result ORDER BY domain").iterate())
      yield JSON.parse(String(row)) as SurveyRow;
  }

  close(): void {
    this.#database.close();
  }
}
