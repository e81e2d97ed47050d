import { readFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock, systemRandom } from "../src/clock.ts";
import { RR_TYPE } from "../src/dns/message.ts";
import { algorithmTable } from "../src/dnssec/algorithm.ts";
import { createForwarder } from "../src/resolver/forwarder.ts";
import { createRecursor } from "../src/resolver/recursor.ts";
import { createResolver } from "../src/resolver/resolver.ts";
import { parseRootHints } from "../src/resolver/rootHints.ts";
import { createTransport } from "../src/resolver/socketTransport.ts";
import type { ServerAddress } from "../src/resolver/transport.ts";
import { loadTrustAnchors } from "../src/resolver/trustAnchorStore.ts";
import type { Place } from "./endToEnd.ts";
import { type LoadFigures, type Lookup, load, ownCpuSeconds } from "./lookupLoad.ts";
import { type LookupWorld, startLookupWorld } from "./lookupWorld.ts";
import { median } from "./machine.ts";
import { schedulerCpuSeconds } from "./processTree.ts";

/**
 * Look-ups of signed names by our resolver, recursive and through an Unbound that validates nothing, and by a validating Unbound, on the
 * same zones in the same run. Cold: every cache is empty. Warm: everything is in the cache; ours is a call in this process, Unbound's a
 * datagram there and back. CPU is that of the one who validates; the first round, in which V8 still compiles, does not count.
 */
type Runs = { cold: LoadFigures; warm: LoadFigures };
type Contestant = "recursive" | "forward" | "unbound";

const IN_FLIGHT = 16;
const WARM_REPEATS = 20;
const UNBOUND_WARM_REPEATS = 5;
const TIMEOUT_SECONDS = 10;
const CACHE_ENTRIES = 100_000;

export type DnssecOptions = { domains: number; rounds: number };

export async function benchDnssec({ domains, rounds }: DnssecOptions, place: Place): Promise<string[]> {
  const world = await startLookupWorld(join(place.directory, "lookups"), place.block, domains);
  const runs: Record<Contestant, Runs[]> = { recursive: [], forward: [], unbound: [] };
  try {
    for (let round = 0; round <= rounds; round += 1) {
      const figures = { recursive: await recursive(world), forward: await forward(world), unbound: await unbound(world) };
      if (round === 0) continue;
      for (const who of ["recursive", "forward", "unbound"] as const) runs[who].push(figures[who]);
    }
  } finally {
    await world.stop();
  }
  const cases = `${domains} signed domains, MX, A, AAAA and TLSA of each, chains of depth 3, medians of ${rounds} rounds`;
  return [
    `cold, ${IN_FLIGHT} at a time: ${cases}`,
    ...lines(runs, "cold"),
    `warm, one at a time (Unbound: ${IN_FLIGHT}): the same`,
    ...lines(runs, "warm"),
  ];
}

async function recursive(world: LookupWorld): Promise<Runs> {
  const rootHints = parseRootHints(readFileSync(world.rootHintsFile, "utf8"));
  if ("kind" in rootHints) throw new Error(rootHints.reason);
  const transport = createTransport({ clock: systemClock, random: systemRandom });
  try {
    const source = createRecursor({ transport, clock: systemClock, random: systemRandom, rootHints, allowLoopback: true });
    return await ours(world, source);
  } finally {
    transport.close();
  }
}

async function forward(world: LookupWorld): Promise<Runs> {
  const upstream = await world.unbound("plain");
  const transport = createTransport({ clock: systemClock, random: systemRandom });
  try {
    const upstreams = [{ address: upstream.address, port: 53 }] as const;
    return await ours(world, createForwarder({ upstreams, transport, clock: systemClock, timeoutSeconds: TIMEOUT_SECONDS }));
  } finally {
    transport.close();
    await upstream.stop();
  }
}

async function ours(world: LookupWorld, source: ReturnType<typeof createForwarder>): Promise<Runs> {
  const read = await loadTrustAnchors(world.trustAnchorFile);
  if (read.kind === "error") throw new Error(read.reason);
  const resolver = createResolver({
    source,
    anchors: read.anchors,
    algorithms: algorithmTable({ sha1: "insecure" }),
    clock: systemClock,
    timeoutSeconds: TIMEOUT_SECONDS,
    trustCacheEntries: CACHE_ENTRIES,
    cacheEntries: CACHE_ENTRIES,
    cacheOctets: Number.MAX_SAFE_INTEGER,
  });
  const ask = async ({ name, type }: Lookup): Promise<void> => {
    const resolution = await resolver.resolve(name, type);
    if (resolution.status !== "secure" || resolution.answer !== "records")
      throw new Error(`${type} of ${name}: ${JSON.stringify(resolution)}`);
  };
  const cold = await load(shuffled(world.lookups), IN_FLIGHT, ask, ownCpuSeconds);
  const repeated = Array.from({ length: WARM_REPEATS }, () => shuffled(world.lookups)).flat();
  return { cold, warm: await load(repeated, 1, ask, ownCpuSeconds) };
}

async function unbound(world: LookupWorld): Promise<Runs> {
  const daemon = await world.unbound("validating");
  const transport = createTransport({ clock: systemClock, random: systemRandom });
  const server: ServerAddress = { address: daemon.address, port: 53 };
  const edns = { udpPayloadSize: 1232, dnssecOk: true };
  const ask = async ({ name, type }: Lookup): Promise<void> => {
    const query = { name, type: RR_TYPE[type], recursionDesired: true, checkingDisabled: false, edns };
    const result = await transport.exchange(server, query, TIMEOUT_SECONDS * 1000);
    if (result.kind !== "response" || !result.message.authenticData || result.message.answer.length === 0)
      throw new Error(`${type} of ${name}: ${JSON.stringify(result)}`);
  };
  try {
    const cpu = (): number => schedulerCpuSeconds(daemon.pid);
    const cold = await load(shuffled(world.lookups), IN_FLIGHT, ask, cpu);
    const repeated = Array.from({ length: UNBOUND_WARM_REPEATS }, () => shuffled(world.lookups)).flat();
    return { cold, warm: await load(repeated, IN_FLIGHT, ask, cpu) };
  } finally {
    transport.close();
    await daemon.stop();
  }
}

/** Look-ups of one domain would otherwise wait for each other's keys, which no mail relay's do. */
function shuffled(lookups: readonly Lookup[]): Lookup[] {
  const result = [...lookups];
  for (let i = result.length - 1; i > 0; i -= 1) {
    const j = systemRandom.below(i + 1);
    const [a, b] = [result[i], result[j]];
    if (a === undefined || b === undefined) throw new Error("no such look-up");
    result[i] = b;
    result[j] = a;
  }
  return result;
}

const LABELS: Readonly<Record<Contestant, string>> = {
  recursive: "dane-relay, recursive",
  forward: "dane-relay, forward",
  unbound: "unbound",
};

function lines(runs: Readonly<Record<Contestant, readonly Runs[]>>, phase: keyof Runs): string[] {
  const of = (who: Contestant, key: keyof LoadFigures): number => median(runs[who].map((one) => one[phase][key]));
  return (["recursive", "forward", "unbound"] as const).map((who) => {
    const ratio = of(who, "cpuMicroseconds") / of("unbound", "cpuMicroseconds");
    return [
      `  ${LABELS[who].padEnd(22)}`,
      `look-ups/s ${of(who, "perSecond").toFixed(0).padStart(7)}`,
      `CPU us/look-up ${of(who, "cpuMicroseconds").toFixed(1).padStart(6)} (${ratio.toFixed(2)}x)`,
      `p50 us ${of(who, "p50Microseconds").toFixed(1).padStart(7)}`,
      `p99 us ${of(who, "p99Microseconds").toFixed(1).padStart(7)}`,
    ].join("  ");
  });
}
