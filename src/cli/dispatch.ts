import { type Command, type ExitStatus, type Terminal, UsageError } from "./command.ts";
import { configCommand } from "./config.ts";
import { explainCommand } from "./explain.ts";
import { queueCommand } from "./queue.ts";
import { repairCommand } from "./repair.ts";
import { scanCommand } from "./scan.ts";
import { sendmailCommand } from "./sendmail.ts";
import { serveCommand } from "./serve.ts";
import { tlsaCommand } from "./tlsa.ts";
import { tlsrptCommand } from "./tlsrpt.ts";
import { usersCommand } from "./users.ts";
import { VERSION } from "./version.ts";

/** Every command there is. */
const COMMANDS: readonly Command[] = [
  serveCommand,
  explainCommand,
  scanCommand,
  queueCommand,
  configCommand,
  tlsaCommand,
  tlsrptCommand,
  usersCommand,
  sendmailCommand,
  repairCommand,
];

/** Runs what the words behind `dane-relay` ask for. Rejects only on a bug. */
export async function dispatch(argv: readonly string[], terminal: Terminal): Promise<ExitStatus> {
  const [word, ...args] = argv;
  if (word === "--version") {
    terminal.out(`dane-relay ${VERSION}\n`);
    return 0;
  }
  if (word === "--help" || word === "-h") {
    terminal.out(usage());
    return 0;
  }
  const command = COMMANDS.find((known) => known.name === word);
  if (command === undefined) {
    terminal.err(`dane-relay: ${word === undefined ? "no command" : `unknown command ${JSON.stringify(word)}`}\n\n${usage()}`);
    return 2;
  }
  if (args.includes("--help") || (args.includes("-h") && command.ownUsage === undefined)) {
    terminal.out(usageOf(command));
    return 0;
  }
  try {
    return await command.run(args, terminal);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    terminal.err(`dane-relay ${command.name}: ${error.message}\n\n${usageOf(command)}`);
    return 2;
  }
}

function usage(): string {
  const blocks = COMMANDS.map((command) => `${forms(command)}\n      ${command.summary}\n`);
  const general =
    "  dane-relay --help | --version\n      The file is --config, else $DANE_RELAY_CONFIG, else config/relay.yaml.\n";
  return ["usage:", ...blocks, general].join("\n");
}

function usageOf(command: Command): string {
  return `usage:\n${forms(command)}\n      ${command.summary}\n`;
}

function forms(command: Command): string {
  return command.synopsis.map((form) => `  dane-relay ${form}`).join("\n");
}
