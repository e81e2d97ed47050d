import type { DatabaseSync } from "node:sqlite";
import type { AdminAnswer, AdminQuestion } from "./adminOperation.ts";
import { EntryChanges } from "./entryChange.ts";
import type { AttemptRecord, QueuedMessage } from "./queueAdmin.ts";
import { type ClaimedWorks, QueueScan, type ScannedEntry } from "./queueScan.ts";
import type { QueueTables } from "./queueTables.ts";
import type { CountedEntry, QueueTally } from "./queueTally.ts";

/** The operator's questions, answered by the worker thread between those of the engine. Claimed works are never touched. */

/** Entries changed in one transaction: what the engine waits for behind it stays short. */
const ACT_ENTRIES = 200;

type Act = AdminQuestion & { kind: "act" };

export class QueueActions {
  readonly #database: DatabaseSync;
  readonly #tables: QueueTables;
  readonly #claims: ClaimedWorks;
  readonly #tally: QueueTally;
  readonly #scan: QueueScan;
  readonly #changes: EntryChanges;

  constructor(database: DatabaseSync, tables: QueueTables, claims: ClaimedWorks, tally: QueueTally) {
    this.#database = database;
    this.#tables = tables;
    this.#claims = claims;
    this.#tally = tally;
    this.#scan = new QueueScan(database, claims);
    this.#changes = new EntryChanges(database);
  }

  answer(question: Exclude<AdminQuestion, Act>): AdminAnswer {
    switch (question.kind) {
      case "list": {
        const { found, at } = this.#scan.entries(question.filter, question.after, question.most);
        return { kind: "listed", entries: found.map(({ entry }) => entry), ...(at === undefined ? {} : { at }) };
      }
      case "show":
        return { kind: "shown", message: this.#message(question.id) };
      case "statistics":
        return this.#statistics(question);
      case "missing": {
        const sql = "SELECT value FROM json_each(?) WHERE NOT EXISTS (SELECT 1 FROM message WHERE id = value)";
        return {
          kind: "missing-ids",
          ids: this.#scan.all(sql, [JSON.stringify(question.ids)]).map(({ value }) => String(value)),
        };
      }
      default:
        return question satisfies never;
    }
  }

  isHeld(message: number): boolean {
    return this.#changes.isHeld(message);
  }

  /** One transaction, durable when this returns; `files`: bodies that nothing names any more. */
  act(question: Act): { answer: AdminAnswer; files: readonly string[] } {
    this.#database.exec("BEGIN IMMEDIATE");
    const { deleted, ...result } = this.#change(question);
    this.#database.exec("UPDATE tally SET generation = generation + 1; COMMIT");
    for (const entry of deleted) this.#tally.changed(entry, undefined);
    return result;
  }

  #change({ action, filter, after, now }: Act): {
    answer: AdminAnswer;
    files: readonly string[];
    deleted: readonly CountedEntry[];
  } {
    const { found, at } = this.#scan.entries(filter, after, ACT_ENTRIES);
    const files: string[] = [];
    const deleted: CountedEntry[] = [];
    const offers: { destination: string; due: number }[] = [];
    let changed = 0;
    let busy = 0;
    for (const scanned of found) {
      if (this.#claims.has(scanned.key)) {
        busy += 1;
        continue;
      }
      const done = this.#changes.apply(action, scanned, now);
      if (done.kind === "unchanged") continue;
      changed += 1;
      if (done.due !== undefined) offers.push({ destination: scanned.key.destination, due: done.due });
      if (done.file !== undefined) files.push(done.file);
      const { entry, recipients } = scanned;
      if (action === "delete")
        deleted.push({ id: entry.id, acceptedAt: entry.acceptedAt, destination: entry.destination, recipients });
    }
    const unchanged = found.length - changed - busy;
    const answer = { kind: "acted", changed, unchanged, busy, offers, ...(at === undefined ? {} : { at }) } as const;
    return { answer, files, deleted };
  }

  #message(id: string): QueuedMessage | undefined {
    const [row] = this.#scan.all("SELECT seq FROM message WHERE id = ?", [id]);
    if (row === undefined) return undefined;
    const message = Number(row.seq);
    const entries = this.#scan.ofMessage(message);
    const [first, ...rest] = entries.map(({ entry }) => entry);
    if (first === undefined) throw new Error(`message ${id} has a row but no work`);
    const { envelope } = this.#tables.message(message);
    return { envelope, entries: [first, ...rest], attempts: this.#attempts(message, entries) };
  }

  #attempts(message: number, entries: readonly ScannedEntry[]): readonly AttemptRecord[] {
    const rows = this.#scan.all("SELECT * FROM attempt WHERE message = ? ORDER BY at, number, recipient", [message]);
    const addresses = new Map<number, string>();
    for (const { key } of entries) {
      for (const { index, address } of this.#tables.recipients(key)) addresses.set(index, address);
    }
    for (const { recipient, address } of rows) if (typeof address === "string") addresses.set(Number(recipient), address);
    return rows.map(({ recipient, number, at, outcome, status, cause, host }) => ({
      // An earlier release did not keep the address of a recipient that is settled for good.
      recipient: addresses.get(Number(recipient)) ?? `(recipient ${Number(recipient) + 1})`,
      number: Number(number),
      at: Number(at),
      outcome: outcome as AttemptRecord["outcome"],
      ...(typeof status === "string" ? { status } : {}),
      ...(typeof cause === "string" ? { reason: cause } : {}),
      ...(typeof host === "string" ? { host } : {}),
    }));
  }

  #statistics({ by, limit }: AdminQuestion & { kind: "statistics" }): AdminAnswer {
    const { counted } = this.#tally;
    if (counted === "everything") return { kind: "grouped", statistics: this.#tally.statistics(by, limit) };
    const { found, at } = this.#scan.recipients(counted === "nothing" ? undefined : counted);
    this.#tally.countSlice(found, at);
    return { kind: "grouped" };
  }
}
