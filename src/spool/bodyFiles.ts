import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import type { AtPoint } from "./commitPoint.ts";
import type { BodyFile, Disk } from "./disk.ts";
import { StoreError } from "./store.ts";
import { repairAdvice, storeError } from "./storeFailure.ts";

/**
 * Message bodies too large for the database, one file each in `bodies/`. A file is on disk, and its name in the directory too, before the row
 * that names it is committed; a file without a row is an orphan of a crash, removed at the next start.
 */
const READ_CHUNK_BYTES = 64 * 1024;
/** A body up to this size is read once, checked and handed on; a larger one is read once to check it and once more to hand it on. */
const WHOLE_BYTES = 256 * 1024;

export class BodyFiles {
  readonly directory: string;
  readonly #spool: string;
  readonly #disk: Disk;
  readonly at: AtPoint;
  /** The directory's fsync that has not begun yet: everyone who asks before it begins shares it. */
  #nextSync: Promise<void> | undefined;
  #running: Promise<void> = Promise.resolve();
  /** How often an fsync of the directory has failed. The names that it was for may never reach the disk, whatever a later one says. */
  #failedSyncs = 0;

  constructor(spool: string, disk: Disk, at: AtPoint) {
    this.at = at;
    this.#spool = spool;
    this.directory = join(spool, "bodies");
    this.#disk = disk;
  }

  async create(name: string): Promise<Body> {
    try {
      const failedSyncs = this.#failedSyncs;
      return new Body(this, { name, spool: this.#spool, file: await this.#disk.create(join(this.directory, name)), failedSyncs });
    } catch (error) {
      throw storeError(error, this.#spool);
    }
  }

  remove(name: string): Promise<void> {
    return this.#disk.remove(join(this.directory, name));
  }

  /** Resolves when the name of a body that was created when `failedSyncs` had failed is durable. */
  async syncNames(failedSyncs: number): Promise<void> {
    await this.#syncDirectory();
    if (failedSyncs !== this.#failedSyncs) throw new Error(`an fsync of ${this.directory} failed`);
  }

  #syncDirectory(): Promise<void> {
    if (this.#nextSync === undefined) {
      const begin = async (): Promise<void> => {
        this.#nextSync = undefined;
        try {
          await this.#disk.syncDirectory(this.directory);
        } catch (error) {
          this.#failedSyncs += 1;
          throw error;
        }
      };
      this.#nextSync = this.#running.then(begin, begin);
      this.#running = this.#nextSync;
    }
    return this.#nextSync;
  }

  /**
   * The bytes of a body. Size and checksum (CRC-32; undefined: none was stored) are checked before the first chunk comes out: neither half a
   * message nor a damaged one may be sent.
   */
  async *read(name: string, size: number, checksum: number | undefined): AsyncGenerator<Buffer> {
    const path = join(this.directory, name);
    const handle = await open(path, "r").catch((error: unknown) => {
      throw this.#damaged(path, error);
    });
    try {
      const found = (await handle.stat()).size;
      if (found !== size) throw this.#damaged(path, new Error(`it has ${found} octets, not ${size}`));
      const kept: Buffer[] = [];
      let sum = 0;
      for await (const chunk of chunksOf(handle, size)) {
        sum = crc32(chunk, sum);
        if (size <= WHOLE_BYTES) kept.push(chunk);
      }
      if (checksum !== undefined && sum !== checksum) throw this.#damaged(path, new Error("its content is not what was stored"));
      yield* size <= WHOLE_BYTES ? kept : chunksOf(handle, size);
    } catch (error) {
      throw storeError(error, this.#spool);
    } finally {
      await handle.close();
    }
  }

  #damaged(path: string, error: unknown): StoreError {
    const text = error instanceof Error ? error.message : String(error);
    const advice = `restore the file, or delete the message from the queue (database damaged too? ${repairAdvice(this.#spool)})`;
    return new StoreError("corrupt", `message body ${path} cannot be read in full: ${text}; ${advice}`, { cause: error });
  }
}

async function* chunksOf(handle: FileHandle, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < size; ) {
    const chunk = Buffer.allocUnsafe(Math.min(READ_CHUNK_BYTES, size - at));
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, at);
    if (bytesRead === 0) throw new Error(`the file ends after ${at} of ${size} octets`);
    yield chunk.subarray(0, bytesRead);
    at += bytesRead;
  }
}

type BodyParts = { name: string; spool: string; file: BodyFile; failedSyncs: number };

/** One body being written. Writes are one behind the other; the first failure is kept and given to everyone who asks later. */
export class Body {
  readonly name: string;
  readonly #files: BodyFiles;
  readonly #parts: BodyParts;
  #state: "open" | "closed" = "open";

  constructor(files: BodyFiles, parts: BodyParts) {
    this.#files = files;
    this.name = parts.name;
    this.#parts = parts;
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      await this.#parts.file.write(bytes);
      this.#files.at("body-written");
    } catch (error) {
      throw storeError(error, this.#parts.spool);
    }
  }

  /** Resolves when content and name are on disk. */
  async finish(): Promise<void> {
    try {
      await this.#parts.file.sync();
      this.#files.at("body-synced");
      await this.#close();
      await this.#files.syncNames(this.#parts.failedSyncs);
      this.#files.at("body-named");
    } catch (error) {
      throw storeError(error, this.#parts.spool);
    }
  }

  /** Removes the file; one that cannot be removed is an orphan that the next start sweeps. */
  async discard(): Promise<void> {
    try {
      await this.#close();
      await this.#files.remove(this.name);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
  }

  async #close(): Promise<void> {
    if (this.#state === "closed") return;
    this.#state = "closed";
    await this.#parts.file.close();
  }
}
