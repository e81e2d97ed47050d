import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { filterOf } from "../admin/queueQuery.ts";
import { systemClock, systemRandom } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import type { QueueAdmin } from "../spool/queueAdmin.ts";
import { SeveralQueues } from "../spool/severalQueues.ts";
import { StoreError } from "../spool/store.ts";
import { auditedQueue } from "./auditFile.ts";
import { controlClient } from "./controlClient.ts";

/** The operator's hands on the queue of a configuration, as a command has them. */
export type OpenQueue = { queueAdmin: QueueAdmin; close(): Promise<void> };

/** A filter as a user writes it; "wrong" says what is. */
export function filterFrom(given: Readonly<Record<string, unknown>>, now: number): ReturnType<typeof filterOf> {
  return filterOf(given, now);
}

/**
 * By the control socket while a relay serves this spool; else the spool itself, whose lock is held until `close`, so that no relay can start
 * meanwhile. A spool of several processes is all its shards. A shared spool is opened beside the relays that serve it. Rejects with a StoreError
 * that says what to do.
 */
export async function openQueue(config: Config): Promise<OpenQueue> {
  const { spool } = config;
  if (spool.kind === "postgres") return openStore(config, config);
  const directories = queueDirectories(spool.directory);
  // A command must not make a spool where there is none.
  if (directories.length === 0) throw new StoreError("io", `there is no spool in ${spool.directory}`);
  const opened: OpenQueue[] = [];
  const close = async (): Promise<void> => {
    for (const one of opened) await one.close();
  };
  try {
    for (const directory of directories) opened.push(await openDirectory(config, directory));
  } catch (error) {
    await close();
    throw error;
  }
  const [first, ...more] = opened.map(({ queueAdmin }) => queueAdmin);
  return {
    queueAdmin: first !== undefined && more.length === 0 ? first : new SeveralQueues(opened.map(({ queueAdmin }) => queueAdmin)),
    close,
  };
}

/** The directory itself, and the shards of several processes below it (workers/shards.ts), where they have a queue. */
function queueDirectories(directory: string): readonly string[] {
  if (!existsSync(directory)) return [];
  const shards = readdirSync(directory).filter((name) => /^shard-\d+$/.test(name));
  return [directory, ...shards.map((name) => join(directory, name))].filter((one) => existsSync(join(one, "queue.db")));
}

async function openDirectory(config: Config, directory: string): Promise<OpenQueue> {
  const client = await controlClient(directory);
  if (client !== undefined) return { queueAdmin: client, close: () => Promise.resolve() };
  return openStore({ ...config, spool: { kind: "file", directory } }, config);
}

/** `whole`: what says where actions are told of. */
async function openStore(config: Config, whole: Config): Promise<OpenQueue> {
  // What a relay would log at its start is no part of a command's output.
  const log = { event: () => undefined, reconfigure: () => undefined, flush: () => Promise.resolve() };
  // Loaded only now: most commands meet a relay that serves.
  const { openSpool } = await import("./spool.ts");
  const store = await openSpool({ config, clock: systemClock, random: systemRandom, log }, undefined);
  return { queueAdmin: auditedQueue(store.queueAdmin, whole), close: () => store.close() };
}
