import assert from "node:assert/strict";
import { systemClock } from "../../../src/clock.ts";
import type { InsecureMxPolicy } from "../../../src/dane/tlsDiscovery.ts";
import { attempt } from "../../../src/delivery/attempt.ts";
import { openConnection } from "../../../src/delivery/connection.ts";
import { ConnectionPool } from "../../../src/delivery/connectionPool.ts";
import type { DeliveryContext } from "../../../src/delivery/context.ts";
import { checkDomain, type DomainCheck } from "../../../src/delivery/domainCheck.ts";
import type { DeliverySight } from "../../../src/delivery/hostSight.ts";
import type { RecipientOutcome, Trace } from "../../../src/delivery/ledger.ts";
import type { RouteSetting } from "../../../src/delivery/route.ts";
import { type DomainName, displayName, name } from "../../../src/dns/name.ts";
import type { LookupType, RecordData } from "../../../src/dns/rdata.ts";
import { parsePolicy } from "../../../src/mtasts/policy.ts";
import type { PolicyInForce } from "../../../src/mtasts/policyInForce.ts";
import type { TlsDemand } from "../../../src/policy/tlsPolicy.ts";
import type { Envelope, QueuedRecipient, Work } from "../../../src/spool/message.ts";
import type { SessionResult } from "../../../src/tlsrpt/result.ts";
import { distinctCertificates } from "../../../src/x509/distinctCertificates.ts";
import { TrustedRoots } from "../../../src/x509/serverIdentity.ts";
import { chainPem, EXPIRED, makeAuthority, makeLeaf, tlsaFor } from "../../fake/certificates.ts";
import { type FakeAnswer, FakeResolver } from "../../fake/resolver.ts";
import { type Peer, type PeerScript, type PeerStarttls, type PeerTls, startPeer } from "../../fake/smtpPeer.ts";

/**
 * A world in which one message is attempted: DNS as a table in words, real receivers on loopback addresses, and the delivery of dane-relay
 * put together as the engine does it.
 *
 * DNS, one record a line: `owner TYPE status data`. Status is secure, insecure, bogus or fail. Data: for MX `10 mx1.example.org`, for A and
 * AAAA a receiver's name or an address, for TLSA `3 1 1 own` (the server key), `2 1 1 ca`, `3 1 1 other` (nobody's); `nodata` or `nxdomain`
 * for a denial. `via STATUS TARGET` before the data: an alias hop. PORT stands for the port.
 */
export type Receiver =
  /**
   * STARTTLS with a self-signed certificate; with one of the CA's for `names`, whose chain is sent (`key`: the same key as the self-signed
   * one's); no STARTTLS; nothing listens.
   */
  | "self-signed"
  | { names: readonly string[]; key?: "own"; validity?: "expired"; more?: Partial<PeerScript> }
  | { starttls: Exclude<PeerStarttls, { accept: PeerTls }>; more?: Partial<PeerScript> }
  | { more: Partial<PeerScript> }
  | { implicit: Partial<PeerScript> }
  | "no-starttls"
  | "closed";

export type World = {
  dns: string;
  receivers?: Readonly<Record<string, Receiver>>;
  /** Zones whose missing names are denied securely; default: example.org, example.net. */
  signed?: readonly string[];
  destination?: string;
  recipients?: readonly string[];
  envelope?: Partial<Envelope>;
  demand?: Partial<TlsDemand>;
  /** MTA-STS by next-hop domain: mode and mx patterns. */
  sts?: Readonly<Record<string, string>>;
  insecureMx?: InsecureMxPolicy;
  allowLoopback?: boolean;
  /** For an address that hangs. */
  connectSeconds?: number;
  routes?: readonly RouteSetting[];
  /** Password files. */
  secrets?: Readonly<Record<string, string>>;
  self?: string;
  content?: () => AsyncIterable<Buffer>;
};

const AUTHORITY = makeAuthority({ commonName: "Test CA" });
const TRUSTED = new TrustedRoots(distinctCertificates([AUTHORITY.der], []));
const OWN = makeLeaf();
const OTHER = makeLeaf();
const OWN_TLS: PeerTls = { key: OWN.keyPem, cert: OWN.certificatePem };

/** Addresses by the order in which receivers are named; `six` is at ::1. Each test process has a network of its own. */
export const NETWORK = `127.21.${1 + (process.pid % 254)}.`;
const CONTENT = Buffer.from("Subject: test\r\n\r\nbody\r\n");

/** Free on all the addresses: nobody else is in this network. */
export const PORT = await freePort();

async function freePort(): Promise<number> {
  const peer = await startPeer({ address: `${NETWORK}1` });
  await peer.close();
  return peer.port;
}

function scriptOf(receiver: Exclude<Receiver, "closed">): Partial<PeerScript> {
  if (receiver === "self-signed") return { starttls: { accept: OWN_TLS } };
  if (receiver === "no-starttls") return {};
  if ("implicit" in receiver) return { implicitTls: OWN_TLS, ...receiver.implicit };
  if ("names" in receiver) {
    const leaf = makeLeaf({
      names: receiver.names,
      issuer: AUTHORITY,
      ...(receiver.key === "own" ? { keys: OWN.keys } : {}),
      ...(receiver.validity === "expired" ? EXPIRED : {}),
    });
    return { starttls: { accept: { key: leaf.keyPem, cert: chainPem(leaf, AUTHORITY) } }, ...receiver.more };
  }
  if ("starttls" in receiver) return { starttls: receiver.starttls, ...receiver.more };
  return { starttls: { accept: OWN_TLS }, ...receiver.more };
}

type Row = FakeAnswer<LookupType> & { records: unknown[] };

function zoneTable(text: string, addressOf: (word: string) => string): Record<string, Record<string, Row>> {
  const table: Record<string, Record<string, Row>> = {};
  for (const line of text.replaceAll("PORT", String(PORT)).split("\n")) {
    const [owner, type, status, ...data] = line.trim().split(/\s+/);
    if (owner === undefined || owner === "") continue;
    assert.ok(type !== undefined && status !== undefined, `not a record: ${line}`);
    const via: { to: string; status: "secure" | "insecure" }[] = [];
    while (data[0] === "via") {
      const [, hop, to] = data.splice(0, 3);
      via.push({ to: to ?? "", status: hop as "secure" | "insecure" });
    }
    table[type] ??= {};
    const rows = table[type];
    rows[owner] ??= { status: status as Row["status"], via, records: [] };
    const [first] = data;
    if (first === "nodata" || first === "nxdomain") rows[owner] = { ...rows[owner], absent: first };
    else if (first !== undefined) rows[owner].records.push(recordOf(type, data, addressOf));
  }
  return table;
}

function recordOf(type: string, data: readonly string[], addressOf: (word: string) => string): RecordData[LookupType] {
  const [first = "", second = "", third = "", fourth = ""] = data;
  if (type === "MX") return { preference: Number(first), exchange: name(second) };
  if (type === "TLSA") {
    const certificate = { own: OWN, other: OTHER, ca: AUTHORITY }[fourth];
    assert.ok(certificate !== undefined, `not a certificate: ${fourth}`);
    return tlsaFor(certificate, Number(first), Number(second), Number(third));
  }
  return addressOf(first);
}

export type Played = {
  results: readonly RecipientOutcome[];
  peers: ReadonlyMap<string, Peer>;
  /** `mx1:tls`, `mx2:clear`: every message that a receiver accepted. */
  received: readonly string[];
  asked: readonly string[];
  hosts: readonly Trace[];
  /** How sessions count in TLS reports. */
  sessions: readonly SessionResult[];
  /** What new sessions showed, for the history. */
  sights: readonly DeliverySight[];
  troubles: readonly unknown[];
};

function workOf(world: World): Work {
  const destination = world.destination ?? "example.org";
  const queued = (world.recipients ?? ["user"]).map(
    (local, index): QueuedRecipient => ({
      address: `${local}@${destination}`,
      destination,
      index,
      attempts: 0,
      delayWarned: false,
    }),
  );
  const [first, ...more] = queued;
  assert.ok(first !== undefined);
  const envelope: Envelope = {
    id: "test1",
    sender: "sender@relay.test",
    acceptedAt: 0,
    smtpUtf8: false,
    eightBitMime: false,
    requireTls: false,
    tlsRequiredNo: false,
    size: CONTENT.length,
    ...world.envelope,
  };
  return { envelope, destination, recipients: [first, ...more] };
}

/** Everything up and ready, so that several messages can follow each other; `close` it. */
export async function startWorld(world: World) {
  const names = Object.keys(world.receivers ?? {});
  const addressOf = (word: string): string => {
    if (word === "six") return "::1";
    return names.includes(word) ? `${NETWORK}${names.indexOf(word) + 1}` : word;
  };
  const peers = new Map<string, Peer>();
  for (const [receiverName, receiver] of Object.entries(world.receivers ?? {})) {
    if (receiver === "closed") continue;
    peers.set(receiverName, await startPeer({ address: addressOf(receiverName), port: PORT, ...scriptOf(receiver) }));
  }
  const resolver = new FakeResolver(zoneTable(world.dns, addressOf), world.signed ?? ["example.org", "example.net"]);
  const pool = new ConnectionPool({ clock: systemClock });
  const hosts: Trace[] = [];
  const sessions: SessionResult[] = [];
  const sights: DeliverySight[] = [];
  const troubles: unknown[] = [];
  const context: DeliveryContext = {
    route: {
      resolver,
      routes: world.routes ?? [],
      port: PORT,
      self: name(world.self ?? "relay.test"),
      random: () => 0,
      readSecret: secretOf(world),
    },
    resolver,
    allowLoopback: world.allowLoopback ?? true,
    insecureMx: world.insecureMx ?? "dane",
    stsPolicyFor: (domain) => Promise.resolve(stsOf(world, domain)),
    demandOf: () => ({ level: "dane", levelFrom: "default", messageTls: "unspecified", ...world.demand }),
    request: { hostname: "relay.test", timeouts: { connectSeconds: world.connectSeconds ?? 30, commandSeconds: 60 } },
    localAddressFor: () => undefined,
    session: {
      now: () => Date.now(),
      trustedRoots: () => TRUSTED,
      matches: new WeakMap(),
      release: (session) => pool.release(session),
      connect: (key, request, source) => pool.acquire(key, source, () => openConnection(request)),
    },
    content: world.content ?? once,
    onHost: (trace) => hosts.push(trace),
    onSession: (result) => sessions.push(result),
    onSight: (sight) => sights.push(sight),
    onTrouble: (error) => troubles.push(error),
  };
  return {
    peers,
    addressOf,
    /** One attempt; what is told is of this and all before it. */
    play: async (destination = world.destination): Promise<Played> => {
      const results = await attempt(workOf(destination === undefined ? world : { ...world, destination }), context);
      const received = [...peers].flatMap(([peerName, peer]) =>
        peer.messages.map(({ inTls }) => `${peerName}:${inTls ? "tls" : "clear"}`),
      );
      return { results, peers, received, asked: resolver.asked, hosts, sessions, sights, troubles };
    },
    /** The decisions of an attempt, without a message and without the exception that `demand` is. */
    check: (): Promise<DomainCheck> => checkDomain(world.destination ?? "example.org", context),
    close: async (): Promise<void> => {
      await pool.close();
      for (const peer of peers.values()) await peer.close();
    },
  };
}

function secretOf({ secrets = {} }: World): (file: string) => Promise<string> {
  return (file) => {
    const text = secrets[file];
    return text === undefined ? Promise.reject(new Error(`ENOENT: ${file}`)) : Promise.resolve(text);
  };
}

/** `enforce mx1.example.org *.example.net`: the policy in force; `failed`: there is one that cannot be had. */
function stsOf({ sts = {} }: World, domain: DomainName): PolicyInForce {
  const [mode, ...mx] = (sts[displayName(domain)] ?? "").split(" ");
  if (mode === "") return { kind: "none", because: "no-record" };
  if (mode === "failed")
    return { kind: "none", because: "failed", failure: "sts-policy-fetch-error", reason: "no answer in time" };
  const lines = ["version: STSv1", `mode: ${mode}`, ...mx.map((pattern) => `mx: ${pattern}`), "max_age: 86400"];
  const parsed = parsePolicy(Buffer.from(lines.join("\n")));
  assert.ok(parsed.kind === "policy");
  return { kind: "policy", domain, id: "1", policy: parsed.policy };
}

async function* once(): AsyncGenerator<Buffer> {
  yield CONTENT;
}

/** One message in a world of its own. */
export async function playOnce(world: World): Promise<Played> {
  const started = await startWorld(world);
  try {
    return await started.play();
  } finally {
    await started.close();
  }
}
