import { spawn } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SurveyResult } from "../src/diagnosis/survey.ts";
import { decodeMessage, isMalformed, type Message, RR_TYPE } from "../src/dns/message.ts";
import { type DomainName, labelCount, name, parentOf, suffixOf } from "../src/dns/name.ts";
import { decodeTarget } from "../src/dns/rdata.ts";
import { presentRdata } from "../src/dns/rdataText.ts";
import { encodeMessage, response } from "../test/fake/dnsWire.ts";
import { type Ecosystem, KINDS, startEcosystem } from "../test/fake/ecosystem.ts";
import type { Zone } from "../test/fake/zone.ts";
import type { Place } from "./endToEnd.ts";
import { cpuSeconds } from "./processTree.ts";

/**
 * `scan` of an ecosystem of planted domains, from the root down: its own process, and here the name servers and mail hosts. The tables have to
 * be as planted; told is how fast it was, and what each name server and each mail host had to bear.
 */
const PEERS = 95;
const DNS_PORT = 53;
const SAMPLE_MILLISECONDS = 500;
const MAX_UDP = 1232;

/** A name server of the ecosystem. */
type Load = { queries: number; perSecond: Map<number, number> };

export async function benchScan(domains: number, { directory, block }: Place): Promise<string[]> {
  const world = await startEcosystem(domains, block.address, PEERS, Date.now());
  const loads = new Map<string, Load>();
  const sockets: Socket[] = [];
  try {
    for (const place of [1, 2, 3, 4, 5, 6, 10, 11, 12, 15, 16, 17, 18, 20, 21, 22, 23, 24])
      sockets.push(await nameServer(world, block.address(place), place, loads));
    const run = await scanned(world, directory, block.address(1));
    check(world, run.summary);
    return [...figures(world, domains, run), ...loadLines(loads)];
  } finally {
    for (const socket of sockets) socket.close();
    await world.close();
  }
}

async function nameServer(world: Ecosystem, address: string, place: number, loads: Map<string, Load>): Promise<Socket> {
  const tier = place === 1 ? 0 : place <= 6 ? 1 : 2;
  const load: Load = { queries: 0, perSecond: new Map() };
  loads.set(`${["root", "TLD", "domains"][tier]} ${address}`, load);
  const socket = createSocket("udp4");
  socket.on("message", (wire, { port, address: from }) => {
    const query = decodeMessage(wire);
    if (isMalformed(query)) return;
    const second = Math.floor(Date.now() / 1000);
    load.queries += 1;
    load.perSecond.set(second, (load.perSecond.get(second) ?? 0) + 1);
    const answer = encodeMessage({ ...authoritative(world, query, tier), id: query.id });
    if (answer.length > MAX_UDP) throw new Error(`an answer of ${answer.length} octets to ${JSON.stringify(query.questions)}`);
    socket.send(answer, port, from);
  });
  socket.bind(DNS_PORT, address);
  await once(socket, "listening");
  return socket;
}

/** What a server that has the zones of one tier (root, TLDs, what is below) says (RFC 1034 §4.3.2). */
function authoritative({ dns }: Ecosystem, { questions }: Message, tier: 0 | 1 | 2): Message {
  const [question] = questions;
  if (question === undefined) return response({ rcode: 1 });
  const { name: asked, type } = question;
  const labels = labelCount(asked);
  const isDs = type === RR_TYPE.DS;
  const common = { questions, authoritative: true, recursionAvailable: false, recursionDesired: false };
  const cut = tier < 2 && labels > tier ? suffixOf(asked, tier + 1) : undefined;
  const child = cut === undefined ? undefined : dns.zoneAt(cut);
  if (cut !== undefined && child !== undefined && !(isDs && asked === cut)) {
    const authority = child.rrset(cut, RR_TYPE.NS);
    const additional = authority.flatMap(({ rdata }) => addressesOf(dns, decodeTarget(rdata)));
    return response({ ...common, authoritative: false, authority: [...authority], additional });
  }
  const zone = dns.zoneAt(tier === 2 ? enclosing(dns, asked, isDs) : suffixOf(asked, tier));
  if (zone === undefined) return response({ ...common, rcode: 5 });
  const { answer, authority, rcode } = zone.step(asked, type);
  return response({ ...common, rcode, answer, authority });
}

function enclosing(dns: Ecosystem["dns"], asked: DomainName, isDs: boolean): DomainName {
  let at = isDs ? (parentOf(asked) ?? name(".")) : asked;
  while (dns.zoneAt(at) === undefined) at = parentOf(at) ?? name(".");
  return at;
}

function addressesOf(dns: Ecosystem["dns"], target: ReturnType<typeof decodeTarget>) {
  if (isMalformed(target)) return [];
  const zone: Zone | undefined = dns.zoneAt(enclosing(dns, target, false));
  return [...(zone?.rrset(target, RR_TYPE.A) ?? [])];
}

type Run = { summary: SurveyResult; seconds: number; cpu: number; peakMiB: number };

async function scanned(world: Ecosystem, directory: string, root: string): Promise<Run> {
  const file = (leaf: string, text: string): string => {
    writeFileSync(join(directory, leaf), text);
    return join(directory, leaf);
  };
  const anchors = world.dns.anchors.map(({ rdata }) => `. IN DS ${presentRdata(RR_TYPE.DS, rdata)}\n`);
  const config = [
    `spool: file:${join(directory, "spool")}`,
    "hostname: survey.test",
    `resolver: {mode: recursive, trustAnchorFile: ${file("root.key", anchors.join(""))}, rootHintsFile: ${file("root.hints", `. NS ns.\nns. A ${root}\n`)}}`,
    `delivery: {port: ${world.peers[0]?.port}, allowLoopback: true}`,
    `mtaSts: {caFile: ${file("ca.pem", world.caPem)}}`,
  ];
  const domains = file("domains.txt", world.planted.map(({ domain }) => `${domain}\n`).join(""));
  const argv = ["src/main.ts", "scan", domains, "--json", "--html", join(directory, "report.html")];
  const began = performance.now();
  const child = spawn(process.execPath, [...argv, "--config", file("relay.yaml", config.join("\n"))], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let [cpu, peakMiB, last] = [0, 0, ""];
  const sampling = setInterval(() => {
    const { pid } = child;
    if (pid === undefined) return;
    cpu = Math.max(cpu, cpuSeconds(pid));
    peakMiB = Math.max(peakMiB, peakOf(pid));
  }, SAMPLE_MILLISECONDS);
  child.stdout.setEncoding("utf8");
  child.stdout.on("data", (text: string) => {
    last = (last + text).split("\n").slice(-2).join("\n");
  });
  const [status] = await once(child, "close");
  clearInterval(sampling);
  if (status !== 0) throw new Error(`scan ended with ${status}`);
  const { summary } = JSON.parse(last) as { summary: SurveyResult };
  return { summary, seconds: (performance.now() - began) / 1000, cpu, peakMiB };
}

function peakOf(pid: number): number {
  try {
    return Number(/VmHWM:\s+([0-9]+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
  } catch {
    // It has ended.
    return 0;
  }
}

/** Rejects where a table is not as planted. */
function check({ planted }: Ecosystem, { states, causes }: SurveyResult): void {
  const count = (of: (kind: (typeof KINDS)[keyof typeof KINDS]) => boolean): number =>
    planted.filter(({ kind }) => of(KINDS[kind])).length;
  for (const state of ["none", "correct", "halfdane", "incorrect", "unknown"] as const)
    if (states[state] !== count((kind) => kind.state === state)) throw new Error(`${state}: ${JSON.stringify(states)}`);
  for (const { name: cause, count: found } of causes)
    if (found !== count((kind) => "cause" in kind && kind.cause === cause))
      throw new Error(`${cause}: ${JSON.stringify(causes)}`);
}

function figures({ peers }: Ecosystem, domains: number, { seconds, cpu, peakMiB }: Run): string[] {
  const connections = peers.reduce((sum, { sessions }) => sum + sessions.length, 0);
  return [
    `scan of ${domains} domains, all tables as planted: ${seconds.toFixed(0)} s, ${(domains / seconds).toFixed(1)} domains a second, ` +
      `${((1000 * cpu) / domains).toFixed(1)} ms CPU a domain, at most ${peakMiB.toFixed(0)} MiB`,
    `connections: ${connections} to ${peers.length} addresses`,
  ];
}

function loadLines(loads: ReadonlyMap<string, Load>): string[] {
  return [...loads].map(([server, { queries, perSecond }]) => {
    const peak = Math.max(0, ...perSecond.values());
    return `  ${server.padEnd(24)} ${String(queries).padStart(8)} questions, at most ${peak} in a second`;
  });
}
