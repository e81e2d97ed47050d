import { StoreError } from "./store.ts";
import type { Failure } from "./storeOperation.ts";

/** The one place where errors of SQLite and of the file system become kinds of StoreError. */

/** SQLite's primary result codes. */
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CONSTRAINT = 19;
const SQLITE_NOTADB = 26;
const SQLITE_BUSY = 5;
const SQLITE_READONLY = 8;
const SQLITE_CANTOPEN = 14;
const PRIMARY_CODE_MASK = 0xff;

const READ_ONLY_CODES: ReadonlySet<unknown> = new Set(["EROFS", "EACCES", "EPERM"]);
const FULL_CODES: ReadonlySet<unknown> = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

function field(error: unknown, name: string): unknown {
  return typeof error === "object" && error !== null ? (error as Record<string, unknown>)[name] : undefined;
}

function primaryCode(error: unknown): number | undefined {
  const code = field(error, "errcode");
  return typeof code === "number" ? code & PRIMARY_CODE_MASK : undefined;
}

export function isLocked(error: unknown): boolean {
  return primaryCode(error) === SQLITE_BUSY;
}

export function isMissing(error: unknown): boolean {
  return field(error, "code") === "ENOENT";
}

/** What went wrong with the spool in `directory`, and what to do about it. */
export function failureOf(error: unknown, directory: string): Failure {
  const text = error instanceof Error ? error.message : String(error);
  const code = primaryCode(error);
  if (code === SQLITE_CORRUPT || code === SQLITE_NOTADB) {
    return { kind: "failed", error: "corrupt", text: `${text}: ${repairAdvice(directory)}` };
  }
  // What contradicts the queue will do so again: waiting does not help as it does with the disk.
  if (code === SQLITE_CONSTRAINT) return { kind: "failed", error: "corrupt", text: `${text} (spool ${directory})` };
  if (code === SQLITE_FULL || FULL_CODES.has(field(error, "code"))) {
    return { kind: "failed", error: "full", text: `${text}: free space on the file system of ${directory}` };
  }
  if (code === SQLITE_READONLY || code === SQLITE_CANTOPEN || READ_ONLY_CODES.has(field(error, "code"))) {
    const advice = `${directory} and what is in it must be writable for the relay's user, on a file system that is not mounted read-only`;
    return { kind: "failed", error: "io", text: `${text}: ${advice}` };
  }
  return { kind: "failed", error: "io", text: `${text} (spool ${directory})` };
}

export function repairAdvice(directory: string): string {
  return (
    `stop the relay, run "dane-relay repair" with its configuration (it copies what can be read of ${directory}, keeps what is damaged, ` +
    "and names what is lost), and start the relay"
  );
}

export function storeError(error: unknown, directory: string): StoreError {
  if (error instanceof StoreError) return error;
  const failure = failureOf(error, directory);
  return new StoreError(failure.error, failure.text, { cause: error });
}

/** The error, if it is the store's own; anything else is a bug, and passes as it is. */
export function requireStoreError(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  throw error;
}

/** Whether what failed may have been done all the same. */
export function isUnknown(error: unknown): boolean {
  return error instanceof StoreError && error.outcome === "unknown";
}

/** For what may fail in a way that the system tells of. */
export function requireError(error: unknown): void {
  if (!(error instanceof Error)) throw error;
}
