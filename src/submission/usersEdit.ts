import { closeSync, constants, lstatSync, openSync } from "node:fs";
import { open, readFile, realpath, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { parseUsers, type User, userLine } from "./usersFile.ts";

/**
 * Changes of the users file: one process at a time, and atomically: whoever reads it finds it as it was or as it is. Lines that are not concerned
 * stay as they are. The lock is one of SQLite on a file of its own beside it, since the kernel gives it up when its holder dies.
 */
export type UsersEdit = { kind: "edited" } | { kind: "refused"; reason: string };

/** What becomes of the file: `line` undefined takes the user out. */
type Change = { name: string; user: User | undefined; when: (known: User | undefined) => string | undefined };

/** How often the lock is tried, and how long it is waited for in all. */
const LOCK_POLL_MILLISECONDS = 50;
const LOCK_ATTEMPTS = 600;
/** SQLITE_BUSY: somebody else has it. */
const BUSY = 5;
const NEW_FILE_MODE = 0o600;
/** What a users file may have at most: see readUsersFile. */
const WIDEST_MODE = 0o640;

/** Writes the user's line; `ifKnown` refuses or replaces one that is there already, whose senders stay where `user` has none of its own. */
export function addUser(file: string, user: User, ifKnown: "refuse" | "replace"): Promise<UsersEdit> {
  const when = (known: User | undefined): string | undefined =>
    known !== undefined && ifKnown === "refuse" ? `there is a user ${user.name} already` : undefined;
  return edit(file, { name: user.name, user, when });
}

export function deleteUser(file: string, name: string): Promise<UsersEdit> {
  return edit(file, { name, user: undefined, when: (known) => (known === undefined ? `there is no user ${name}` : undefined) });
}

async function edit(file: string, change: Change): Promise<UsersEdit> {
  const target = await realpath(file).catch(() => file);
  const lockFile = `${target}.lock`;
  makeLockFile(lockFile);
  const lock = new DatabaseSync(lockFile, { timeout: 0 });
  try {
    await take(lock);
    return await editLocked(target, change);
  } finally {
    lock.close();
  }
}

/**
 * For its owner alone, so that nobody else can hold the lock; and a link is not followed, by which root would make a file elsewhere. Opened only where it is
 * made, and closed at once: the system gives up all locks of this process on a file with any descriptor of it that is closed.
 */
function makeLockFile(file: string): void {
  try {
    closeSync(openSync(file, "wx", NEW_FILE_MODE));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    if (!lstatSync(file).isFile()) throw new Error(`${file} is not a regular file`, { cause: error });
  }
}

/** Waits without holding up the process: the holder may be in it. */
async function take(lock: DatabaseSync): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      lock.exec("BEGIN EXCLUSIVE");
      return;
    } catch (error) {
      const busy = error instanceof Error && "errcode" in error && error.errcode === BUSY;
      if (!busy || attempt === LOCK_ATTEMPTS) throw error;
    }
    await delay(LOCK_POLL_MILLISECONDS);
  }
}

async function editLocked(file: string, { name, user, when }: Change): Promise<UsersEdit> {
  const before = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  const parsed = parseUsers(before);
  if (parsed.kind === "unusable") return { kind: "refused", reason: `${file}: ${parsed.reason}` };
  const known = parsed.users.get(name);
  const reason = when(known);
  if (reason !== undefined) return { kind: "refused", reason };
  const lines = before.split(/\r?\n/).filter((line) => line.split(" ")[1] !== name || line.startsWith("#"));
  while (lines.at(-1) === "") lines.pop();
  if (user !== undefined) lines.push(userLine(known?.senders === undefined ? user : { senders: known.senders, ...user }));
  await replace(file, lines.map((line) => `${line}\n`).join(""));
  return { kind: "edited" };
}

async function replace(file: string, text: string): Promise<void> {
  const old = await stat(file).catch(() => undefined);
  const fresh = `${file}.${process.pid}.new`;
  // A left-over of a process with our number.
  await rm(fresh, { force: true });
  const handle = await open(fresh, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, NEW_FILE_MODE);
  try {
    await handle.writeFile(text);
    if (old !== undefined) {
      await handle.chmod(old.mode & WIDEST_MODE);
      // The relay, as another user, still reads it behind an edit by root. Of what is open: whoever may write the directory could put a link in its place.
      if (process.getuid?.() === 0) await handle.chown(old.uid, old.gid);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(fresh, file);
  const directory = await open(dirname(file), constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
