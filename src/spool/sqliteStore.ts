import { accessSync, constants, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Clock, type Random, systemClock, systemRandom } from "../clock.ts";
import { BodyFiles } from "./bodyFiles.ts";
import { loadPoints } from "./commitPoint.ts";
import { type Disk, realDisk, unsafeFileSystem } from "./disk.ts";
import { EmbeddedStore, type EmbeddedStoreSettings } from "./embeddedStore.ts";
import { OperationQueue } from "./operationQueue.ts";
import type { AdministeredStore } from "./queueAdmin.ts";
import { StoreError } from "./store.ts";
import { isMissing, repairAdvice, storeError } from "./storeFailure.ts";
import type { Opened } from "./storeOperation.ts";

/** The embedded spool: an SQLite database `queue.db` and a folder of large bodies, owned by one process at a time. */
export type SqliteStoreOptions = {
  directory: string;
  /** Content up to this size is stored in the database, larger content in a file of its own. */
  inlineBytes?: number;
  /** New mail is refused while less than this is free, so that what happens to queued mail can still be recorded. */
  reserveBytes?: number;
  /** No retry waits longer than this; at the start, what would wait longer is due at once (the clock was wrong when it was stored). */
  maximumWaitSeconds?: number;
  clock?: Clock;
  random?: Random;
  disk?: Disk;
  /** URL of a module that is told of commit points (commitPoint.ts): for the fault campaign, no setting leads here. */
  points?: string;
  /** Of what is tried again by itself: deliveries that cannot be recorded now. */
  onTrouble?: (error: StoreError) => void;
};

const DEFAULT_INLINE_BYTES = 128 * 1024;
const MOUNTS = "/proc/self/mountinfo";
const DEFAULT_MAXIMUM_WAIT_SECONDS = 24 * 3600;
const DEFAULT_RESERVE_BYTES = 32 * 1024 * 1024;
/** Opens the spool, creates it where there is none. Rejects with a StoreError whose text says what to do. */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<AdministeredStore> {
  const settings: EmbeddedStoreSettings = {
    inlineBytes: DEFAULT_INLINE_BYTES,
    reserveBytes: DEFAULT_RESERVE_BYTES,
    clock: systemClock,
    random: systemRandom,
    disk: realDisk,
    onTrouble: () => undefined,
    at: await loadPoints(options.points),
    ...options,
    directory: resolve(options.directory),
  };
  const { directory, disk } = settings;
  const bodies = new BodyFiles(directory, disk, settings.at);
  try {
    mkdirSync(bodies.directory, { recursive: true, mode: 0o700 });
    // SQLite would only say "disk I/O error".
    accessSync(directory, constants.W_OK);
  } catch (error) {
    throw storeError(error, directory);
  }
  const unsafe = unsafeFileSystem(disk.fileSystem(directory), realpathSync(directory), () => readFileSync(MOUNTS, "utf8"));
  if (unsafe !== undefined) {
    const reason = `${directory} is on ${unsafe}: locks and fsync of this file system do not keep a queue safe; use a local disk, or a PostgreSQL spool`;
    throw new StoreError("io", reason);
  }
  const now = settings.clock.now();
  const latestDue = now + 1000 * (options.maximumWaitSeconds ?? DEFAULT_MAXIMUM_WAIT_SECONDS);
  const database = join(directory, "queue.db");
  const { queue, opened } = await OperationQueue.open({
    database,
    bodies: bodies.directory,
    now,
    latestDue,
    ...(options.points === undefined ? {} : { points: options.points }),
  });
  if (opened.kind !== "opened") {
    await queue.terminate();
    throw openingError(opened, directory);
  }
  writeFileSync(join(directory, "pid"), `${process.pid}\n`);
  return new EmbeddedStore(settings, queue, bodies, opened.due);
}

function openingError(opened: Exclude<Opened, { kind: "opened" }>, directory: string): StoreError {
  switch (opened.kind) {
    case "locked":
      return new StoreError(
        "io",
        `the spool ${directory} is in use by ${holder(directory)}: each relay needs a spool of its own`,
      );
    case "refused":
      return new StoreError("io", `the spool ${directory} cannot be used: ${opened.reason}`);
    case "damaged":
      return new StoreError("corrupt", `the spool ${directory} is damaged (${opened.reason}): ${repairAdvice(directory)}`);
    case "failed":
      return new StoreError(opened.error, opened.text);
    default:
      return opened satisfies never;
  }
}

function holder(directory: string): string {
  try {
    return `process ${readFileSync(join(directory, "pid"), "utf8").trim()}`;
  } catch (error) {
    // The holder has taken the lock and not yet written its number.
    if (isMissing(error)) return "another process";
    throw error;
  }
}
