import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import type { Terminal } from "./cli/command.ts";
import { dispatch } from "./cli/dispatch.ts";

/** Words of the command line to a command, and its result to the exit status: the only place that ends the process. */
const terminal: Terminal = {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  errIsTerminal: process.stderr.isTTY ? "yes" : "no",
  environment: process.env,
  readFile,
  hostname: hostname(),
  onStopSignal: (listener) => {
    process.on("SIGTERM", listener);
    process.on("SIGINT", listener);
  },
  onReloadSignal: (listener) => {
    process.on("SIGHUP", listener);
  },
};

function readFile(path: string): ReturnType<Terminal["readFile"]> {
  try {
    return { kind: "text", text: readFileSync(path, "utf8") };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return { kind: "missing" };
    return { kind: "unreadable", reason: error instanceof Error ? error.message : String(error) };
  }
}

// A reader that has gone (`| head`) wants no more.
process.stdout.on("error", () => process.exit(1));
const status = await dispatch(process.argv.slice(2), terminal);
// Not before a slow reader has the rest of the output, and not later because something was left open.
process.stdout.write("", () => process.exit(status));
