import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { stringify } from "yaml";
import { openSqliteStore } from "../src/spool/sqliteStore.ts";
import { type Daemon, startDaemon } from "../test/lab/daemon.ts";
import { type DeadWorld, startDeadWorld } from "./deadWorld.ts";
import type { Place } from "./endToEnd.ts";
import { median } from "./machine.ts";
import { cpuSeconds, memoryMiB } from "./processTree.ts";
import type { Endpoint } from "./sender.ts";
import { listens, startPlainSink, until } from "./sink.ts";

/**
 * A queue of a million messages to ten thousand dead destinations, every one of them due: how long the relay takes to start on it, what memory
 * it holds, how much of its rate to a live destination is left, and how long the queue commands take. Beside it the same relay with an empty queue.
 */
export type MillionOptions = { queued: number; destinations: number; messages: number; rounds: number };

const MAIN = join(import.meta.dirname, "..", "src", "main.ts");
const CONTENT = Buffer.from(`Subject: waiting\r\n\r\n${"x".repeat(400)}\r\n`);
/** Stored at once while the spool is filled. */
const FILL_BATCH = 2000;
const RELAY = 1;
const SINK = 16;
const FIRST_PORT = 21_000;
const SESSIONS = 20;
const BYTES = 4096;
const RUN_SECONDS = 300;
/** The compiler's time, and that of the first tries of the dead. */
const WARM_UP_MESSAGES = 2000;
const SETTLING_MILLISECONDS = 20_000;
const QUEUE_COMMANDS: readonly (readonly string[])[] = [
  ["stats"],
  ["list", "--limit", "50"],
  ["show", "FILL7"],
  ["hold", "FILL7"],
  ["release", "FILL7"],
  ["retry", "FILL7"],
];

type Running = { daemon: Daemon; listen: Endpoint; startSeconds: number; configFile: string };

async function fill(directory: string, { queued, destinations }: MillionOptions, world: DeadWorld): Promise<string> {
  const began = performance.now();
  const store = await openSqliteStore({ directory });
  const acceptedAt = Date.now();
  const flags = { smtpUtf8: false, eightBitMime: false, requireTls: false, tlsRequiredNo: false };
  for (let at = 0; at < queued; at += FILL_BATCH) {
    const batch = Array.from({ length: Math.min(FILL_BATCH, queued - at) }, (_, i) => {
      const destination = world.domain((at + i) % destinations);
      const envelope = { id: `FILL${at + i}`, sender: "list@example.org", acceptedAt, size: CONTENT.length, ...flags };
      return store.add({ envelope, recipients: [{ address: `user${at + i}@${destination}`, destination }] }, CONTENT);
    });
    await Promise.all(batch);
  }
  await store.close();
  const megabytes = statSync(join(directory, "queue.db")).size / 2 ** 20;
  const seconds = (performance.now() - began) / 1000;
  return `  filled with ${queued} messages to ${destinations} destinations in ${seconds.toFixed(0)} s (${megabytes.toFixed(0)} MiB)`;
}

async function start(directory: string, listen: Endpoint, sink: Endpoint, world: DeadWorld): Promise<Running> {
  mkdirSync(directory, { recursive: true });
  const configFile = join(directory, "relay.yaml");
  const configuration = {
    hostname: "relay.example",
    submission: { listen: [`${listen.address}:${listen.port}`] },
    admin: { listen: `${listen.address}:9025` },
    spool: `file:${join(directory, "spool")}`,
    resolver: { mode: "forward", upstreams: [world.resolver], insecureZones: ["test"] },
    mtaSts: { enabled: false },
    delivery: {
      allowLoopback: true,
      port: world.port,
      routes: [{ domain: "live.test", nextHop: `[${sink.address}]:${sink.port}` }],
    },
  };
  writeFileSync(configFile, stringify(configuration));
  const began = performance.now();
  const daemon = await startDaemon({
    name: "dane-relay",
    command: process.execPath,
    arguments: [MAIN, "serve", "--config", configFile],
    logFile: join(directory, "log"),
    ready: () => listens(listen),
  });
  return { daemon, listen, startSeconds: (performance.now() - began) / 1000, configFile };
}

function submit(messages: number, to: Endpoint): Promise<void> {
  const argv = ["-d", "-s", `${SESSIONS}`, "-m", `${messages}`, "-l", `${BYTES}`, "-f", "a@example.org", "-t", "user@live.test"];
  const child = spawn("timeout", [`${RUN_SECONDS}`, "smtp-source", ...argv, `${to.address}:${to.port}`], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`smtp-source ended with ${code}`))));
  });
}

type Figures = { accepted: number; delivered: number; cpuMilliseconds: number; memory: number };

async function rounds(running: Running, received: () => number, { messages, rounds: count }: MillionOptions): Promise<Figures> {
  const arrived = (wanted: number): Promise<void> =>
    until(
      () => received() >= wanted,
      RUN_SECONDS * 1000,
      () => `${received()} of ${wanted} messages at the sink`,
    );
  let total = received() + WARM_UP_MESSAGES;
  await submit(WARM_UP_MESSAGES, running.listen);
  await arrived(total);
  const figures: Figures[] = [];
  for (let round = 0; round < count; round += 1) {
    const cpuBefore = cpuSeconds(running.daemon.pid);
    const began = performance.now();
    await submit(messages, running.listen);
    const accepted = performance.now() - began;
    total += messages;
    await arrived(total);
    figures.push({
      accepted: (messages / accepted) * 1000,
      delivered: (messages / (performance.now() - began)) * 1000,
      cpuMilliseconds: ((cpuSeconds(running.daemon.pid) - cpuBefore) * 1000) / messages,
      memory: memoryMiB(running.daemon.pid),
    });
  }
  const of = (key: keyof Figures): number => median(figures.map((one) => one[key]));
  return { accepted: of("accepted"), delivered: of("delivered"), cpuMilliseconds: of("cpuMilliseconds"), memory: of("memory") };
}

function line(name: string, { startSeconds }: Running, figures: Figures): string {
  const { accepted, delivered, cpuMilliseconds, memory } = figures;
  return `  ${name}: start ${startSeconds.toFixed(2)} s  accepted/s ${accepted.toFixed(0)}  delivered/s ${delivered.toFixed(0)}  CPU ms/message ${cpuMilliseconds.toFixed(2)}  PSS MiB ${memory.toFixed(0)}`;
}

/** The queue commands against the relay that runs; how long each takes, the start of its process in it. */
function queueCommands(configFile: string): string[] {
  return QUEUE_COMMANDS.map((words) => {
    const began = performance.now();
    const { status } = spawnSync(process.execPath, [MAIN, "queue", ...words, "--config", configFile], { stdio: "ignore" });
    return `  queue ${words.join(" ")}: ${((performance.now() - began) / 1000).toFixed(2)} s${status === 0 ? "" : ` (exit status ${status})`}`;
  });
}

export async function benchMillion(options: MillionOptions, { directory, block }: Place): Promise<string[]> {
  const world = await startDeadWorld(block);
  const sink = await startPlainSink(directory, { address: block.address(SINK), port: FIRST_PORT });
  const lines: string[] = [];
  try {
    const results: Figures[] = [];
    for (const [index, name] of (["empty queue", "full queue"] as const).entries()) {
      const place = join(directory, `million${index}`);
      mkdirSync(place);
      if (name === "full queue") lines.push(await fill(join(place, "spool"), options, world));
      const running = await start(place, { address: block.address(RELAY), port: FIRST_PORT + 1 + index }, sink, world);
      try {
        const idle = memoryMiB(running.daemon.pid);
        await delay(name === "full queue" ? SETTLING_MILLISECONDS : 0);
        const figures = await rounds(running, sink.received, options);
        results.push(figures);
        lines.push(line(name, running, figures));
        if (name === "full queue") {
          lines.push(`  PSS after the start ${idle.toFixed(0)} MiB; ${world.questions()} questions to the name server`);
          lines.push(...queueCommands(running.configFile));
        }
      } finally {
        await running.daemon.stop();
      }
    }
    const [empty, full] = results;
    if (empty === undefined || full === undefined) throw new Error("a run is missing");
    const ratio = (key: keyof Figures): string => (full[key] / empty[key]).toFixed(2);
    lines.push(`  full / empty: accepted/s ${ratio("accepted")}  delivered/s ${ratio("delivered")}`);
    return [
      `a full queue: ${options.messages} messages of ${BYTES} octets to a live destination, medians of ${options.rounds} rounds`,
      ...lines,
    ];
  } finally {
    await sink.stop();
    await world.stop();
  }
}
