import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { AddressBlock } from "../test/lab/addresses.ts";
import { startDaneRelay } from "./daneRelay.ts";
import type { DaneWorld, Destinations } from "./daneWorld.ts";
import { LOAD_SECONDS, type Load, submit } from "./load.ts";
import { median } from "./machine.ts";
import { startEximRelay, startHarakaRelay, startOpenSmtpdRelay } from "./otherRelays.ts";
import { startPostfixRelay } from "./postfixRelay.ts";
import { cpuSeconds, memoryMiB } from "./processTree.ts";
import { needsDane, type RelayName, type Scenario } from "./scenarios.ts";
import type { Assignment, Sender, Target } from "./sender.ts";
import { type Sink, startOwnSink, startPlainSink, until } from "./sink.ts";

/**
 * Mail from smtp-source through a relay to a sink, as messages a second and CPU a message; both relays in turn, round by round, so that the
 * machine's drift hits both alike. Both make each message durable before they say 250. Each run has a sink of its own, and a token of its own in
 * the sender's address where the sink is ours.
 */
export type Amount = Pick<Load, "messages" | "bytes" | "sessions"> & {
  rounds: number;
  /** Messages before those that are measured: a compiler at run time needs its time too, and relays are up for days. */
  warmUp: number;
};

/** Where everything of this benchmark lives. */
export type Place = { directory: string; block: AddressBlock };

type Figures = { accepted: number; delivered: number; cpuMilliseconds: number; memory: number };

export const RELAYS = {
  "dane-relay": startDaneRelay,
  "two workers": (assignment) => startDaneRelay(assignment, 2),
  postfix: startPostfixRelay,
  exim: startEximRelay,
  opensmtpd: startOpenSmtpdRelay,
  haraka: startHarakaRelay,
} as const satisfies Readonly<Record<RelayName, (assignment: Assignment) => Promise<Sender>>>;

const PAIR = ["dane-relay", "postfix"] as const;
/** For all messages of one run to arrive. */
const ARRIVAL_SECONDS = LOAD_SECONDS;
/** After the last message of a run: what comes now should not have come at all. */
const SETTLING_MILLISECONDS = 200;
const RELAY_PLACE = 1;
const SINK_PLACE = 16;
const FIRST_PORT = 20_000;
const PLAIN_DOMAIN = "example.net";

let runs = 0;

/** A folder, a port and a token that no run had before. */
export async function freshRun<T>(
  { directory: parent, block }: Place,
  use: (run: { directory: string; port: number; token: string; sink: string; relay: string }) => Promise<T>,
): Promise<T> {
  runs += 1;
  const directory = join(parent, `run${runs}`);
  mkdirSync(directory);
  chmodSync(directory, 0o755);
  const token = `run${runs}-${randomBytes(4).toString("hex")}`;
  try {
    return await use({
      directory,
      port: FIRST_PORT + runs,
      token,
      sink: block.address(SINK_PLACE),
      relay: block.address(RELAY_PLACE),
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

type Run = Parameters<Parameters<typeof freshRun>[1]>[0];

function destinationsOf(scenario: Scenario, world: DaneWorld | undefined): Destinations | undefined {
  if (scenario.delivery === "plain" || scenario.delivery === "ending") return undefined;
  return scenario.delivery === "many" ? world?.many : world?.one;
}

/** A sink that no run had before, and how mail gets there. */
async function openTarget(scenario: Scenario, world: DaneWorld | undefined, run: Run): Promise<{ sink: Sink; target: Target }> {
  const farewell = scenario.delivery === "ending" || scenario.delivery === "one-ending" ? "ends" : "keeps";
  if (scenario.delivery === "plain") {
    const sink = await startPlainSink(run.directory, { address: run.sink, port: run.port });
    return { sink, target: { kind: "route", sink } };
  }
  const destinations = destinationsOf(scenario, world);
  if (destinations === undefined || world === undefined) {
    const sink = await startOwnSink(run.directory, [{ address: run.sink }], run.port, run.token, farewell);
    return { sink, target: { kind: "route", sink } };
  }
  const sink = await startOwnSink(run.directory, destinations.hosts, world.port, run.token, farewell);
  return { sink, target: { kind: "dane", resolver: world.resolver, trustAnchorFile: world.trustAnchorFile } };
}

function oneRun(
  who: keyof typeof RELAYS,
  scenario: Scenario,
  amount: Amount,
  world: DaneWorld | undefined,
  place: Place,
): Promise<Figures> {
  return freshRun(place, async (run) => {
    const { sink, target } = await openTarget(scenario, world, run);
    try {
      const listen = { address: run.relay, port: run.port };
      const relay = await RELAYS[who]({ directory: join(run.directory, "relay"), listen, target });
      try {
        const domains = destinationsOf(scenario, world)?.domains ?? [PLAIN_DOMAIN];
        const figures = await measure(relay, sink, amount.warmUp, {
          ...amount,
          token: run.token,
          domains,
          clients: scenario.clients,
        });
        if (target.kind === "dane" && relay.provesDane() === "no") throw new Error(`${relay.name} delivered without DANE`);
        return figures;
      } finally {
        await relay.stop();
      }
    } finally {
      await sink.stop();
    }
  });
}

async function measure(relay: Sender, sink: Sink, warmUp: number, load: Load): Promise<Figures> {
  const { messages } = load;
  const arrived = (count: number): Promise<void> =>
    until(
      () => sink.received() >= count,
      ARRIVAL_SECONDS * 1000,
      () => `${relay.name}: ${sink.received()} of ${count} messages at the sink`,
    );
  await submit({ ...load, messages: warmUp }, relay);
  await arrived(warmUp);
  const cpuUsed = relay.cpuSeconds ?? (() => cpuSeconds(relay.pid));
  const cpuBefore = cpuUsed();
  const began = performance.now();
  await submit(load, relay);
  const accepted = performance.now() - began;
  await arrived(warmUp + messages);
  const delivered = performance.now() - began;
  await new Promise((resolve) => setTimeout(resolve, SETTLING_MILLISECONDS));
  if (sink.received() !== warmUp + messages)
    throw new Error(`${relay.name}: ${sink.received()} messages arrived of ${warmUp + messages}`);
  return {
    accepted: (messages / accepted) * 1000,
    delivered: (messages / delivered) * 1000,
    cpuMilliseconds: ((cpuUsed() - cpuBefore) * 1000) / messages,
    memory: memoryMiB(relay.pid),
  };
}

function line(name: string, figures: readonly Figures[]): string {
  const of = (key: keyof Figures, digits: number, width: number): string =>
    median(figures.map((one) => one[key]))
      .toFixed(digits)
      .padStart(width);
  return `  ${name.padEnd(11)} accepted/s ${of("accepted", 0, 6)}  delivered/s ${of("delivered", 0, 6)}  CPU ms/message ${of("cpuMilliseconds", 3, 6)}  PSS MiB ${of("memory", 0, 4)}`;
}

/** Runs one scenario in rounds, who begins alternating; returns the lines to print. */
export async function endToEnd(
  scenario: Scenario,
  { rounds, ...amount }: Amount,
  world: DaneWorld | undefined,
  place: Place,
): Promise<string[]> {
  if (needsDane(scenario) && world === undefined) throw new Error(`${scenario.title} needs a signed world`);
  const pair = scenario.relays ?? PAIR;
  const one = { ...amount, bytes: scenario.bytes ?? amount.bytes, rounds };
  const figures = new Map<RelayName, Figures[]>(pair.map((who) => [who, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const who of round % 2 === 0 ? pair : pair.toReversed())
      figures.get(who)?.push(await oneRun(who, scenario, one, world, place));
  }
  const [ours = [], theirs = []] = pair.map((who) => figures.get(who));
  const ratio = (key: keyof Figures): string =>
    median(ours.map((pair, i) => pair[key] / (theirs[i]?.[key] ?? Number.NaN))).toFixed(2);
  return [
    `${scenario.title}: ${one.messages} messages of ${one.bytes} octets, ${one.sessions} sessions, ${scenario.clients}, medians of ${rounds} rounds, each behind ${one.warmUp} messages that do not count`,
    ...pair.map((who) => line(who, figures.get(who) ?? [])),
    `  ratio       accepted/s ${ratio("accepted")}x  delivered/s ${ratio("delivered")}x  CPU/message ${ratio("cpuMilliseconds")}x  PSS ${ratio("memory")}x`,
  ];
}
