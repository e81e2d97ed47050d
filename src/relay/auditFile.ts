import { closeSync, constants, fchownSync, fstatSync, mkdirSync, openSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { AuditRecord } from "../admin/api.ts";
import { systemClock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { stateDirectoryOf } from "../config/stateDirectory.ts";
import { createLog } from "../log.ts";
import type { QueueAction, QueueAdmin, QueueChange, QueueFilter } from "../spool/queueAdmin.ts";
import { auditEvent } from "./auditRecord.ts";

/**
 * What a command does to a queue by itself, where no relay's log hears of it (no relay serves, or the queue is shared), is told in `audit.log` of the
 * state directory, in the lines of that log. Without that file nothing is done.
 */
const AUDIT_FILE = "audit.log";
const OWNER_ONLY = 0o600;

export function auditedQueue(queue: QueueAdmin, config: Config): QueueAdmin {
  return {
    list: (filter, page) => queue.list(filter, page),
    show: (id) => queue.show(id),
    statistics: (by, limit) => queue.statistics(by, limit),
    act: (action, filter) => act(queue, action, filter, config),
  };
}

/**
 * Root may run the command where the relay has another user: it then must not write into whatever that user made a link to, and the file stays one
 * that this user can write, as the directory is.
 */
function openAuditFile(directory: string): number {
  const path = join(directory, AUDIT_FILE);
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, OWNER_ONLY);
  const opened = fstatSync(file);
  // A file with two names may be another one of this file system as well.
  if (!opened.isFile() || opened.nlink !== 1) {
    closeSync(file);
    throw new Error(`${path} is not a regular file with one name: nothing was done`);
  }
  const { uid, gid } = statSync(directory);
  if (process.getuid?.() === 0 && opened.uid === 0 && uid !== 0) fchownSync(file, uid, gid);
  return file;
}

async function act(queue: QueueAdmin, action: QueueAction, filter: QueueFilter, config: Config): Promise<QueueChange> {
  const directory = stateDirectoryOf(config);
  mkdirSync(directory, { recursive: true });
  const file = openAuditFile(directory);
  const { recipients } = config.log;
  const destination = { write: (line: string) => void writeSync(file, line) };
  const log = createLog({ level: "info", format: "json", recipients, now: systemClock.now, destination });
  const uid = process.getuid?.();
  const told = { actor: { who: "local" }, action, filter } as const;
  const tell = (record: AuditRecord): void => log.event({ ...auditEvent(record), ...(uid === undefined ? {} : { uid }) });
  try {
    const change = await queue.act(action, filter);
    tell({ ...told, outcome: "done", change });
    return change;
  } catch (error) {
    tell({ ...told, outcome: "failed", reason: error instanceof Error ? error.message : String(error) });
    throw error;
  } finally {
    closeSync(file);
  }
}
