import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock, systemRandom } from "../../src/clock.ts";
import { DeliveryEngine, type DeliveryModuleEvent, type DeliverySettings } from "../../src/delivery/engine.ts";
import { name } from "../../src/dns/name.ts";
import { messageIds } from "../../src/spool/messageId.ts";
import { openSqliteStore } from "../../src/spool/sqliteStore.ts";
import type { Store } from "../../src/spool/store.ts";
import { TrustedRoots } from "../../src/x509/serverIdentity.ts";
import { FakeResolver } from "../fake/resolver.ts";
import { type Peer, type PeerScript, startPeer } from "../fake/smtpPeer.ts";

/** One MX record: domains' records in order of preference. */
export type RigHost = {
  domain: string;
  host: string;
  /** Without: an earlier row's host, for a further domain. */
  script?: Partial<PeerScript>;
};

/** The real delivery and the real spool, between a table for DNS and scripted receivers. */
export type Rig = {
  store: Store;
  peers: ReadonlyMap<string, Peer>;
  events: readonly DeliveryModuleEvent[];
  /** Queues a message for each recipient. */
  queue: (recipients: readonly string[], content?: Buffer) => Promise<void>;
  /** Resolves when nothing is queued any more; rejects when delivery reports trouble of its own. */
  drained: () => Promise<void>;
  /** As SIGTERM does, with the receivers still there. */
  stop: () => Promise<unknown>;
  close: () => Promise<void>;
};

const POLL_MILLISECONDS = 10;
const CONTENT = Buffer.from("Subject: test\r\n\r\n.body\r\n");

export async function startRig(
  network: string,
  hosts: readonly RigHost[],
  settings: Partial<DeliverySettings> = {},
): Promise<Rig> {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-rig-"));
  const store = await openSqliteStore({ directory, reserveBytes: 0 });
  const peers = new Map<string, Peer>();
  const mx: Record<string, { status: "insecure"; records: { preference: number; exchange: ReturnType<typeof name> }[] }> = {};
  const addresses: Record<string, { status: "insecure"; records: string[] }> = {};
  let port = 0;
  for (const [index, { domain, host, script }] of hosts.entries()) {
    if (script !== undefined) {
      const address = `${network}.${index + 1}`;
      const peer = await startPeer({ address, port, ...script });
      // The relay has one port for all: the first free one is taken for the others too.
      port = peer.port;
      peers.set(host, peer);
      addresses[host] = { status: "insecure", records: [address] };
    }
    mx[domain] ??= { status: "insecure", records: [] };
    mx[domain].records.push({ preference: index, exchange: name(host) });
  }
  const events: DeliveryModuleEvent[] = [];
  const newId = messageIds(systemClock, systemRandom);
  const engine = new DeliveryEngine({
    settings: {
      hostname: name("relay.example"),
      port,
      insecureMx: "dane",
      allowLoopback: true,
      tlsPolicies: [],
      tlsRequiredNo: "honour",
      routes: [],
      sourceAddresses: [],
      timeouts: { connectSeconds: 30, commandSeconds: 30 },
      retry: { initialSeconds: 1, maximumSeconds: 1, lifetimeHours: 1, delayWarningHours: 1 },
      maxConnections: 200,
      maxConnectionsPerDestination: 20,
      rates: [],
      drain: "transactions",
      drainSeconds: 20,
      ...settings,
    },
    resolver: new FakeResolver({ MX: mx, A: addresses }),
    stsPolicyFor: () => Promise.resolve({ kind: "none", because: "off" }),
    trustedRoots: () => new TrustedRoots([]),
    store,
    clock: systemClock,
    random: systemRandom,
    newId,
    onEvent: (event) => events.push(event),
  });
  engine.start();
  const queue = async (recipients: readonly string[], content: Buffer = CONTENT): Promise<void> => {
    await Promise.all(
      recipients.map((address) => {
        const recipient = { address, destination: address.slice(address.indexOf("@") + 1) };
        const envelope = {
          id: newId(),
          sender: "sender@example.org",
          acceptedAt: systemClock.now(),
          smtpUtf8: false,
          eightBitMime: false,
          requireTls: false,
          tlsRequiredNo: false,
          size: content.length,
        };
        return store.add({ envelope, recipients: [recipient] }, content);
      }),
    );
  };
  const queued = async (): Promise<number> => {
    const { incoming, active, deferred, held } = await store.counts();
    return incoming + active + deferred + held;
  };
  const drained = async (): Promise<void> => {
    while ((await queued()) > 0) {
      const trouble = events.find((event) => event.kind === "trouble");
      if (trouble !== undefined) throw trouble.error;
      await delay(POLL_MILLISECONDS);
    }
    // What the answers before this one led to is told by now.
    await queued();
  };
  const stop = (): Promise<unknown> => engine.stop();
  const close = async (): Promise<void> => {
    for (const peer of peers.values()) await peer.close();
    await engine.stop();
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  };
  return { store, peers, events, queue, drained, stop, close };
}
