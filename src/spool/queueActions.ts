import type { DatabaseSync } from "node:sqlite";
import type { AdminAnswer, AdminQuestion, StatisticGroup } from "./adminOperation.ts";
import { EntryChanges } from "./entryChange.ts";
import type { AttemptRecord, QueuedMessage } from "./queueAdmin.ts";
import { type ClaimedWorks, QueueScan, type ScannedEntry } from "./queueScan.ts";
import type { QueueTables } from "./queueTables.ts";

/** The operator's questions, answered by the worker thread between those of the engine. Claimed works are never touched. */

/** Entries changed in one transaction: what the engine waits for behind it stays short. */
const ACT_ENTRIES = 200;
/** Reasons remembered of one destination in one slice. */
const MAX_REASONS = 20;

type Act = AdminQuestion & { kind: "act" };

export class QueueActions {
  readonly #database: DatabaseSync;
  readonly #tables: QueueTables;
  readonly #claims: ClaimedWorks;
  readonly #scan: QueueScan;
  readonly #changes: EntryChanges;

  constructor(database: DatabaseSync, tables: QueueTables, claims: ClaimedWorks) {
    this.#database = database;
    this.#tables = tables;
    this.#claims = claims;
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
        return this.#grouped(question);
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
    const result = this.#change(question);
    this.#database.exec("COMMIT");
    return result;
  }

  #change({ action, filter, after, now }: Act): { answer: AdminAnswer; files: readonly string[] } {
    const { found, at } = this.#scan.entries(filter, after, ACT_ENTRIES);
    const files: string[] = [];
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
    }
    const unchanged = found.length - changed - busy;
    return { answer: { kind: "acted", changed, unchanged, busy, offers, ...(at === undefined ? {} : { at }) }, files };
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

  #grouped({ by, after }: AdminQuestion & { kind: "statistics" }): AdminAnswer {
    const { found, at } = this.#scan.recipients(after);
    const groups = new Map<string, Gathering>();
    for (const { message, destination, acceptedAt, reasons } of found) {
      const byReason = new Map<string, number>();
      for (const reason of reasons) byReason.set(reason, (byReason.get(reason) ?? 0) + 1);
      const shares = by === "destination" ? [[destination, reasons.length] as const] : [...byReason];
      for (const [key, recipients] of shares) {
        const group = groups.get(key) ?? emptyGroup(key, acceptedAt);
        groups.set(key, group);
        // One message's entries are read one behind the other.
        if (group.last !== message) group.messages += 1;
        group.last = message;
        group.recipients += recipients;
        group.oldestAcceptedAt = Math.min(group.oldestAcceptedAt, acceptedAt);
        if (by === "destination") addReasons(group.reasons, byReason);
      }
    }
    return { kind: "grouped", groups: [...groups.values()].map(groupOf), ...(at === undefined ? {} : { at }) };
  }
}

type Gathering = Omit<StatisticGroup, "reasons"> & {
  messages: number;
  recipients: number;
  oldestAcceptedAt: number;
  /** The message that was counted last. */
  last?: number;
  reasons: Map<string, number>;
};

function emptyGroup(key: string, oldestAcceptedAt: number): Gathering {
  return { key, messages: 0, recipients: 0, oldestAcceptedAt, reasons: new Map() };
}

function addReasons(to: Map<string, number>, added: ReadonlyMap<string, number>): void {
  for (const [reason, count] of added) {
    const known = to.get(reason);
    if (known !== undefined || to.size < MAX_REASONS) to.set(reason, (known ?? 0) + count);
  }
}

function groupOf({ key, messages, recipients, oldestAcceptedAt, reasons }: Gathering): StatisticGroup {
  return { key, messages, recipients, oldestAcceptedAt, reasons: [...reasons] };
}
