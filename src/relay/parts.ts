import type { Clock, Random } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import type { Log } from "../log.ts";
import type { Instruments } from "../metrics/instruments.ts";

/** What every part of the relay is made with. */
export type Parts = { config: Config; clock: Clock; random: Random; log: Log; instruments: Instruments };

export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
