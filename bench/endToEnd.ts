import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { AddressBlock } from "../test/lab/addresses.ts";
import { startDaneRelay } from "./daneRelay.ts";
import type { DaneWorld } from "./daneWorld.ts";
import { median } from "./machine.ts";
import { startPostfixRelay } from "./postfixRelay.ts";
import { cpuSeconds, memoryMiB } from "./processTree.ts";
import type { Assignment, Endpoint, Sender, Target } from "./sender.ts";
import { type Sink, startPlainSink, startTlsSink, until } from "./sink.ts";

/**
 * Mail from smtp-source through a relay to a sink, as messages a second and CPU a message; both relays in turn, round by round, so that the
 * machine's drift hits both alike. Both make each message durable before they say 250.
 */
export type Scenario = {
  title: string;
  /** plain: one next hop without TLS; dane: MX and TLSA records of one destination, validated. */
  delivery: { kind: "plain" } | { kind: "dane"; world: DaneWorld };
  messages: number;
  bytes: number;
  sessions: number;
  /** Of the clients; the relays reuse theirs as they see fit. */
  clients: "a connection per message" | "reused connections";
};

/** Where everything of this benchmark lives. */
export type Place = { directory: string; block: AddressBlock };

type Figures = { accepted: number; delivered: number; cpuMilliseconds: number; memory: number };

const RELAYS: Readonly<Record<"ours" | "theirs", (assignment: Assignment) => Promise<Sender>>> = {
  ours: startDaneRelay,
  theirs: startPostfixRelay,
};

/** A compiler at run time needs its time too: what is measured is a relay that has been up for a while. */
const WARM_UP_MESSAGES = 2000;
/** For all messages of one run to be accepted, and to arrive. */
const RUN_SECONDS = 180;
/** After the last message of a run: what comes now should not have come at all. */
const SETTLING_MILLISECONDS = 200;
const RELAY_PLACE = 1;
const SINK_PLACE = 16;
const FIRST_PORT = 20_000;

let run = 0;

/** smtp-source, under a time limit of its own, so that it ends even when this process is killed. */
function submit(scenario: Scenario, messages: number, to: Endpoint): Promise<void> {
  const reuse = scenario.clients === "reused connections" ? ["-d"] : [];
  const counts = ["-s", `${scenario.sessions}`, "-m", `${messages}`, "-l", `${scenario.bytes}`];
  const recipient = `user@${scenario.delivery.kind === "dane" ? scenario.delivery.world.domain : "example.net"}`;
  const addresses = ["-f", `run${run}@example.org`, "-t", recipient, `${to.address}:${to.port}`];
  const child = spawn("timeout", [`${RUN_SECONDS}`, "smtp-source", ...reuse, ...counts, ...addresses], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`smtp-source ended with ${code}`))));
  });
}

/** A sink that no run had before, and how mail gets there. */
async function openTarget(scenario: Scenario, directory: string, block: AddressBlock): Promise<{ sink: Sink; target: Target }> {
  const { delivery } = scenario;
  switch (delivery.kind) {
    case "plain": {
      const sink = await startPlainSink(directory, { address: block.address(SINK_PLACE), port: FIRST_PORT + run });
      return { sink, target: { kind: "route", sink } };
    }
    case "dane": {
      const { receiver, identity, resolver, trustAnchorFile } = delivery.world;
      return { sink: await startTlsSink(directory, receiver, identity), target: { kind: "dane", resolver, trustAnchorFile } };
    }
    default:
      return delivery satisfies never;
  }
}

async function oneRun(who: keyof typeof RELAYS, scenario: Scenario, { directory: parent, block }: Place): Promise<Figures> {
  run += 1;
  const directory = join(parent, `run${run}`);
  mkdirSync(directory);
  chmodSync(directory, 0o755);
  const { sink, target } = await openTarget(scenario, directory, block);
  try {
    const listen = { address: block.address(RELAY_PLACE), port: FIRST_PORT + run };
    const relay = await RELAYS[who]({ directory: join(directory, "relay"), listen, target });
    try {
      const figures = await measure(relay, sink, scenario);
      if (scenario.delivery.kind === "dane" && relay.provesDane() === "no")
        throw new Error(`${relay.name} delivered without DANE`);
      return figures;
    } finally {
      await relay.stop();
    }
  } finally {
    await sink.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measure(relay: Sender, sink: Sink, scenario: Scenario): Promise<Figures> {
  const { messages } = scenario;
  const arrived = (count: number): Promise<void> =>
    until(
      () => sink.received() >= count,
      RUN_SECONDS * 1000,
      () => `${relay.name}: ${sink.received()} of ${count} messages at the sink`,
    );
  await submit(scenario, WARM_UP_MESSAGES, relay);
  await arrived(WARM_UP_MESSAGES);
  const cpuBefore = cpuSeconds(relay.pid);
  const began = performance.now();
  await submit(scenario, messages, relay);
  const accepted = performance.now() - began;
  await arrived(WARM_UP_MESSAGES + messages);
  const delivered = performance.now() - began;
  await new Promise((resolve) => setTimeout(resolve, SETTLING_MILLISECONDS));
  if (sink.received() !== WARM_UP_MESSAGES + messages)
    throw new Error(`${relay.name}: ${sink.received()} messages arrived of ${WARM_UP_MESSAGES + messages}`);
  return {
    accepted: (messages / accepted) * 1000,
    delivered: (messages / delivered) * 1000,
    cpuMilliseconds: ((cpuSeconds(relay.pid) - cpuBefore) * 1000) / messages,
    memory: memoryMiB(relay.pid),
  };
}

function line(name: string, runs: readonly Figures[]): string {
  const of = (key: keyof Figures, digits: number, width: number): string =>
    median(runs.map((figures) => figures[key]))
      .toFixed(digits)
      .padStart(width);
  return `  ${name.padEnd(11)} accepted/s ${of("accepted", 0, 6)}  delivered/s ${of("delivered", 0, 6)}  CPU ms/message ${of("cpuMilliseconds", 3, 6)}  PSS MiB ${of("memory", 0, 4)}`;
}

/** Runs one scenario in `rounds` pairs, who begins alternating; returns the lines to print. */
export async function endToEnd(scenario: Scenario, rounds: number, place: Place): Promise<string[]> {
  const figures: Record<keyof typeof RELAYS, Figures[]> = { ours: [], theirs: [] };
  for (let round = 0; round < rounds; round += 1) {
    for (const who of round % 2 === 0 ? (["ours", "theirs"] as const) : (["theirs", "ours"] as const)) {
      figures[who].push(await oneRun(who, scenario, place));
    }
  }
  const { ours, theirs } = figures;
  const ratio = (key: keyof Figures): string =>
    median(ours.map((pair, i) => pair[key] / (theirs[i]?.[key] ?? Number.NaN))).toFixed(2);
  return [
    `${scenario.title}: ${scenario.messages} messages of ${scenario.bytes} octets, ${scenario.sessions} sessions, ${scenario.clients}, medians of ${rounds} rounds`,
    line("dane-relay", ours),
    line("postfix", theirs),
    `  ratio       accepted/s ${ratio("accepted")}x  delivered/s ${ratio("delivered")}x  CPU/message ${ratio("cpuMilliseconds")}x  PSS ${ratio("memory")}x`,
  ];
}
