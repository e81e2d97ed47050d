import assert from "node:assert/strict";
import { presentTlsa, type Tlsa } from "../../../src/dane/tlsa.ts";
import { type ExplainParts, explain } from "../../../src/delivery/explain.ts";
import { EvidenceLog } from "../../../src/diagnosis/evidenceLog.ts";
import type { Explanation } from "../../../src/diagnosis/explanation.ts";
import type { SeenCertificate } from "../../../src/diagnosis/observation.ts";
import { displayName, name } from "../../../src/dns/name.ts";
import { algorithmTable } from "../../../src/dnssec/algorithm.ts";
import { parsePolicy } from "../../../src/mtasts/policy.ts";
import { createResolver } from "../../../src/resolver/resolver.ts";
import { distinctCertificates } from "../../../src/x509/distinctCertificates.ts";
import { TrustedRoots } from "../../../src/x509/serverIdentity.ts";
import { anchorsOf, signedTree } from "../../conformance/ownCase.ts";
import { chainPem, type MadeCertificate, makeAuthority } from "../../fake/certificates.ts";
import { type PeerScript, startPeer } from "../../fake/smtpPeer.ts";
import { FAKE_NOW, fakeDns, type Tamper, type ZoneDefinition } from "../../fake/zone.ts";

/**
 * A destination to be explained: zones with real signatures in memory, mail hosts on real sockets, and between them what the relay has:
 * its validator, its delivery, its explain.
 */
export type World = {
  /** Records of example.test, as in a zone file; PORT stands for the port. */
  records: readonly string[];
  /** How example.test is signed. */
  zone?: Partial<ZoneDefinition>;
  /** Further zones. */
  zones?: readonly ZoneDefinition[];
  tamper?: Tamper;
  /** Certificates (own first) of the hosts, or a whole script; a host that is not here listens to nobody. */
  hosts?: Readonly<Record<string, readonly MadeCertificate[] | Partial<PeerScript>>>;
  /** Further servers, at addresses of their own. */
  peers?: readonly (Partial<PeerScript> & { address: string })[];
  history?: readonly SeenCertificate[];
  /** The text of the MTA-STS policy that is in force. */
  sts?: string;
  target?: string;
  connecting?: "yes" | "no";
  /** Milliseconds after FAKE_NOW. */
  later?: number;
  settings?: Partial<ExplainParts["settings"]>;
};

export const NOW = FAKE_NOW * 1000;
export const AUTHORITY = makeAuthority({ commonName: "Test CA" });
const NETWORK = `127.117.${1 + (process.pid % 254)}.`;
/** Places of the names that may listen. */
const HOSTS = ["mx.example.test", "mx2.example.test", "real.example.test"];

export const PORT = await freePort();

async function freePort(): Promise<number> {
  const peer = await startPeer({ address: `${NETWORK}250` });
  await peer.close();
  return peer.port;
}

export function addressOf(host: string): string {
  return `${NETWORK}${1 + HOSTS.indexOf(host)}`;
}

/** Another address of the same host. */
export function secondAddressOf(host: string): string {
  return `${NETWORK}${101 + HOSTS.indexOf(host)}`;
}

/** `mx.example.test` as the only host of example.test, with these TLSA records. */
export function oneHost(...tlsa: readonly Tlsa[]): readonly string[] {
  return [
    "example.test MX 10 mx.example.test",
    `mx.example.test A ${addressOf("mx.example.test")}`,
    ...tlsaAt("mx.example.test", ...tlsa),
  ];
}

export function tlsaAt(host: string, ...records: readonly Tlsa[]): readonly string[] {
  return records.map((record) => `_${PORT}._tcp.${host} TLSA ${presentTlsa(record)}`);
}

function scriptOf(host: string, spec: readonly MadeCertificate[] | Partial<PeerScript>): PeerScript {
  const at = { address: addressOf(host), port: PORT };
  if (!Array.isArray(spec)) return { ...at, ...(spec as Partial<PeerScript>) };
  const [own, ...above] = spec as readonly MadeCertificate[];
  assert.ok(own !== undefined);
  return { ...at, starttls: { accept: { key: own.keyPem, cert: chainPem(own, ...above) } } };
}

/** What `explain` says of the world, and what its hosts heard. */
export async function explainIn(world: World): Promise<{ explanation: Explanation; commands: readonly string[] }> {
  const peers = [];
  for (const [host, spec] of Object.entries(world.hosts ?? {})) peers.push(await startPeer(scriptOf(host, spec)));
  for (const script of world.peers ?? []) peers.push(await startPeer({ port: PORT, ...script }));
  try {
    const found = await explain(world.target ?? "example.test", partsOf(world));
    assert.equal(found.kind, "explanation", JSON.stringify(found));
    const commands = peers.flatMap(({ sessions }) => sessions.flatMap((session) => session.commands.map(({ line }) => line)));
    return { explanation: found as Explanation, commands };
  } finally {
    for (const peer of peers) await peer.close();
  }
}

function partsOf(world: World): ExplainParts {
  const zones = signedTree(world.records).map((zone) => (zone.name === "example.test." ? { ...zone, ...world.zone } : zone));
  const dns = fakeDns([...zones, ...(world.zones ?? [])], world.tamper);
  const clock = { now: () => NOW + (world.later ?? 0), monotonic: () => performance.now() };
  const log = new EvidenceLog();
  const algorithms = algorithmTable({ sha1: "insecure" });
  const options = { source: dns.source, anchors: anchorsOf(dns), algorithms, clock, onEvidence: log.hear };
  const policy = world.sts === undefined ? undefined : parsePolicy(Buffer.from(world.sts));
  assert.notEqual(policy?.kind, "invalid");
  return {
    settings: {
      hostname: name("relay.test"),
      port: PORT,
      insecureMx: "dane",
      allowLoopback: true,
      routes: [],
      sourceAddresses: [],
      timeouts: { connectSeconds: 30, commandSeconds: 60 },
      tlsPolicies: [],
      tlsRequiredNo: "honour",
      ...world.settings,
    },
    resolver: createResolver({ ...options, timeoutSeconds: 60, trustCacheEntries: 100, cacheEntries: 100 }),
    log,
    algorithms,
    source: () => "a fake recursor",
    stsPolicyFor: (domain) =>
      Promise.resolve(
        policy?.kind === "policy"
          ? { kind: "policy", domain, id: "1", policy: policy.policy }
          : { kind: "none", because: "no-record" },
      ),
    trustedRoots: () => new TrustedRoots(distinctCertificates([AUTHORITY.der], [])),
    clock,
    moment: world.later === undefined ? "now" : "another",
    random: { below: () => 0 },
    connecting: world.connecting ?? "yes",
    historyOf: () => world.history ?? [],
  };
}

/** The world after somebody did what a finding says: its lines take the place of what stood at their names with their types. */
export function withLines(world: World, lines: readonly string[]): World {
  const added = lines.map((line) => line.replace(/ (?:\d+ )?IN /, " "));
  const places = added.map((line) => displayName(name(line.split(" ", 1)[0] ?? "")));
  const kept = world.records.filter((record) => {
    const [owner = "", type] = record.split(" ");
    return !places.includes(owner) || (type !== "TLSA" && type !== "CNAME");
  });
  return { ...world, records: [...kept, ...added] };
}
