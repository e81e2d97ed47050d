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

/** File systems (linux/magic.h) where locks and fsync do not hold what SQLite's WAL needs of them. */
const UNSAFE_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, "NFS"],
  [0x517b, "SMB"],
  [0xff534d42, "CIFS"],
  [0xfe534d42, "SMB2"],
  [0x5346414f, "AFS"],
  [0x6b414653, "AFS"],
  [0x564c, "NCP"],
  [0x01021997, "9p"],
  [0x00c36400, "Ceph"],
]);
const FUSE = 0x65735546;
/** FUSE is what a program makes of it: sshfs, s3fs, GlusterFS. These pass everything to the kernel below, or are a local disk's format. */
const LOCAL_FUSE: ReadonlySet<string> = new Set(["virtiofs", "fuseblk"]);

/** Name of the file system that `type` stands for where the spool must not lie; undefined: it may. `mounts`: /proc/self/mountinfo. */
export function unsafeFileSystem(type: number, directory: string, mounts: () => string): string | undefined {
  if (type >>> 0 !== FUSE) return UNSAFE_FILE_SYSTEMS.get(type >>> 0);
  const name = mountedType(mounts(), directory);
  return name !== undefined && LOCAL_FUSE.has(name) ? undefined : (name ?? "FUSE");
}

/** The type of the mount that holds `path` (proc(5): the fields behind " - "): the longest mount point that leads to it, the last one there. */
function mountedType(mountinfo: string, path: string): string | undefined {
  let best: { length: number; type: string } | undefined;
  for (const line of mountinfo.split("\n")) {
    const [, point, type] = /^\S+ \S+ \S+ \S+ (\S+) .* - (\S+) /.exec(line) ?? [];
    if (point === undefined || type === undefined) continue;
    const mounted = point.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    const leads = mounted === "/" || path === mounted || path.startsWith(`${mounted}/`);
    if (leads && mounted.length >= (best?.length ?? 0)) best = { length: mounted.length, type };
  }
  return best?.type;
}
