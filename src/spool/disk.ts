import { statfsSync } from "node:fs";
import { type FileHandle, open, unlink } from "node:fs/promises";

/** What the store asks of the file system for message bodies; tests put a broken one in its place. */
export interface BodyFile {
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves when what was written is on disk (fsync). */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface Disk {
  /** Creates `path`; rejects when it exists. */
  create(path: string): Promise<BodyFile>;
  remove(path: string): Promise<void>;
  /** Makes the names in `directory` durable (fsync of the directory). */
  syncDirectory(directory: string): Promise<void>;
  freeBytes(directory: string): number;
  /** Magic number of the file system, as statfs gives it. */
  fileSystem(directory: string): number;
}

async function writeFully(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let at = 0;
  while (at < bytes.length) at += (await handle.write(bytes, at, bytes.length - at)).bytesWritten;
}

async function withHandle<T>(handle: FileHandle, use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } finally {
    await handle.close();
  }
}

export const realDisk: Disk = {
  async create(path) {
    const handle = await open(path, "wx", 0o600);
    return {
      write: (bytes) => writeFully(handle, bytes),
      sync: () => handle.sync(),
      close: () => handle.close(),
    };
  },
  remove: unlink,
  async syncDirectory(directory) {
    const handle = await open(directory, "r");
    await withHandle(handle, () => handle.sync());
  },
  freeBytes(directory) {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize;
  },
  fileSystem: (directory) => statfsSync(directory).type,
};

/** Network file systems (linux/magic.h), where locks and fsync do not hold what SQLite's WAL needs of them. */
const UNSAFE_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB2"],
  [0x5346414f, "AFS"],
  [0x6b414653, "AFS"],
  [0x564c, "NCP"],
]);

/** Name of the network file system that `type` stands for; undefined: the spool may lie there. */
export function unsafeFileSystem(type: number): string | undefined {
  return UNSAFE_FILE_SYSTEMS.get(type >>> 0);
}
