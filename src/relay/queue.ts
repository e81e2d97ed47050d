import { existsSync } from "node:fs";
import { join } from "node:path";
import { filterOf } from "../admin/queueQuery.ts";
import { systemClock, systemRandom } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import type { QueueAdmin } from "../spool/queueAdmin.ts";
import { StoreError } from "../spool/store.ts";
import { controlClient } from "./controlClient.ts";

/** The operator's hands on the queue of a configuration, as a command has them. */
export type OpenQueue = { queueAdmin: QueueAdmin; close(): Promise<void> };

/** A filter as a user writes it; "wrong" says what is. */
export function filterFrom(given: Readonly<Record<string, unknown>>, now: number): ReturnType<typeof filterOf> {
  return filterOf(given, now);
}

/**
 * By the control socket while a relay serves this spool; else the spool itself, whose lock is held until `close`, so that no relay can start
 * meanwhile. A shared spool is opened beside the relays that serve it. Rejects with a StoreError that says what to do.
 */
export async function openQueue(config: Config): Promise<OpenQueue> {
  if (config.spool.kind === "file") {
    const client = await controlClient(config.spool.directory);
    if (client !== undefined) return { queueAdmin: client, close: () => Promise.resolve() };
  }
  // A command must not make a spool where there is none.
  if (config.spool.kind === "file" && !existsSync(join(config.spool.directory, "queue.db"))) {
    throw new StoreError("io", `there is no spool in ${config.spool.directory}`);
  }
  // What a relay would log at its start is no part of a command's output.
  const log = { event: () => undefined, reconfigure: () => undefined, flush: () => Promise.resolve() };
  // Loaded only now: most commands meet a relay that serves.
  const { openSpool } = await import("./spool.ts");
  const store = await openSpool({ config, clock: systemClock, random: systemRandom, log }, undefined);
  return { queueAdmin: store.queueAdmin, close: () => store.close() };
}
