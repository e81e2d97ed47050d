import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { QueueAction } from "./queueAdmin.ts";
import type { WorkKey } from "./storeOperation.ts";

/**
 * The operator's changes of one entry, each with its share of the tally: a message counts as held while any of its entries is. Every method
 * runs inside the caller's transaction.
 */
export type EntryChange =
  | { kind: "unchanged" }
  /** `due`: the entry may be tried from then on. `file`: a body that nothing names any more. */
  | { kind: "changed"; due?: number; file?: string };

type MessageClass = "incoming" | "deferred" | "held";

export class EntryChanges {
  readonly #statements: ReturnType<typeof prepareStatements>;

  constructor(database: DatabaseSync) {
    this.#statements = prepareStatements(database);
  }

  /** The entry exists and is not claimed. */
  apply(action: QueueAction, { key, due, held }: { key: WorkKey; due: number; held: boolean }, now: number): EntryChange {
    const { message, destination } = key;
    const statements = this.#statements;
    switch (action) {
      case "retry":
        if (held) return { kind: "unchanged" };
        statements.retry.run(message, destination, now);
        return { kind: "changed", due: Math.min(due, now) };
      case "hold":
        if (held) return { kind: "unchanged" };
        this.#counted(message, () => statements.hold.run(1, message, destination));
        return { kind: "changed" };
      case "release":
        if (!held) return { kind: "unchanged" };
        this.#counted(message, () => statements.hold.run(0, message, destination));
        return { kind: "changed", due };
      case "delete":
        return this.#delete(key);
      default:
        return action satisfies never;
    }
  }

  isHeld(message: number): boolean {
    return this.#statements.anyHeld.get(message) !== undefined;
  }

  #delete({ message, destination }: WorkKey): EntryChange {
    const { statements, was } = { statements: this.#statements, was: this.#classOf(message) };
    statements.deleteWork.run(message, destination);
    if (statements.anyWork.get(message) !== undefined) {
      this.#move(was, this.#classOf(message));
      return { kind: "changed" };
    }
    statements.deleteAttempts.run(message);
    const file = statements.deleteMessage.get(message)?.file;
    this.#move(was, undefined);
    return { kind: "changed", ...(typeof file === "string" ? { file } : {}) };
  }

  #counted(message: number, change: () => void): void {
    const was = this.#classOf(message);
    change();
    this.#move(was, this.#classOf(message));
  }

  #classOf(message: number): MessageClass {
    if (this.isHeld(message)) return "held";
    return this.#statements.anyAttempt.get(message) === undefined ? "incoming" : "deferred";
  }

  #move(from: MessageClass, to: MessageClass | undefined): void {
    if (from === to) return;
    const by = (one: MessageClass): number => (to === one ? 1 : 0) - (from === one ? 1 : 0);
    this.#statements.tally.run(by("incoming"), by("deferred"), by("held"));
  }
}

function prepareStatements(
  database: DatabaseSync,
): Record<
  "retry" | "hold" | "anyHeld" | "anyWork" | "anyAttempt" | "deleteWork" | "deleteAttempts" | "deleteMessage" | "tally",
  StatementSync
> {
  const prepare = (sql: string): StatementSync => database.prepare(sql);
  return {
    retry: prepare(`UPDATE work SET due = min(due, ?3), recipients = (
        SELECT json_group_array(json_set(value, '$.due', min(value ->> '$.due', ?3))) FROM json_each(recipients)
      ) WHERE message = ?1 AND destination = ?2`),
    hold: prepare("UPDATE work SET held = ? WHERE message = ? AND destination = ?"),
    anyHeld: prepare("SELECT 1 FROM work WHERE message = ? AND held <> 0 LIMIT 1"),
    anyWork: prepare("SELECT 1 FROM work WHERE message = ? LIMIT 1"),
    anyAttempt: prepare("SELECT 1 FROM attempt WHERE message = ? LIMIT 1"),
    deleteWork: prepare("DELETE FROM work WHERE message = ? AND destination = ?"),
    deleteAttempts: prepare("DELETE FROM attempt WHERE message = ?"),
    deleteMessage: prepare("DELETE FROM message WHERE seq = ? RETURNING file"),
    tally: prepare("UPDATE tally SET incoming = incoming + ?, deferred = deferred + ?, held = held + ?"),
  };
}
