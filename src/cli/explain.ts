import { systemClock, systemRandom } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import type { Explanation } from "../diagnosis/explanation.ts";
import { explanationJson } from "../diagnosis/explanationJson.ts";
import { explanationText } from "../diagnosis/explanationText.ts";
import type { ExplainAlone } from "../relay/explainAlone.ts";
import { type Command, type ExitStatus, readArguments, type Terminal, UsageError } from "./command.ts";
import { complain, configurationOf } from "./configuration.ts";
import { momentOf } from "./explainTime.ts";

/** `explain`: what would become of mail to a destination, why, and what to do about it. */
export const explainCommand: Command = {
  name: "explain",
  synopsis: ["explain TARGET [--json] [--at +14d] [--no-connect] [--config FILE]"],
  summary:
    "What would become of mail to TARGET (a domain, an address, [an address literal], or host:port of a route), why, and what to do about it. " +
    "It connects to the mail hosts, and sends no mail. --at: as of then (+14d, 2027-01-31): signatures and certificates that have ended, " +
    "exceptions that are over. --no-connect: DNS and policies only. Exit status: 0 deliverable as its policy demands, 1 not, 3 undecidable now.",
  run,
};

const STATUS: Readonly<Record<Explanation["verdict"]["kind"], ExitStatus>> = {
  deliverable: 0,
  "not-deliverable": 1,
  undecided: 3,
};

async function run(args: readonly string[], terminal: Terminal): Promise<ExitStatus> {
  const { values, positionals } = readArguments(args, {
    config: { type: "string" },
    json: { type: "boolean" },
    at: { type: "string" },
    "no-connect": { type: "boolean" },
  });
  const [target, ...more] = positionals;
  if (target === undefined || more.length > 0) throw new UsageError("explain takes one target");
  const at = values.at === undefined ? undefined : momentOf(values.at, systemClock.now());
  if (values.at !== undefined && at === undefined) {
    throw new UsageError(`--at takes a distance such as +14d or a date such as 2027-01-31, not ${JSON.stringify(values.at)}`);
  }
  const loaded = configurationOf(values.config, terminal);
  if (loaded.kind === "invalid") {
    complain(loaded, terminal);
    return 2;
  }
  const options = {
    connecting: values["no-connect"] === true ? ("no" as const) : ("yes" as const),
    ...(at === undefined ? {} : { at }),
  };
  const opened = await open(loaded.config);
  if (opened.kind === "unusable") {
    terminal.err(`dane-relay explain: ${opened.reason}\n`);
    return 2;
  }
  const explanation = await opened.explain(target, options).finally(opened.close);
  if (explanation.kind === "error") throw new UsageError(`${JSON.stringify(target)} is no target: ${explanation.reason}`);
  terminal.out(values.json === true ? `${JSON.stringify(explanationJson(explanation))}\n` : explanationText(explanation));
  return STATUS[explanation.verdict.kind];
}

type Opened = ({ kind: "open" } & ExplainAlone) | { kind: "unusable"; reason: string };

/** What the configuration names may be missing or wrong: a trust anchor file, a CA file. */
async function open(config: Config): Promise<Opened> {
  try {
    // Loaded only now, so that bad arguments and a bad configuration are told at once.
    const { openExplain } = await import("../relay/explainAlone.ts");
    return { kind: "open", ...(await openExplain(config, { clock: systemClock, random: systemRandom })) };
  } catch (error) {
    return { kind: "unusable", reason: error instanceof Error ? error.message : String(error) };
  }
}
