import type { TlsrptTables } from "./tlsrptTables.ts";

/**
 * What of the reports is still to be done, kept across restarts.
 *
 *   (a day's plan is due) -> look up who wants the report -> waiting, one for each URI -> done
 *                                                                  +-- fails: waiting, later; after 24 hours: done
 */
export type DispatchTask = {
  day: number;
  domain: string;
  /** As published; "": who wants it has to be looked up. */
  uri: string;
  /** Attempts that failed. */
  attempts: number;
  /** Of the first attempt, milliseconds since the epoch. */
  began: number;
};

/** Tasks that are taken at a time. */
const TAKE = 1000;

export class TlsrptDispatch {
  readonly #tables: TlsrptTables;

  constructor(tables: TlsrptTables) {
    this.#tables = tables;
  }

  /** When the reports of `day` begin to go out; `proposed` where nothing was planned. */
  planned(day: number, proposed: number): number {
    const { database } = this.#tables;
    database.prepare("INSERT INTO plan (day, due) VALUES (?, ?) ON CONFLICT DO NOTHING").run(day, proposed);
    return Number(database.prepare("SELECT due FROM plan WHERE day = ?").get(day)?.due);
  }

  /** Once for each day: its domains become look-ups that are due now. */
  begin(day: number, now: number): void {
    const { database } = this.#tables;
    if (Number(database.prepare("SELECT begun FROM plan WHERE day = ?").get(day)?.begun) === 1) return;
    this.#tables.transaction(() => {
      database
        .prepare("INSERT INTO dispatch SELECT DISTINCT day, domain, '', 'waiting', 0, ?, ? FROM sessions WHERE day = ?")
        .run(now, now, day);
      database.prepare("UPDATE plan SET begun = 1 WHERE day = ?").run(day);
    });
  }

  due(now: number): readonly DispatchTask[] {
    const rows = this.#tables.database
      .prepare(
        `SELECT day, domain, uri, attempts, began FROM dispatch WHERE state = 'waiting' AND due <= ? ORDER BY due LIMIT ${TAKE}`,
      )
      .all(now);
    return rows.map(({ day, domain, uri, attempts, began }) => ({
      day: Number(day),
      domain: String(domain),
      uri: String(uri),
      attempts: Number(attempts),
      began: Number(began),
    }));
  }

  /** The look-up `task` is done: these URIs want the report. */
  wanted({ day, domain }: DispatchTask, uris: readonly string[], now: number): void {
    this.#tables.transaction(() => {
      const insert = this.#tables.database.prepare(
        "INSERT INTO dispatch VALUES (?, ?, ?, 'waiting', 0, ?, ?) ON CONFLICT DO NOTHING",
      );
      for (const uri of uris) insert.run(day, domain, uri, now, now);
      this.#settle({ day, domain, uri: "" });
    });
  }

  done(task: DispatchTask): void {
    this.#settle(task);
  }

  again({ day, domain, uri }: DispatchTask, due: number): void {
    this.#tables.database
      .prepare("UPDATE dispatch SET attempts = attempts + 1, due = ? WHERE day = ? AND domain = ? AND uri = ?")
      .run(due, day, domain, uri);
  }

  #settle({ day, domain, uri }: Pick<DispatchTask, "day" | "domain" | "uri">): void {
    this.#tables.database
      .prepare("UPDATE dispatch SET state = 'done' WHERE day = ? AND domain = ? AND uri = ?")
      .run(day, domain, uri);
  }
}
