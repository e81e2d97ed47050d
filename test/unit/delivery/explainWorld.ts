import assert from "node:assert/strict";
import { presentTlsa, type Tlsa } from "../../../src/dane/tlsa.ts";
import { attempt } from "../../../src/delivery/attempt.ts";
import { openConnection } from "../../../src/delivery/connection.ts";
import { decidingContext } from "../../../src/delivery/contextSettings.ts";
import { type ExplainParts, explain } from "../../../src/delivery/explain.ts";
import { explainTarget } from "../../../src/delivery/explainTarget.ts";
import type { RecipientOutcome } from "../../../src/delivery/ledger.ts";
import type { SmtpSession } from "../../../src/delivery/smtpSession.ts";
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
import { type Peer, type PeerScript, startPeer } from "../../fake/smtpPeer.ts";
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
  /** Default: another where `later` is given. */
  moment?: "now" | "another";
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
  return amongPeers(world, async (peers) => {
    const explanation = await explainedOf(world);
    const commands = peers.flatMap(({ sessions }) => sessions.flatMap((session) => session.commands.map(({ line }) => line)));
    return { explanation, commands };
  });
}

/** What `explain` says of the world, and what a delivery of mail to the same address comes to. */
export async function explainAndDeliver(world: World): Promise<{ explanation: Explanation; delivered: RecipientOutcome }> {
  return amongPeers(world, async () => ({ explanation: await explainedOf(world), delivered: await deliver(world) }));
}

async function amongPeers<T>(world: World, work: (peers: readonly Peer[]) => Promise<T>): Promise<T> {
  const peers: Peer[] = [];
  try {
    for (const [host, spec] of Object.entries(world.hosts ?? {})) peers.push(await startPeer(scriptOf(host, spec)));
    for (const script of world.peers ?? []) peers.push(await startPeer({ port: PORT, ...script }));
    return await work(peers);
  } finally {
    for (const peer of peers) await peer.close();
  }
}

async function explainedOf(world: World): Promise<Explanation> {
  const found = await explain(world.target ?? "example.test", partsOf(world));
  assert.equal(found.kind, "explanation", JSON.stringify(found));
  return found as Explanation;
}

const CONTENT = Buffer.from("Subject: test\r\n\r\nbody\r\n");

/** A delivery as the engine makes it, with a connection of its own for each session. */
async function deliver(world: World): Promise<RecipientOutcome> {
  const { settings, ...parts } = partsOf(world);
  const { verification, ...deciding } = decidingContext(settings, parts);
  const target = explainTarget(world.target ?? "example.test", settings.routes, settings.port);
  assert.ok(target.kind === "destination");
  const { destination, recipient } = target;
  const envelope = {
    ...{ id: "test", sender: "sender@relay.test", acceptedAt: parts.clock.now(), size: CONTENT.length },
    ...{ smtpUtf8: false, eightBitMime: false, requireTls: false, tlsRequiredNo: false },
  };
  const recipients = [{ address: recipient, destination, index: 0, attempts: 0, delayWarned: false }] as const;
  const sessions: SmtpSession[] = [];
  try {
    const [outcome] = await attempt(
      { envelope, destination, recipients },
      {
        ...deciding,
        session: {
          ...verification,
          matches: new WeakMap(),
          release: () => undefined,
          connect: async (_key, request) => {
            const result = await openConnection(request);
            if (result.kind === "ready") sessions.push(result.session);
            return result;
          },
        },
        content: async function* () {
          yield CONTENT;
        },
        onHost: () => undefined,
        onTrouble: (error) => {
          throw error;
        },
      },
    );
    assert.ok(outcome !== undefined);
    return outcome;
  } finally {
    for (const session of sessions) session.destroy();
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
    moment: world.moment ?? (world.later === undefined ? "now" : "another"),
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
