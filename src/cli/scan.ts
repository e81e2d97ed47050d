import { writeFile } from "node:fs/promises";
import { text as wholeText } from "node:stream/consumers";
import { systemClock, systemRandom } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { CSV_HEAD, rowCsv, rowJson, summaryJson } from "../diagnosis/surveyExport.ts";
import { surveyHtml } from "../diagnosis/surveyHtml.ts";
import { surveyText } from "../diagnosis/surveyText.ts";
import type { Scanned, ScanResult } from "../relay/scan.ts";
import { type Command, type ExitStatus, readArguments, type Terminal, UsageError } from "./command.ts";
import { complain, configurationOf } from "./configuration.ts";
import { parseDomainFile } from "./scanFile.ts";
import { ScanProgress } from "./scanProgress.ts";

/** `scan`: `explain` for each domain of a file, and the tables that the studies of DANE have. */
export const scanCommand: Command = {
  name: "scan",
  synopsis: [
    "scan FILE [--json | --csv] [--html FILE] [--history DIR [--fresh]] [--no-connect] [--concurrency N] [--config FILE]",
  ],
  summary:
    "Explains each domain of FILE (one a line; - is standard input) and prints what they come to: who deploys DANE, who gets it wrong, and why. " +
    "Each mail host is connected to once, at most twice at a time, and gets no mail. --json: a line for each domain, then a summary; --csv: a line " +
    "for each domain; --html: a report with plots. --history DIR keeps what was seen of each host, goes on where an interrupted scan of the same " +
    "FILE was (but not with --fresh), and prints the rollovers since. Exit status: 0 done, 1 interrupted or not possible, 2 usage.",
  run,
};

const DEFAULT_CONCURRENCY = 20;
const MAX_CONCURRENCY = 200;
const MAX_BAD_LINES = 20;

type Values = { json?: boolean; csv?: boolean; html?: string; history?: string; fresh?: boolean; "no-connect"?: boolean };

async function run(args: readonly string[], terminal: Terminal): Promise<ExitStatus> {
  const { values, positionals } = readArguments(args, {
    config: { type: "string" },
    json: { type: "boolean" },
    csv: { type: "boolean" },
    html: { type: "string" },
    history: { type: "string" },
    fresh: { type: "boolean" },
    "no-connect": { type: "boolean" },
    concurrency: { type: "string" },
  });
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) throw new UsageError("scan takes one file");
  if (values.json === true && values.csv === true) throw new UsageError("--json and --csv exclude each other");
  if (values.fresh === true && values.history === undefined) throw new UsageError("--fresh is for --history");
  const concurrency = concurrencyOf(values.concurrency);
  const domains = await domainsOf(file, terminal);
  if (domains === undefined) return 2;
  const loaded = configurationOf(values.config, terminal);
  if (loaded.kind === "invalid") {
    complain(loaded, terminal);
    return 2;
  }
  const result = await scanned({ config: loaded.config, domains, concurrency, values }, terminal);
  if (result.state === "refused") {
    terminal.err(`dane-relay scan: ${result.reason}\n`);
    return 1;
  }
  try {
    await print(result, values, terminal);
  } finally {
    await result.close();
  }
  if (result.state === "done") return 0;
  terminal.err(
    values.history === undefined
      ? "interrupted: these are the domains that were done\n"
      : "interrupted: the same command goes on from here\n",
  );
  return 1;
}

function concurrencyOf(written: string | undefined): number {
  const number = Number(written ?? DEFAULT_CONCURRENCY);
  if (Number.isInteger(number) && number >= 1 && number <= MAX_CONCURRENCY) return number;
  throw new UsageError(`--concurrency takes a number from 1 to ${MAX_CONCURRENCY}, not ${JSON.stringify(written)}`);
}

/** undefined: there is none, and why was said. */
async function domainsOf(file: string, terminal: Terminal): Promise<readonly string[] | undefined> {
  const read =
    file === "-" ? ({ kind: "text", text: await wholeText(terminal.input ?? process.stdin) } as const) : terminal.readFile(file);
  if (read.kind !== "text") {
    terminal.err(`dane-relay scan: ${file}: ${read.kind === "missing" ? "no such file" : read.reason}\n`);
    return undefined;
  }
  const { domains, bad, duplicates } = parseDomainFile(read.text);
  for (const { line, reason } of bad.slice(0, MAX_BAD_LINES)) terminal.err(`${file}:${line}: left out: ${reason}\n`);
  if (bad.length > MAX_BAD_LINES) terminal.err(`${file}: ${bad.length - MAX_BAD_LINES} more lines left out\n`);
  if (duplicates > 0) terminal.err(`${file}: ${duplicates} duplicates\n`);
  if (domains.length > 0) return domains;
  terminal.err(`dane-relay scan: ${file} names no domain\n`);
  return undefined;
}

type Wanted = { config: Config; domains: readonly string[]; concurrency: number; values: Values };

async function scanned({ config, domains, concurrency, values }: Wanted, terminal: Terminal): Promise<Scanned> {
  let stopped: "yes" | "no" = "no";
  terminal.onStopSignal(() => {
    stopped = "yes";
  });
  const style = terminal.errIsTerminal === "yes" ? "bar" : "lines";
  const progress = new ScanProgress(style, terminal.err, () => systemClock.monotonic());
  try {
    const { scan } = await import("../relay/scan.ts");
    return await scan({
      config,
      domains,
      connecting: values["no-connect"] === true ? "no" : "yes",
      concurrency: Math.min(concurrency, domains.length),
      ...(values.history === undefined ? {} : { directory: values.history }),
      fresh: values.fresh === true ? "yes" : "no",
      clock: systemClock,
      random: systemRandom,
      onProgress: progress.show,
      stopped: () => stopped,
    });
  } catch (error) {
    // What the configuration names may be missing, and a directory unwritable or its disk full.
    return { state: "refused", reason: error instanceof Error ? error.message : String(error) };
  }
}

async function print(result: ScanResult, values: Values, terminal: Terminal): Promise<void> {
  const { survey, rollovers, popularity } = result;
  const context = { popularity, threshold: survey.providerThreshold };
  if (values.html !== undefined) {
    await writeFile(values.html, surveyHtml(survey, rollovers, systemClock.now()));
    terminal.err(`the report is in ${values.html}\n`);
  }
  if (values.json === true) {
    for (const row of result.rows()) terminal.out(`${JSON.stringify(rowJson(row, context))}\n`);
    terminal.out(`${JSON.stringify(summaryJson(survey, rollovers))}\n`);
  } else if (values.csv === true) {
    terminal.out(`${CSV_HEAD}\n`);
    for (const row of result.rows()) terminal.out(`${rowCsv(row, context)}\n`);
  } else terminal.out(surveyText(survey, rollovers));
}
