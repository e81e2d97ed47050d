import { statSync } from "node:fs";
import type { DatabaseSync } from "node:sqlite";

/**
 * Whether the write-ahead log still moves into the database. SQLite does that within a COMMIT, and is silent when it fails: what was committed is
 * on disk in the log all the same, which then grows until the disk is full.
 */

/** With checkpoints that work, the log is smaller, or as large as one large transaction has made it. */
const ALARM_BYTES = 32 * 1024 * 1024;

export class Checkpoint {
  readonly #database: DatabaseSync;
  readonly #log: string;
  /** A log up to this size is no reason to look. */
  #seenBytes = ALARM_BYTES;
  #trouble: unknown;

  constructor(database: DatabaseSync, databaseFile: string) {
    this.#database = database;
    this.#log = `${databaseFile}-wal`;
  }

  /** Why new mail must not be stored now; undefined: it may. While there is a reason, each question tries anew. */
  trouble(): unknown {
    if (this.#trouble !== undefined) this.#move();
    return this.#trouble;
  }

  /** After a COMMIT. */
  committed(): void {
    try {
      const bytes = statSync(this.#log, { throwIfNoEntry: false })?.size ?? 0;
      if (bytes <= this.#seenBytes) return;
      this.#seenBytes = bytes;
    } catch (error) {
      this.#trouble = error;
    }
    this.#move();
  }

  #move(): void {
    try {
      this.#database.exec("PRAGMA wal_checkpoint(PASSIVE)");
      this.#trouble = undefined;
    } catch (error) {
      this.#trouble = error;
    }
  }
}
