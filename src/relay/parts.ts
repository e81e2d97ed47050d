import type { DeliveryRing } from "../admin/deliveryRing.ts";
import type { OutcomeSeries } from "../admin/outcomeSeries.ts";
import type { Clock, Random } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import type { Log } from "../log.ts";
import type { Instruments } from "../metrics/instruments.ts";
import { StoreError } from "../spool/store.ts";
import type { RefusedDestinations } from "./refusedDestinations.ts";

/** What every part of the relay is made with. */
export type Parts = {
  config: Config;
  clock: Clock;
  random: Random;
  log: Log;
  instruments: Instruments;
  /** The last attempts, for the operator. */
  ring: DeliveryRing;
  /** The same, counted by the minute. */
  series: OutcomeSeries;
  refused: RefusedDestinations;
  /** Of dane-relay, where it is known. */
  version?: string;
};

export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** An error of the relay itself, or what the spool says of itself: in words that do not accuse the wrong one. */
export function reportTrouble({ log }: Pick<Parts, "log">, where: "delivery" | "submission", error: unknown): void {
  if (error instanceof StoreError) log.event({ event: "queue", state: "unwritable", reason: textOf(error) });
  else log.event({ event: "queue", state: "trouble", reason: `${where}: ${textOf(error)}` });
}
