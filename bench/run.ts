import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { claimBlock } from "../test/lab/addresses.ts";
import { aggressiveUse } from "./aggressiveUse.ts";
import { cacheMemory } from "./cacheMemory.ts";
import { benchConnections } from "./connections.ts";
import { startDaneWorld } from "./daneWorld.ts";
import { benchDnssec } from "./dnssec.ts";
import { endToEnd, type Place } from "./endToEnd.ts";
import { benchHostile } from "./hostile.ts";
import { benchKills } from "./kills.ts";
import { benchLatency } from "./latency.ts";
import { machineLines } from "./machine.ts";
import { benchMillion } from "./million.ts";
import { benchPostgres } from "./postgres.ts";
import { benchScan } from "./scan.ts";
import { chosen, needsDane, PEERS, SCENARIOS, type Scenario } from "./scenarios.ts";
import { benchSoak } from "./soak.ts";
import { unboundMemory } from "./unboundMemory.ts";

/**
 * `npm run bench [-- delivery --rounds N --warm-up N --messages N --bytes N --only SCENARIO,SCENARIO]`, `npm run bench -- peers [--rounds N --warm-up N --messages N --bytes N]`, `npm run bench -- latency [--rounds N]`, `npm run bench -- dnssec [--rounds N --domains N]`,
 * `npm run bench -- scan [--domains N]`, `npm run bench -- hostile [--lookups N]`,
 * `npm run bench -- kills [--kills N --seed TEXT]`, `npm run bench -- million [--queued N --messages N --rounds N]`,
 * `npm run bench -- soak [--minutes N]`, `npm run bench -- connections [--idle N --busy N]`,
 * `npm run bench -- postgres [--rounds N --messages N --bytes N --queued N]` (rounds of the fault campaign): as root (Postfix, ports below 1024), with the Debian packages of
 * the tests. What it starts ends with it, whatever ends it; it uses loopback addresses only.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    domains: { type: "string" },
    lookups: { type: "string", default: "40" },
    rounds: { type: "string", default: "5" },
    messages: { type: "string", default: "5000" },
    bytes: { type: "string", default: "4096" },
    "warm-up": { type: "string", default: "5000" },
    only: { type: "string" },
    idle: { type: "string", default: "5000" },
    busy: { type: "string", default: "500" },
    minutes: { type: "string", default: "120" },
    kills: { type: "string", default: "2000" },
    seed: { type: "string", default: String(process.pid) },
    queued: { type: "string", default: "1000000" },
  },
});
const [rounds, messages, bytes] = [Number(values.rounds), Number(values.messages), Number(values.bytes)];
const warmUp = Number(values["warm-up"]);
const [what = "delivery"] = positionals;
const CACHED_NAMES = [200_000, 1_000_000];
const HOSTS_OF_ONE_ZONE = [4, 20, 100];
const NAMES_IN_UNBOUND = [50_000, 100_000] as const;
const LOOKED_UP_DOMAINS = 250;
const SCANNED_DOMAINS = 10_000;
const SESSIONS = 20;
const DEAD_DESTINATIONS = 10_000;

async function dnssec(place: Place): Promise<void> {
  print(await benchDnssec({ domains: Number(values.domains ?? LOOKED_UP_DOMAINS), rounds }, place));
  print(await cacheMemory(CACHED_NAMES));
  print(await unboundMemory(NAMES_IN_UNBOUND, place));
  print(aggressiveUse(HOSTS_OF_ONE_ZONE));
}

/** The scenarios of scenarios.ts; the signed world is made once for all that need it. */
async function delivery(place: Place): Promise<void> {
  const scenarios: Scenario[] = chosen(values.only).map((name) => SCENARIOS[name]);
  const amount = { rounds, warmUp, messages, bytes, sessions: SESSIONS };
  const world = scenarios.some(needsDane) ? await startDaneWorld(join(place.directory, "world"), place.block) : undefined;
  try {
    for (const scenario of scenarios) print(await endToEnd(scenario, amount, world, place));
  } finally {
    await world?.stop();
  }
}

async function scan(place: Place): Promise<void> {
  print(await benchScan(Number(values.domains ?? SCANNED_DOMAINS), place));
}

async function peers(place: Place): Promise<void> {
  for (const scenario of PEERS) {
    try {
      print(await endToEnd(scenario, { rounds, warmUp, messages, bytes, sessions: SESSIONS }, undefined, place));
    } catch (error) {
      // One that cannot be installed, or refuses the load, does not keep the others from being measured.
      print([`${scenario.title}: not measured, ${error instanceof Error ? error.message : String(error)}`]);
    }
  }
}

async function latency(place: Place): Promise<void> {
  const clients = "a connection per message";
  print(await benchLatency({ domains: ["example.net"], messages, bytes, sessions: SESSIONS, clients }, rounds, place));
}

async function kills(place: Place): Promise<void> {
  print(await benchKills(Number(values.kills), values.seed, place));
}

async function million(place: Place): Promise<void> {
  print(await benchMillion({ queued: Number(values.queued), destinations: DEAD_DESTINATIONS, messages, rounds }, place));
}

async function connections(place: Place): Promise<void> {
  print(await benchConnections(Number(values.idle), Number(values.busy), place));
}

async function soak(place: Place): Promise<void> {
  print(await benchSoak(Number(values.minutes), place));
}

async function postgres(place: Place): Promise<void> {
  print(await benchPostgres({ rounds, messages, bytes, queued: Number(values.queued) }, place));
}

async function hostile(place: Place): Promise<void> {
  print(await benchHostile(Number(values.lookups), place));
}

const BENCHMARKS: Readonly<Record<string, (place: Place) => Promise<void>>> = {
  delivery,
  peers,
  latency,
  dnssec,
  hostile,
  kills,
  million,
  soak,
  connections,
  postgres,
  scan,
};

function print(lines: readonly string[]): void {
  for (const text of lines) console.log(text);
}

const run = BENCHMARKS[what];
if (run === undefined) throw new Error(`no benchmark ${what}: ${Object.keys(BENCHMARKS).join(", ")}`);
const directory = mkdtempSync(join(tmpdir(), "dane-relay-bench-"));
// Postfix's own user has to pass.
chmodSync(directory, 0o755);
process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));
print(machineLines());
const block = await claimBlock();
try {
  await run({ directory, block });
} finally {
  await block.release();
}
