import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock, Random } from "../clock.ts";
import type { Config } from "../config/schema.ts";
import { SurveyConnections } from "../delivery/surveyConnections.ts";
import type { Explanation } from "../diagnosis/explanation.ts";
import { addressSights, tlsaSight } from "../diagnosis/hostSight.ts";
import { Popularity } from "../diagnosis/managingEntity.ts";
import { RolloverCount, type RolloverSurvey } from "../diagnosis/rolloverSurvey.ts";
import { Survey, type SurveyResult } from "../diagnosis/survey.ts";
import { type SurveyRow, surveyRow } from "../diagnosis/surveyRow.ts";
import { type History, type HostSight, openHistory } from "../reporting/history.ts";
import { openScanStore, type ScanStore } from "../reporting/scanStore.ts";
import { openExplain } from "./explainAlone.ts";
import { issuerKind } from "./issuerKind.ts";

/**
 * A survey: `explain` for each of many domains, in random order, with what they have in common looked at once; what was found is on disk
 * from domain to domain. `stop` ends it early: what is under way is finished, and the same call goes on from there.
 */
export type ScanOptions = {
  config: Config;
  /** Each once. */
  domains: readonly string[];
  connecting: "yes" | "no";
  /** Domains at a time. */
  concurrency: number;
  /** Where history and progress are kept; neither when not given. */
  directory?: string;
  /** Begins anew where a scan of these domains was interrupted. */
  fresh: "yes" | "no";
  clock: Clock;
  random: Random;
  onProgress: (done: number, all: number) => void;
  stopped: () => "yes" | "no";
};

export type ScanResult = {
  state: "done" | "interrupted";
  survey: SurveyResult;
  /** The rows, from disk; as often as wanted until `close`. */
  rows: () => Iterable<SurveyRow>;
  popularity: Popularity;
  rollovers?: RolloverSurvey;
  connections: number;
  close: () => Promise<void>;
};

export type Scanned = ScanResult | { state: "refused"; reason: string };

const HISTORY_FILE = "history.db";
const PROGRESS_FILE = "scan.db";
const BUSY_MILLISECONDS = 5000;
/** Authoritative servers are other people's: so many questions at a time, and not more than 100 a second, to each. */
const DNS_PACE = { authoritative: { most: 8, gapMilliseconds: 10 }, upstream: { most: 64, gapMilliseconds: 0 } };
/** Where many domains wait for one server, an answer may come late without anything being wrong. */
const LOOKUP_SECONDS = 30;

/** Throws what the file system says of `directory`; what a domain does is never an error. */
export async function scan(options: ScanOptions): Promise<Scanned> {
  const { directory, clock } = options;
  const kept = directory ?? (await mkdtemp(join(tmpdir(), "dane-relay-scan-")));
  const closing: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const one of closing.splice(0).reverse()) await one();
  };
  if (directory === undefined) closing.push(() => rm(kept, { recursive: true, force: true }));
  try {
    await mkdir(kept, { recursive: true });
    const opened = openScanStore(join(kept, PROGRESS_FILE));
    if (opened.kind === "refused") return await refused(opened.reason, close);
    const { store } = opened;
    closing.push(() => store.close());
    const found = directory === undefined ? undefined : openHistory(join(kept, HISTORY_FILE), "write", BUSY_MILLISECONDS);
    if (found?.kind === "refused") return await refused(found.reason, close);
    const history = found?.kind === "history" ? found.history : undefined;
    if (history !== undefined) closing.push(() => history.close());
    store.begin(subjectOf(options), clock.now(), options.fresh);
    const { state, connections } = await scanAll(options, store, history);
    if (state === "done") store.finish();
    const { survey, popularity } = surveyOf(store);
    const rollovers = history === undefined ? undefined : rolloversIn(history, clock.now());
    const more = rollovers === undefined ? {} : { rollovers };
    return { state, survey, popularity, rows: () => store.rows(), connections, close, ...more };
  } catch (error) {
    await close();
    throw error;
  }
}

async function refused(reason: string, close: () => Promise<void>): Promise<Scanned> {
  await close();
  return { state: "refused", reason };
}

/** The same domains looked at in the same way are the same scan. */
function subjectOf({ domains, connecting }: ScanOptions): string {
  const hash = createHash("sha256").update(connecting);
  for (const domain of [...domains].sort()) hash.update(`\n${domain}`);
  return hash.digest("hex");
}

async function scanAll(
  options: ScanOptions,
  store: ScanStore,
  history: History | undefined,
): Promise<{ state: "done" | "interrupted"; connections: number }> {
  const { config, domains, clock, random, concurrency, connecting, onProgress, stopped } = options;
  const connections = new SurveyConnections(clock);
  const { timeoutSeconds } = config.resolver;
  const patient = { ...config, resolver: { ...config.resolver, timeoutSeconds: Math.max(timeoutSeconds, LOOKUP_SECONDS) } };
  const survey = { open: connections.open, unsecuredTlsa: "ask" } as const;
  const alone = await openExplain(patient, { clock, random, pace: DNS_PACE, memory: "shared", survey });
  const left = shuffled(
    domains.filter((domain) => store.isDone(domain) === "no"),
    random,
  );
  let done = domains.length - left.length;
  const met = new Set<string>();
  const extras = { issuerOf: issuerKind(alone.trustedRoots, clock) };
  const worker = async (): Promise<void> => {
    // A full disk ends all of them: each fails at its next domain.
    for (let domain = left.pop(); domain !== undefined; domain = stopped() === "yes" ? undefined : left.pop()) {
      const historyOf = history === undefined ? {} : { historyOf: (host: string) => history.certificatesOf(host) };
      const explanation = await alone.explain(domain, { connecting, ...historyOf });
      if (explanation.kind === "error") throw new Error(`${domain}: ${explanation.reason}`);
      history?.record(sightsOf(explanation, met));
      store.add(surveyRow(explanation, extras));
      done += 1;
      onProgress(done, domains.length);
    }
  };
  try {
    onProgress(done, domains.length);
    const ended = await Promise.allSettled(Array.from({ length: concurrency }, worker));
    const failed = ended.find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") throw failed.reason;
  } finally {
    await alone.close();
  }
  return { state: done === domains.length ? "done" : "interrupted", connections: connections.count };
}

/** Hosts that were not met before in this scan. */
function sightsOf({ seen }: Explanation, met: Set<string>): readonly HostSight[] {
  const hosts = seen.hosts.filter(({ host }) => !met.has(host));
  for (const { host } of hosts) met.add(host);
  return hosts.flatMap((host) =>
    addressSights(host).map((sight) => ({ host: host.host, at: seen.at, tlsa: tlsaSight(host), ...sight })),
  );
}

function surveyOf(store: ScanStore): { survey: SurveyResult; popularity: Popularity } {
  const popularity = new Popularity();
  let domains = 0;
  for (const { hosts, nameServers } of store.rows()) {
    domains += 1;
    // Each SLD once a domain, whether it serves mail or names there.
    popularity.add([...hosts.map(({ host }) => host), ...nameServers]);
  }
  const survey = new Survey(popularity, domains);
  for (const row of store.rows()) survey.add(row);
  return { survey: survey.result(), popularity };
}

function rolloversIn(history: History, now: number): RolloverSurvey {
  const count = new RolloverCount(now);
  for (const host of history.hosts()) count.add(host, history.statesOf(host));
  return count.result();
}

/** Fisher and Yates: no server gets the questions of all its domains one after the other. */
function shuffled(domains: readonly string[], random: Random): string[] {
  const result = [...domains];
  for (let i = result.length - 1; i > 0; i -= 1) {
    const j = random.below(i + 1);
    const [a, b] = [result[i], result[j]];
    if (a === undefined || b === undefined) throw new Error("no such domain");
    result[i] = b;
    result[j] = a;
  }
  return result;
}
