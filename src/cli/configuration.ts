import { errorLine, type LoadResult, loadConfig } from "../config/load.ts";
import type { Terminal } from "./command.ts";

/** The configuration that `--config`, the environment and the defaults make, as every command sees it. */
export function configurationOf(file: string | undefined, terminal: Terminal): LoadResult {
  const { environment, readFile, hostname } = terminal;
  return loadConfig({ environment, readFile, hostname, ...(file === undefined ? {} : { file }) });
}

/** Every error at once, a line each, on standard error. */
export function complain(invalid: Extract<LoadResult, { kind: "invalid" }>, terminal: Terminal): void {
  const count = invalid.errors.length;
  terminal.err(`the configuration has ${count === 1 ? "an error" : `${count} errors`}:\n`);
  for (const error of invalid.errors) terminal.err(`  ${errorLine(error)}\n`);
}
