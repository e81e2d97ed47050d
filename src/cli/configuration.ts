import { CONFIG_FILE_VARIABLE } from "../config/environment.ts";
import { DEFAULT_CONFIG_FILE, errorLine, type LoadResult, loadConfig } from "../config/load.ts";
import { RESOLV_CONF } from "../config/resolvConf.ts";
import type { Terminal } from "./command.ts";

/** The configuration that `--config`, the environment and the defaults make, as every command sees it. */
export function configurationOf(file: string | undefined, terminal: Terminal): LoadResult {
  const { environment, readFile, hostname } = terminal;
  return loadConfig({ environment, readFile, hostname, ...(file === undefined ? {} : { file }) });
}

/** The same for a command that uses none of the files which the configuration names, and may not be allowed to read them, or is to make them. */
export function configurationAlone(file: string | undefined, terminal: Terminal): LoadResult {
  const own = new Set([file ?? terminal.environment[CONFIG_FILE_VARIABLE] ?? DEFAULT_CONFIG_FILE, RESOLV_CONF]);
  const readFile: Terminal["readFile"] = (path) => (own.has(path) ? terminal.readFile(path) : { kind: "text", text: "" });
  return configurationOf(file, { ...terminal, readFile });
}

/** Every error at once, a line each, on standard error. */
export function complain(invalid: Extract<LoadResult, { kind: "invalid" }>, terminal: Terminal): void {
  const count = invalid.errors.length;
  terminal.err(`the configuration has ${count === 1 ? "an error" : `${count} errors`}:\n`);
  for (const error of invalid.errors) terminal.err(`  ${errorLine(error)}\n`);
}
