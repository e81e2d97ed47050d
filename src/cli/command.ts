import { type ParseArgsConfig, parseArgs } from "node:util";
import type { ReadFile } from "../config/consistency.ts";
import type { Environment } from "../config/environment.ts";

/** What a command touches of the machine; tests hand in their own. */
export type Terminal = {
  out: (text: string) => void;
  err: (text: string) => void;
  environment: Environment;
  readFile: ReadFile;
  /** The machine's name. */
  hostname: string;
  /** Called at every SIGTERM and SIGINT. */
  onStopSignal: (listener: () => void) => void;
  /** Called at every SIGHUP. */
  onReloadSignal: (listener: () => void) => void;
  /** Whether `err` is read by somebody who sees a line change; default: no. */
  errIsTerminal?: "yes" | "no";
  /** Standard input; the process's own when not given. */
  input?: Input;
};

/** A stream that may be a terminal. */
export type Input = NodeJS.ReadableStream & { isTTY?: boolean; setRawMode?: (raw: boolean) => unknown };

/** design.md §4: 0 done, 1 failed (or the command's own "no"), 2 usage or configuration, 3 undecidable now; of `sendmail` those of sysexits.h. */
export type ExitStatus = 0 | 1 | 2 | 3 | 64 | 65 | 69 | 75 | 78;

export type Command = {
  name: string;
  /** Behind `dane-relay`, one line for each form. */
  synopsis: readonly string[];
  summary: string;
  run: (args: readonly string[], terminal: Terminal) => Promise<ExitStatus>;
  /** -h is an option of its own. */
  ownUsage?: true;
};

/** The arguments are not what the command takes: its usage is shown, and the exit status is 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** `parseArgs` of Node, whose complaints become usage errors. */
export function readArguments<const T extends NonNullable<ParseArgsConfig["options"]>>(args: readonly string[], options: T) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
  } catch (error) {
    if (error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS_")) {
      throw new UsageError(error.message);
    }
    throw error;
  }
}
