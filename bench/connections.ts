import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { SmtpClient } from "../test/fake/smtpClient.ts";
import { startDaemon } from "../test/lab/daemon.ts";
import type { Place } from "./endToEnd.ts";
import { median } from "./machine.ts";
import { cpuSeconds, memoryMiB } from "./processTree.ts";
import type { Endpoint } from "./sender.ts";
import { listens, startPlainSink } from "./sink.ts";

/**
 * Thousands of submission connections that idle, then hundreds that are busy as well, all on one relay: what memory it holds, and how long a
 * client that comes now waits for its greeting and for the 250 to its message.
 */
const MAIN = join(import.meta.dirname, "..", "src", "main.ts");
const CROWD = new URL("connectionCrowd.ts", import.meta.url);
const RELAY = 1;
const SINK = 16;
const PORT = 21_200;
const PROBES = 60;
const CONTENT = `Subject: probe\r\n\r\n${`${"x".repeat(70)}\r\n`.repeat(50)}`;

type Probe = { greeting: number; accepted: number };

async function probe(relay: Endpoint): Promise<Probe> {
  const began = performance.now();
  const client = await SmtpClient.open(`${relay.address}:${relay.port}`);
  const greeting = performance.now() - began;
  const reply = await client.send(CONTENT, "a@example.org", "u@example.net");
  const accepted = performance.now() - began;
  client.destroy();
  if (!reply.startsWith("250")) throw new Error(`the probe got ${reply}`);
  return { greeting, accepted };
}

async function probes(relay: Endpoint): Promise<string> {
  const found: Probe[] = [];
  for (let i = 0; i < PROBES; i += 1) found.push(await probe(relay));
  const of = (key: keyof Probe): number[] => found.map((one) => one[key]);
  const text = (key: keyof Probe): string => `${median(of(key)).toFixed(1)} (longest ${Math.max(...of(key)).toFixed(0)})`;
  return `probe's EHLO ms ${text("greeting")}, 250 ms ${text("accepted")}`;
}

/** A process of clients; resolves when all of them are connected. */
async function crowd(relay: Endpoint, kind: "idle" | "busy", count: number): Promise<ChildProcess> {
  const child = fork(CROWD, [`${relay.address}:${relay.port}`, kind, String(count)]);
  await once(child, "message");
  return child;
}

async function leave(child: ChildProcess): Promise<number> {
  const told = once(child, "message");
  child.send("end");
  const [messages] = await told;
  child.disconnect();
  return Number(messages);
}

export async function benchConnections(idle: number, busy: number, { directory, block }: Place): Promise<string[]> {
  const relay = { address: block.address(RELAY), port: PORT };
  const sink = await startPlainSink(directory, { address: block.address(SINK), port: PORT });
  const place = join(directory, "connections");
  mkdirSync(place);
  const file = join(place, "relay.yaml");
  const configuration = {
    hostname: "relay.example",
    submission: { listen: [`${relay.address}:${relay.port}`], maxConnections: idle + busy + 100 },
    admin: { listen: `${relay.address}:9025` },
    spool: `file:${join(place, "spool")}`,
    resolver: { mode: "forward", upstreams: ["127.0.0.1:9"] },
    delivery: { allowLoopback: true, routes: [{ domain: "*", nextHop: `[${sink.address}]:${sink.port}` }] },
  };
  writeFileSync(file, stringify(configuration));
  const daemon = await startDaemon({
    name: "dane-relay",
    command: process.execPath,
    arguments: [MAIN, "serve", "--config", file],
    logFile: join(place, "log"),
    ready: () => listens(relay),
  });
  const lines: string[] = [];
  const crowds: ChildProcess[] = [];
  const tell = async (what: string): Promise<void> => {
    const figures = await probes(relay);
    lines.push(`  ${what.padEnd(28)} PSS MiB ${memoryMiB(daemon.pid).toFixed(0).padStart(4)}  ${figures}`);
  };
  try {
    await tell("nobody else");
    crowds.push(await crowd(relay, "idle", idle));
    await tell(`${idle} idle`);
    const cpuBefore = cpuSeconds(daemon.pid);
    const began = performance.now();
    const workers = await crowd(relay, "busy", busy);
    crowds.push(workers);
    await tell(`${idle} idle and ${busy} busy`);
    const messages = await leave(workers);
    const seconds = (performance.now() - began) / 1000;
    const cpu = ((cpuSeconds(daemon.pid) - cpuBefore) * 1000) / Math.max(1, messages);
    lines.push(
      `  the busy ones: ${(messages / seconds).toFixed(0)} accepted/s at ${cpu.toFixed(2)} ms CPU a message, none refused`,
    );
    return ["submission connections on one worker", ...lines];
  } finally {
    for (const child of crowds) child.kill();
    await daemon.stop();
    await sink.stop();
  }
}
