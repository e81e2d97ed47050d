import { closeSync, lstatSync, openSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import type { Folder } from "./folder.ts";

/**
 * One run at a time on the folder of a rollover: certbot's hook, cron and an operator may come at once, and each reads the state, looks, and writes it.
 * The lock is one of SQLite on a file of its own, since the kernel gives it up when its holder dies.
 */
const LOCK_FILE = "rollover.lock";
const OWNER_ONLY = 0o600;
const POLL_MILLISECONDS = 100;
/** A look at servers that do not answer takes its time. */
const PATIENCE_MILLISECONDS = 120_000;
/** SQLITE_BUSY: somebody else has it. */
const BUSY = 5;

export class FolderLock {
  readonly #lock: DatabaseSync;

  /** Of a folder that exists; throws where the file cannot be made. */
  constructor({ directory }: Folder) {
    const file = join(directory, LOCK_FILE);
    makeLockFile(file);
    this.#lock = new DatabaseSync(file, { timeout: 0 });
  }

  /** Waits for whoever has it; busy: too long, or until `stop`. */
  async take(patienceMilliseconds = PATIENCE_MILLISECONDS, stop?: AbortSignal): Promise<"taken" | "busy"> {
    const until = performance.now() + patienceMilliseconds;
    for (;;) {
      try {
        this.#lock.exec("BEGIN EXCLUSIVE");
        return "taken";
      } catch (error) {
        if (!(error instanceof Error && "errcode" in error && error.errcode === BUSY)) throw error;
      }
      if (performance.now() >= until || stop?.aborted === true) return "busy";
      await delay(POLL_MILLISECONDS);
    }
  }

  release(): void {
    this.#lock.exec("ROLLBACK");
  }

  close(): void {
    this.#lock.close();
  }
}

/** For its owner alone, so that nobody else can hold the lock; a link is not followed, by which root would make a file elsewhere. */
function makeLockFile(file: string): void {
  try {
    closeSync(openSync(file, "wx", OWNER_ONLY));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    if (!lstatSync(file).isFile()) throw new Error(`${file} is not a regular file`, { cause: error });
  }
}
