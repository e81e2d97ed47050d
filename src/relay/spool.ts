import { mkdirSync } from "node:fs";
import { stateDirectoryOf } from "../config/stateDirectory.ts";
import { openPostgresStore } from "../spool/postgresStore.ts";
import type { AdministeredStore } from "../spool/queueAdmin.ts";
import { openSqliteStore } from "../spool/sqliteStore.ts";
import { type Parts, reportTrouble } from "./parts.ts";

/** The queue as the configuration wants it, and the directory for what is no mail. Rejects with words that say what to do. */
export function openSpool(
  { config, clock, random, log }: Pick<Parts, "config" | "clock" | "random" | "log">,
  points: string | undefined,
): Promise<AdministeredStore> {
  const { spool, postgres } = config;
  const onTrouble = (error: Error): void => reportTrouble({ log }, "delivery", error);
  mkdirSync(stateDirectoryOf(config), { recursive: true, mode: 0o700 });
  if (spool.kind === "postgres") {
    const { passwordFile, ...limits } = postgres;
    return openPostgresStore({
      server: { ...spool, ...(passwordFile === undefined ? {} : { passwordFile }) },
      ...limits,
      clock,
      random,
      onTrouble,
      onNotice: (reason) => log.event({ event: "config", key: "spool", state: "notice", reason }),
    });
  }
  // A due time further off than any wait of the schedule can only come from a clock that was wrong then.
  const maximumWaitSeconds = Math.max(24 * 3600, 2 * config.delivery.retry.maximumSeconds);
  return openSqliteStore({
    directory: spool.directory,
    clock,
    random,
    onTrouble,
    maximumWaitSeconds,
    ...(points === undefined ? {} : { points }),
  });
}
