import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { stringify } from "yaml";
import { SmtpClient } from "../test/fake/smtpClient.ts";
import { type Daemon, startDaemon } from "../test/lab/daemon.ts";
import { type DeadWorld, startDeadWorld } from "./deadWorld.ts";
import type { Place } from "./endToEnd.ts";
import { median } from "./machine.ts";
import { descendants, memoryMiB } from "./processTree.ts";
import type { Endpoint } from "./sender.ts";
import { listens } from "./sink.ts";
import { BEHAVIOURS, type SoakReceivers, startSoakReceivers } from "./soakReceivers.ts";

/**
 * Hours of mixed load with faults: receivers that are good, slow, flaky, strict or dead, a name server that falls silent every other minute,
 * clients that come, go and idle. Watched: memory and descriptors of the relay. Held in the end: every message that was accepted was
 * delivered, bounced or is queued.
 */
const MAIN = join(import.meta.dirname, "..", "src", "main.ts");
const RELAY = 1;
const RECEIVERS = 16;
const PORT = 21_100;
const CLIENTS = 5;
const IDLE_CLIENTS = 50;
/** Messages on one connection; then a new one. */
const PER_CONNECTION = 20;
const PAUSE_MILLISECONDS = 60;
const LARGE_EVERY = 50;
const LARGE_OCTETS = 200_000;
const DEAD_EVERY = 12;
const DEAD_DOMAINS = 300;
const SAMPLE_MILLISECONDS = 10_000;
/** The name server answers for so long, and is silent for as long. */
const FLAP_MILLISECONDS = 60_000;
const SETTLING_MILLISECONDS = 900_000;
const SETTLING_POLL_MILLISECONDS = 200;
/** Growth from the second quarter to the last that still counts as flat: the collector works in steps, and connections come and go. */
const FLAT = 1.25;

type Sample = { memory: number; descriptors: number; queued: number };

class Soak {
  readonly accepted = new Set<string>();
  readonly samples: Sample[] = [];
  /** Replies to the final dot that were no 250, and connections that the relay ended. */
  refused = 0;
  state: "running" | "ending" = "running";
  readonly #relay: Endpoint;
  readonly #world: DeadWorld;
  #number = 0;

  constructor(relay: Endpoint, world: DeadWorld) {
    this.#relay = relay;
    this.#world = world;
  }

  async client(): Promise<void> {
    while (this.state === "running") {
      const client = await SmtpClient.open(`${this.#relay.address}:${this.#relay.port}`);
      for (let sent = 0; sent < PER_CONNECTION && this.state === "running" && !client.ended; sent += 1) {
        await this.#message(client);
        await delay(PAUSE_MILLISECONDS);
      }
      client.destroy();
    }
  }

  async #message(client: SmtpClient): Promise<void> {
    this.#number += 1;
    const number = this.#number;
    const token = `t${number}`;
    const lines = number % LARGE_EVERY === 0 ? LARGE_OCTETS / 50 : 20;
    const content = `Subject: ${token}\r\n\r\n${`${"x".repeat(48)}\r\n`.repeat(lines)}`;
    const reply = await client.send(content, "sender@good.test", `${token}@${this.#domain(number)}`);
    if (reply.startsWith("250")) this.accepted.add(token);
    else this.refused += 1;
  }

  #domain(number: number): string {
    if (number % DEAD_EVERY === 0) return this.#world.domain(number % DEAD_DOMAINS);
    return `${BEHAVIOURS[number % BEHAVIOURS.length]}.test`;
  }

  unresolved({ delivered, bounced }: SoakReceivers): number {
    let unresolved = 0;
    for (const token of this.accepted) if (!delivered.has(token) && !bounced.has(token)) unresolved += 1;
    return unresolved;
  }
}

function configure(directory: string, relay: Endpoint, world: DeadWorld, receivers: SoakReceivers): string {
  const file = join(directory, "relay.yaml");
  const receiver = (behaviour: (typeof BEHAVIOURS)[number], address: string): object => ({
    domain: `${behaviour}.test`,
    nextHop: `[${address}]:${receivers.port(behaviour)}`,
  });
  const address = relay.address.replace(/\d+$/, String(RECEIVERS));
  const configuration = {
    hostname: "relay.example",
    submission: { listen: [`${relay.address}:${relay.port}`] },
    admin: { listen: `${relay.address}:9025` },
    spool: `file:${join(directory, "spool")}`,
    resolver: { mode: "forward", upstreams: [world.resolver], insecureZones: ["test"], timeoutSeconds: 5 },
    mtaSts: { enabled: false },
    delivery: {
      allowLoopback: true,
      port: world.port,
      routes: BEHAVIOURS.map((behaviour) => receiver(behaviour, address)),
      retry: { initialSeconds: 2, maximumSeconds: 60 },
      timeouts: { commandSeconds: 20 },
    },
  };
  writeFileSync(file, stringify(configuration));
  return file;
}

function descriptorsOf(root: number): number {
  return descendants(root).reduce((sum, { pid }) => sum + readdirSync(`/proc/${pid}/fd`).length, 0);
}

async function queuedAt(relay: Endpoint): Promise<number> {
  const text = await (await fetch(`http://${relay.address}:9025/metrics`)).text();
  return [...text.matchAll(/^dane_relay_queue_messages\{state="\w+"\} (\d+)$/gm)].reduce((sum, [, n]) => sum + Number(n), 0);
}

async function sample(relay: Endpoint, daemon: Daemon): Promise<Sample> {
  return { memory: memoryMiB(daemon.pid), descriptors: descriptorsOf(daemon.pid), queued: await queuedAt(relay) };
}

async function run(soak: Soak, minutes: number, relay: Endpoint, daemon: Daemon, world: DeadWorld): Promise<void> {
  const idle = await Promise.all(Array.from({ length: IDLE_CLIENTS }, () => SmtpClient.open(`${relay.address}:${relay.port}`)));
  const clients = Array.from({ length: CLIENTS }, () => soak.client());
  const began = performance.now();
  for (let elapsed = 0; elapsed < minutes * 60_000; elapsed = performance.now() - began) {
    world.answer(Math.floor(elapsed / FLAP_MILLISECONDS) % 2 === 0 ? "yes" : "no");
    soak.samples.push(await sample(relay, daemon));
    await delay(SAMPLE_MILLISECONDS);
  }
  world.answer("yes");
  soak.state = "ending";
  await Promise.all(clients);
  for (const client of idle) client.destroy();
}

function report(soak: Soak, receivers: SoakReceivers, last: Sample, first: Sample): string[] {
  const quarter = Math.floor(soak.samples.length / 4);
  const middle = (key: keyof Sample, from: number): number =>
    median(soak.samples.slice(from * quarter, (from + 1) * quarter).map((one) => one[key]));
  const quarters = (key: keyof Sample): string => [1, 2, 3].map((from) => middle(key, from).toFixed(0)).join(", ");
  const verdict = (key: keyof Sample): string => (middle(key, 3) <= middle(key, 1) * FLAT ? "flat" : "GREW");
  return [
    `  accepted ${soak.accepted.size} = delivered ${receivers.delivered.size} + bounced ${receivers.bounced.size} + queued ${last.queued}; refused ${soak.refused}`,
    `  PSS MiB by quarter (2nd, 3rd, 4th) ${quarters("memory")}: ${verdict("memory")}; at the end ${last.memory.toFixed(0)}`,
    `  descriptors by quarter ${quarters("descriptors")}: ${verdict("descriptors")}; at the start ${first.descriptors}, at the end ${last.descriptors}`,
    `  queued by quarter ${quarters("queued")}`,
  ];
}

/**
 * What a receiver took and the relay has no record of yet (a reset came between) is queued and delivered: the counts agree when it was tried
 * again. Rejects when they never do.
 */
async function balanced(soak: Soak, receivers: SoakReceivers, relay: Endpoint): Promise<void> {
  const deadline = performance.now() + SETTLING_MILLISECONDS;
  for (;;) {
    const queued = await queuedAt(relay);
    const unresolved = soak.unresolved(receivers);
    if (queued === unresolved) return;
    if (performance.now() > deadline)
      throw new Error(`of ${soak.accepted.size} accepted ${unresolved} neither came nor bounced, ${queued} are queued`);
    await delay(SETTLING_POLL_MILLISECONDS);
  }
}

/** Rejects when the counts do not balance. */
export async function benchSoak(minutes: number, { directory, block }: Place): Promise<string[]> {
  const world = await startDeadWorld(block);
  const receivers = await startSoakReceivers(block.address(RECEIVERS));
  const relay = { address: block.address(RELAY), port: PORT };
  const place = join(directory, "soak");
  mkdirSync(place);
  const file = configure(place, relay, world, receivers);
  const daemon = await startDaemon({
    name: "dane-relay",
    command: process.execPath,
    arguments: [MAIN, "serve", "--config", file],
    logFile: join(place, "log"),
    ready: () => listens(relay),
  });
  const soak = new Soak(relay, world);
  try {
    const first = await sample(relay, daemon);
    await run(soak, minutes, relay, daemon, world);
    await balanced(soak, receivers, relay);
    const last = await sample(relay, daemon);
    return [`soak of ${minutes} minutes`, ...report(soak, receivers, last, first)];
  } finally {
    await daemon.stop();
    await receivers.stop();
    await world.stop();
  }
}
