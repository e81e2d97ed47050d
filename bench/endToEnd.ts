import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDaneRelay } from "./daneRelay.ts";
import { median } from "./machine.ts";
import { startPostfixRelay } from "./postfixRelay.ts";
import { cpuSeconds, memoryMiB } from "./processTree.ts";
import type { Sender } from "./sender.ts";
import { startSink, until } from "./sink.ts";

/**
 * Mail from smtp-source through a relay to smtp-sink, as messages delivered a second and CPU a message; both relays in turn, round by round,
 * so that the machine's drift hits both alike. Both make each message durable before they say 250.
 */
export type Scenario = {
  title: string;
  messages: number;
  bytes: number;
  sessions: number;
  reuse: "a connection per message" | "reused connections";
};

type Figures = { accepted: number; delivered: number; cpuMilliseconds: number; memory: number };

const DELIVERY_TIMEOUT = 300_000;

function submit(scenario: Scenario, to: Sender): Promise<void> {
  const reuse = scenario.reuse === "reused connections" ? ["-d"] : [];
  const counts = ["-s", `${scenario.sessions}`, "-m", `${scenario.messages}`, "-l", `${scenario.bytes}`];
  const child = spawn(
    "smtp-source",
    [...reuse, ...counts, "-f", "sender@example.org", "-t", "user@example.net", `${to.address}:${to.port}`],
    {
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
  return new Promise((resolve, reject) => {
    child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`smtp-source ended with ${code}`))));
  });
}

type Start = (
  directory: string,
  listen: { address: string; port: number },
  sink: { address: string; port: number },
) => Promise<Sender>;

async function oneRun(start: Start, scenario: Scenario): Promise<Figures> {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-bench-"));
  const sink = await startSink("127.29.0.2", 2526);
  const relay = await start(join(directory, "relay"), { address: "127.29.0.1", port: 2525 }, sink);
  try {
    await submit({ ...scenario, messages: 200 }, relay);
    await until(() => sink.received() >= 200, DELIVERY_TIMEOUT, `${relay.name}: warm-up`);
    const cpuBefore = cpuSeconds(relay.pid);
    const began = performance.now();
    await submit(scenario, relay);
    const accepted = performance.now() - began;
    await until(
      () => sink.received() >= 200 + scenario.messages,
      DELIVERY_TIMEOUT,
      `${relay.name}: ${scenario.messages} messages at the sink`,
    );
    const delivered = performance.now() - began;
    return {
      accepted: (scenario.messages / accepted) * 1000,
      delivered: (scenario.messages / delivered) * 1000,
      cpuMilliseconds: ((cpuSeconds(relay.pid) - cpuBefore) * 1000) / scenario.messages,
      memory: memoryMiB(relay.pid),
    };
  } finally {
    await relay.stop();
    await sink.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

function line(name: string, runs: readonly Figures[]): string {
  const of = (key: keyof Figures): number => median(runs.map((run) => run[key]));
  return `  ${name.padEnd(11)} accepted/s ${of("accepted").toFixed(0).padStart(6)}  delivered/s ${of("delivered").toFixed(0).padStart(6)}  CPU ms/message ${of("cpuMilliseconds").toFixed(3)}  PSS MiB ${of("memory").toFixed(0)}`;
}

/** Runs one scenario in `rounds` pairs; returns the lines to print. */
export async function endToEnd(scenario: Scenario, rounds: number): Promise<string[]> {
  const ours: Figures[] = [];
  const theirs: Figures[] = [];
  for (let round = 0; round < rounds; round += 1) {
    ours.push(await oneRun(startDaneRelay, scenario));
    theirs.push(await oneRun(startPostfixRelay, scenario));
  }
  const ratio = (key: keyof Figures): string =>
    median(ours.map((run, i) => run[key] / (theirs[i]?.[key] ?? Number.NaN))).toFixed(2);
  return [
    `${scenario.title}: ${scenario.messages} messages of ${scenario.bytes} octets, ${scenario.sessions} sessions, ${scenario.reuse}, medians of ${rounds} rounds`,
    line("dane-relay", ours),
    line("postfix", theirs),
    `  ratio       delivered/s ${ratio("delivered")}x  CPU/message ${ratio("cpuMilliseconds")}x`,
  ];
}
