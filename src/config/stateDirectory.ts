import type { Config } from "./schema.ts";

const BESIDE_A_SHARED_SPOOL = "./state";

/** Where what is no mail is kept: `stateDirectory`, else the directory of an embedded spool. */
export function stateDirectoryOf({ spool, stateDirectory }: Pick<Config, "spool" | "stateDirectory">): string {
  if (stateDirectory !== undefined) return stateDirectory;
  return spool.kind === "file" ? spool.directory : BESIDE_A_SHARED_SPOOL;
}

/** The spool for people: no password in it. */
export function spoolText({ spool }: Pick<Config, "spool">): string {
  return spool.kind === "file" ? spool.directory : `postgres://${spool.host}:${spool.port}/${spool.database}`;
}
