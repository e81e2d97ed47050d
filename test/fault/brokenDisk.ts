import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The disk of brokenDisk.c below the two files of a relay's embedded spool. */
export type Order =
  `${"queue.db" | "queue.db-wal"} ${"write" | "fsync" | "truncate"} ${"EIO" | "ENOSPC" | "short"}${"" | " once"}`;

const SOURCE = join(import.meta.dirname, "brokenDisk.c");
const FILES = ["queue.db", "queue.db-wal"];

/** Compiles it; the library to load. */
export function compileBrokenDisk(directory: string): string {
  const library = join(directory, "brokenDisk.so");
  execFileSync("gcc", ["-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o", library, SOURCE]);
  return library;
}

export class BrokenDisk {
  readonly #directory: string;
  readonly #spool: string;
  readonly environment: NodeJS.ProcessEnv;

  constructor(library: string, directory: string, spool: string) {
    this.#directory = directory;
    this.#spool = spool;
    mkdirSync(this.#shadows);
    this.environment = {
      LD_PRELOAD: library,
      BROKEN_DISK_ORDERS: this.#orders,
      BROKEN_DISK_SHADOWS: this.#shadows,
    };
  }

  /** From now on this fails; "once": and then nothing any more. */
  order(order: Order): void {
    const whole = join(this.#directory, "next-order");
    writeFileSync(whole, `${order}\n`);
    renameSync(whole, this.#orders);
  }

  /** Whether the order stands: one for a single time is gone when it was followed. */
  get ordered(): boolean {
    return existsSync(this.#orders);
  }

  heal(): void {
    rmSync(this.#orders, { force: true });
  }

  /** The relay is dead: the files of its spool become what was on the disk. */
  cutPower(): void {
    for (const name of FILES) {
      const [file, shadow] = [join(this.#spool, name), join(this.#shadows, name)];
      rmSync(file, { force: true });
      if (existsSync(shadow)) copyFileSync(shadow, file);
    }
  }

  get #orders(): string {
    return join(this.#directory, "orders");
  }

  get #shadows(): string {
    return join(this.#directory, "shadows");
  }
}
