import { effectiveFile, exampleFile, referenceTable } from "../config/reference.ts";
import { type Command, type ExitStatus, readArguments, type Terminal, UsageError } from "./command.ts";
import { complain, configurationOf } from "./configuration.ts";

const SUBCOMMANDS = ["check", "print", "example", "reference"] as const;

/** `config`: looks at the configuration without running anything. */
export const configCommand: Command = {
  name: "config",
  synopsis: ["config check|print [--config FILE]", "config example|reference"],
  summary:
    "check: tells every error. print: the configuration in force and where each value is from. example: relay.yaml with every key. " +
    "reference: all keys as a Markdown table.",
  run: (args, terminal) => Promise.resolve(run(args, terminal)),
};

function run(args: readonly string[], terminal: Terminal): ExitStatus {
  const { values, positionals } = readArguments(args, { config: { type: "string" } });
  const subcommand = SUBCOMMANDS.find((known) => known === positionals[0]);
  if (subcommand === undefined || positionals.length !== 1) throw new UsageError(`config takes one of ${SUBCOMMANDS.join(", ")}`);
  switch (subcommand) {
    case "check":
    case "print":
      return inForce(subcommand, values.config, terminal);
    case "example":
      terminal.out(exampleFile());
      return 0;
    case "reference":
      terminal.out(referenceTable());
      return 0;
    default:
      return subcommand satisfies never;
  }
}

function inForce(subcommand: "check" | "print", file: string | undefined, terminal: Terminal): ExitStatus {
  const loaded = configurationOf(file, terminal);
  if (loaded.kind === "invalid") {
    complain(loaded, terminal);
    return 2;
  }
  terminal.out(subcommand === "check" ? `valid: ${loaded.source}\n` : effectiveFile(loaded.inForce));
  return 0;
}
