import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { isMissing } from "./missing.ts";

/**
 * The parts of a spool that worker processes own: `DIR/shard-N`, each a whole embedded spool, and DIR itself, which is the spool of a relay
 * without workers. A part that has a queue and no worker of its own is left over from other settings.
 */
export type Shard = { name: string; directory: string };

const OWN_NAME = /^shard-[1-9]\d{0,2}$/;
const QUEUE = "queue.db";
/** Of DIR itself. */
const WHOLE = ".";

function shardOf(spool: string, name: string): Shard {
  return { name, directory: join(spool, name) };
}

/** The parts for `workers` processes: one has the directory itself, as a relay without workers has. */
export function ownShards(spool: string, workers: number): readonly Shard[] {
  if (workers === 1) return [shardOf(spool, WHOLE)];
  return Array.from({ length: workers }, (_, n) => shardOf(spool, `shard-${n + 1}`));
}

/** The parts that have a queue, and are not among those of `workers` processes. */
export function leftOverShards(spool: string, workers: number): readonly Shard[] {
  const own = new Set(ownShards(spool, workers).map(({ name }) => name));
  return [WHOLE, ...shardNames(spool)]
    .filter((name) => !own.has(name))
    .map((name) => shardOf(spool, name))
    .filter(({ directory }) => existsSync(join(directory, QUEUE)));
}

function shardNames(spool: string): readonly string[] {
  try {
    return readdirSync(spool).filter((name) => OWN_NAME.test(name));
  } catch (error) {
    // No spool yet: nothing is left over.
    if (isMissing(error)) return [];
    throw error;
  }
}
