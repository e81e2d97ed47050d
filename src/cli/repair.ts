import { systemClock } from "../clock.ts";
import { type Command, type ExitStatus, readArguments, type Terminal, UsageError } from "./command.ts";
import { complain, configurationOf } from "./configuration.ts";

/** `repair`: puts a damaged spool right, as far as it can be read. */
export const repairCommand: Command = {
  name: "repair",
  synopsis: ["repair [--config FILE]"],
  summary:
    "Puts a damaged spool right while no relay runs on it: copies what can be read into a fresh database, keeps the damaged one, and names what is lost.",
  run,
};

async function run(args: readonly string[], terminal: Terminal): Promise<ExitStatus> {
  const { values, positionals } = readArguments(args, { config: { type: "string" } });
  if (positionals.length > 0) throw new UsageError(`repair takes no argument: ${positionals.join(" ")}`);
  const loaded = configurationOf(values.config, terminal);
  if (loaded.kind === "invalid") {
    complain(loaded, terminal);
    return 2;
  }
  const { spool } = loaded.config;
  if (!("directory" in spool)) {
    terminal.err("dane-relay repair: the spool is a PostgreSQL database; repair it with that server's tools\n");
    return 2;
  }
  const { repairSpool } = await import("../spool/repair.ts");
  const { directory } = spool;
  try {
    return tell(directory, await repairSpool(directory, new Date(systemClock.now())), terminal);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    terminal.err(`dane-relay repair: ${error.message}; the spool is as it was\n`);
    return 1;
  }
}

type Repaired = Awaited<ReturnType<typeof import("../spool/repair.ts").repairSpool>>;

function tell(directory: string, repair: Repaired, { out, err }: Terminal): ExitStatus {
  switch (repair.kind) {
    case "sound":
      out(`the spool ${directory} is sound: ${repair.messages} messages\n`);
      return 0;
    case "repaired":
      out(`the spool ${directory} is repaired: ${repair.messages} messages; what was damaged is in ${repair.kept}\n`);
      for (const id of repair.contentLost) out(`content lost, its sender will get a notice when it expires: ${id}\n`);
      for (const id of repair.lost) out(`lost: ${id}\n`);
      return 0;
    case "unreadable":
      err(`dane-relay repair: nothing of ${directory}/queue.db can be read (${repair.reason}): restore it from a backup\n`);
      return 1;
    case "in-use":
      err(`dane-relay repair: a relay uses the spool ${directory}: stop it first\n`);
      return 1;
    case "absent":
      err(`dane-relay repair: there is no spool in ${directory}\n`);
      return 1;
    default:
      return repair satisfies never;
  }
}
