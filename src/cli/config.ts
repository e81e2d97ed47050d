import { effectiveFile, exampleFile, referenceTable } from "../config/reference.ts";
import { dkimRecord } from "../dkim/signingKey.ts";
import { readSigningKeys } from "../dkim/signingKeys.ts";
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
  if (subcommand === "print") {
    terminal.out(effectiveFile(loaded.inForce));
    return 0;
  }
  const signing = readSigningKeys(loaded.config.dkim.sign, terminal.readFile);
  if (signing.kind === "unusable") {
    for (const reason of signing.reasons) terminal.err(`dkim.sign: ${reason}\n`);
    return 2;
  }
  terminal.out(`valid: ${loaded.source}\n`);
  if (signing.keys.length > 0) terminal.out("records to publish for dkim.sign:\n");
  for (const record of new Set(signing.keys.map(({ key }) => dkimRecord(key)))) terminal.out(`  ${record}\n`);
  return 0;
}
