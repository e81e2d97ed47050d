import { systemClock } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { counted } from "../diagnosis/quantity.ts";
import {
  QUEUE_ACTIONS,
  type QueueAdmin,
  type QueueEntry,
  type QueueFilter,
  type QueuePage,
  type QueuePosition,
} from "../spool/queueAdmin.ts";
import { type Command, type ExitStatus, readArguments, type Terminal, UsageError } from "./command.ts";
import { complain, configurationOf } from "./configuration.ts";
import { changeText, entriesText, messageText, statisticsText } from "./queueText.ts";

/** `queue`: the operator's hands on the queue, of a relay that serves as well as of one that does not. */
export const queueCommand: Command = {
  name: "queue",
  synopsis: [
    "queue list [FILTER...] [--limit 50|all] [--json] [--config FILE]",
    "queue show ID... [--json] [--config FILE]",
    "queue stats [--limit 20|all] [--json] [--config FILE]",
    "queue retry|hold|release|delete ID...|FILTER...|--all [--json] [--config FILE]",
  ],
  summary:
    "FILTER: --domain example.org (.example.org: its subdomains), --state incoming|active|deferred|held, --sender a@b.example (<>: notifications), " +
    "--reason WORDS, --older-than 2h. retry: try now. hold: do not try until release. delete: gone, and nobody is told.",
  run,
};

const SUBCOMMANDS = ["list", "show", "stats", ...QUEUE_ACTIONS] as const;
type Subcommand = (typeof SUBCOMMANDS)[number];

const OPTIONS = {
  config: { type: "string" },
  json: { type: "boolean" },
  all: { type: "boolean" },
  limit: { type: "string" },
  domain: { type: "string" },
  state: { type: "string" },
  sender: { type: "string" },
  reason: { type: "string" },
  "older-than": { type: "string" },
} as const;

const FILTER_OPTIONS = ["domain", "state", "sender", "reason", "older-than"] as const;
/** What each takes beside --config and --json. */
const TAKES: Record<Subcommand, { ids: "no" | "yes"; options: readonly string[] }> = {
  list: { ids: "no", options: [...FILTER_OPTIONS, "limit"] },
  show: { ids: "yes", options: [] },
  stats: { ids: "no", options: ["limit"] },
  retry: { ids: "yes", options: [...FILTER_OPTIONS, "all"] },
  hold: { ids: "yes", options: [...FILTER_OPTIONS, "all"] },
  release: { ids: "yes", options: [...FILTER_OPTIONS, "all"] },
  delete: { ids: "yes", options: [...FILTER_OPTIONS, "all"] },
};
const DEFAULT_LIMIT = { list: 50, stats: 20 };
/** The most that one page of the API has. */
const PAGE = 1000;
const UNIT_SECONDS: Readonly<Record<string, number>> = { "": 1, s: 1, m: 60, h: 3600, d: 86_400 };

type Asked = { subcommand: Subcommand; ids: readonly string[]; filter: Record<string, unknown>; limit: number; json: boolean };

async function run(args: readonly string[], terminal: Terminal): Promise<ExitStatus> {
  const { values, positionals } = readArguments(args, OPTIONS);
  const asked = askedOf(values, positionals);
  const loaded = configurationOf(values.config, terminal);
  if (loaded.kind === "invalid") {
    complain(loaded, terminal);
    return 2;
  }
  // Loaded only now, so that bad arguments are told at once.
  const { filterFrom } = await import("../relay/queue.ts");
  const filter = filterFrom(asked.filter, systemClock.now());
  if (filter.kind === "wrong") throw new UsageError(filter.message);
  try {
    return await withQueue(loaded.config, (queue) => answer(queue, asked, filter.value, terminal));
  } catch (error) {
    terminal.err(`dane-relay queue: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

async function withQueue(config: Config, use: (queue: QueueAdmin) => Promise<ExitStatus>): Promise<ExitStatus> {
  const { openQueue } = await import("../relay/queue.ts");
  const { queueAdmin, close } = await openQueue(config);
  try {
    return await use(queueAdmin);
  } finally {
    await close();
  }
}

type Values = { [K in keyof typeof OPTIONS]?: string | boolean | undefined };

function askedOf(values: Values, [word, ...ids]: readonly string[]): Asked {
  const subcommand = SUBCOMMANDS.find((known) => known === word);
  if (subcommand === undefined) throw new UsageError(`queue takes one of ${SUBCOMMANDS.join(", ")}`);
  const takes = TAKES[subcommand];
  for (const option of Object.keys(values)) {
    if (option !== "config" && option !== "json" && !takes.options.includes(option))
      throw new UsageError(`queue ${subcommand} takes no --${option}`);
  }
  if (takes.ids === "no" && ids.length > 0) throw new UsageError(`queue ${subcommand} takes no argument: ${ids.join(" ")}`);
  const { domain, state, sender, reason, "older-than": olderThan } = values;
  const given = {
    domain,
    state,
    sender,
    reason,
    ...(olderThan === undefined ? {} : { olderThanSeconds: secondsOf(String(olderThan)) }),
    ...(ids.length === 0 ? {} : { ids }),
  };
  const filter = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  if (takes.ids === "yes" && Object.keys(filter).length === 0 && values.all !== true) {
    throw new UsageError(
      `queue ${subcommand} needs ${subcommand === "show" ? "an id" : "ids, a filter, or --all for the whole queue"}`,
    );
  }
  if (values.all === true && Object.keys(filter).length > 0)
    throw new UsageError("--all means the whole queue: give either it or a filter");
  const limit = limitOf(values.limit, subcommand === "stats" ? DEFAULT_LIMIT.stats : DEFAULT_LIMIT.list);
  return { subcommand, ids, filter, limit, json: values.json === true };
}

function limitOf(text: string | boolean | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (text === "all") return Number.POSITIVE_INFINITY;
  if (typeof text === "string" && /^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new UsageError("--limit takes a number from 1, or all");
}

function secondsOf(text: string): number {
  const [, count, unit] = /^(\d{1,8})([smhd]?)$/.exec(text) ?? [];
  const size = UNIT_SECONDS[unit ?? ""];
  if (count === undefined || size === undefined)
    throw new UsageError(`--older-than takes a time such as 90s, 15m, 2h or 3d, not ${text}`);
  return Number(count) * size;
}

async function answer(queue: QueueAdmin, asked: Asked, filter: QueueFilter, terminal: Terminal): Promise<ExitStatus> {
  const { subcommand, ids, limit, json } = asked;
  switch (subcommand) {
    case "list":
      return list(queue, filter, asked, terminal);
    case "show":
      return show(queue, ids, json, terminal);
    case "stats":
      return statistics(queue, limit, json, terminal);
    case "retry":
    case "hold":
    case "release":
    case "delete": {
      const change = await queue.act(subcommand, filter);
      terminal.out(json ? `${JSON.stringify(change)}\n` : changeText(subcommand, change));
      const { changed, unchanged, busy, unknown } = change;
      return unknown.length > 0 || busy > 0 || changed + unchanged === 0 ? 1 : 0;
    }
    default:
      return subcommand satisfies never;
  }
}

/** As JSON an entry a line, so that a queue of any length passes through. */
async function list(queue: QueueAdmin, filter: QueueFilter, { limit, json }: Asked, terminal: Terminal): Promise<ExitStatus> {
  let left = limit;
  let count = 0;
  let page: QueuePage;
  let after: QueuePosition | undefined;
  do {
    page = await queue.list(filter, { limit: Math.min(left, PAGE), ...(after === undefined ? {} : { after }) });
    const { entries } = page;
    if (json) terminal.out(entries.map((entry: QueueEntry) => `${JSON.stringify(entry)}\n`).join(""));
    else if (entries.length > 0) terminal.out(entriesText(entries, systemClock.now()));
    count += entries.length;
    left -= entries.length;
    after = page.next;
  } while (after !== undefined && left > 0);
  if (!json && count === 0)
    terminal.out(Object.keys(filter).length === 0 ? "the queue is empty\n" : "nothing in the queue matches\n");
  else if (!json)
    terminal.out(`\n${counted(count, "entry")}${after === undefined ? "" : "; there are more: --limit all, or a filter"}\n`);
  return 0;
}

async function show(queue: QueueAdmin, ids: readonly string[], json: boolean, terminal: Terminal): Promise<ExitStatus> {
  let status: ExitStatus = 0;
  for (const [index, id] of ids.entries()) {
    const message = await queue.show(id);
    if (message === undefined) {
      terminal.err(`not in the queue: ${id}\n`);
      status = 1;
    } else if (json) terminal.out(`${JSON.stringify(message)}\n`);
    else terminal.out(`${index === 0 ? "" : "\n"}${messageText(message, systemClock.now())}`);
  }
  return status;
}

async function statistics(queue: QueueAdmin, limit: number, json: boolean, terminal: Terminal): Promise<ExitStatus> {
  const most = Math.min(limit, PAGE);
  const destinations = await queue.statistics("destination", most);
  const reasons = await queue.statistics("reason", most);
  terminal.out(
    json ? `${JSON.stringify({ destinations, reasons })}\n` : statisticsText(destinations, reasons, systemClock.now()),
  );
  return 0;
}
