import { type BodyFile, type Disk, realDisk } from "../../src/spool/disk.ts";

/** The real file system, until it is told to fail: one operation with an error code, or no space at all. */
export type Operation = "create" | "write" | "sync" | "close" | "remove" | "syncDirectory";

export class FaultyDisk implements Disk {
  readonly calls: Operation[] = [];
  #failures = new Map<Operation, string>();
  #free: number | undefined;
  #type: number | undefined;

  /** From now on `operation` fails with `code` (ENOSPC, EIO, ...). */
  fail(operation: Operation, code: string): void {
    this.#failures.set(operation, code);
  }

  heal(): void {
    this.#failures.clear();
    this.#free = undefined;
  }

  setFree(bytes: number): void {
    this.#free = bytes;
  }

  setFileSystem(type: number): void {
    this.#type = type;
  }

  async create(path: string): Promise<BodyFile> {
    this.#step("create");
    const file = await realDisk.create(path);
    return {
      write: (bytes) => this.#run("write", () => file.write(bytes)),
      sync: () => this.#run("sync", () => file.sync()),
      close: async () => {
        await file.close();
        this.#step("close");
      },
    };
  }

  remove(path: string): Promise<void> {
    return this.#run("remove", () => realDisk.remove(path));
  }

  syncDirectory(directory: string): Promise<void> {
    return this.#run("syncDirectory", () => realDisk.syncDirectory(directory));
  }

  freeBytes(directory: string): number {
    return this.#free ?? realDisk.freeBytes(directory);
  }

  fileSystem(directory: string): number {
    return this.#type ?? realDisk.fileSystem(directory);
  }

  async #run(operation: Operation, real: () => Promise<void>): Promise<void> {
    this.#step(operation);
    await real();
  }

  #step(operation: Operation): void {
    this.calls.push(operation);
    const code = this.#failures.get(operation);
    if (code !== undefined) throw Object.assign(new Error(`${code}: made to fail`), { code });
  }
}
