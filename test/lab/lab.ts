import { rmSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Peer, startPeer } from "../fake/smtpPeer.ts";
import { type AddressBlock, claimBlock, PLACES } from "./addresses.ts";
import type { Daemon } from "./daemon.ts";
import { type DnsProxy, type Interference, startDnsProxy } from "./dnsProxy.ts";
import { startNsd } from "./nsd.ts";
import { startOtherReceivers } from "./otherReceivers.ts";
import { createPki, issue, type Pki } from "./pki.ts";
import { startLabPolicyHost } from "./policyHosts.ts";
import { type Postfix, type PostfixListener, type Stored, startPostfix } from "./postfix.ts";
import { publish } from "./publish.ts";
import type { Scenario } from "./scenario.ts";
import { startStripper } from "./starttlsStripper.ts";
import { startUnbound } from "./unbound.ts";
import { assemble, type Receiver, type World } from "./world.ts";

/**
 * The whole internet of a test, on loopback: a signed root with its top-level domains and the table's domains on NSD, Unbound as
 * recursor, and a receiver for each host. Everything ends with `stop`, and with this process.
 */
export type Lab = {
  directory: string;
  block: AddressBlock;
  world: World;
  pki: Pki;
  trustAnchorFile: string;
  rootHintsFile: string;
  /** The lab's CA, as PEM. */
  caFile: string;
  /** Addresses of the two Unbounds; port 53. */
  validatingRecursor: string;
  plainRecursor: string;
  /** Everything that any receiver accepted until now. */
  stored: () => Promise<Stored[]>;
  /** A lying resolver in front of the validating recursor, on an address of its own. */
  startLiar: (interference: Interference) => Promise<DnsProxy>;
  /** What the receivers' Postfix logged. */
  receiverLog: () => Promise<string>;
  /** Operators at work: the receivers of Postfix as `world` has them now; and name servers that fail no question any more. */
  reloadReceivers: () => Promise<void>;
  repairNameServers: () => void;
  stop: () => Promise<void>;
};

/** What the validating recursor is called in its certificate for DNS over TLS. */
export const RESOLVER_NAME = "resolver.lab";
const BEHIND_STRIPPER = 2525;

/** Undoes what was started, in the reverse order, whatever fails on the way. */
class Undo {
  readonly #steps: (() => Promise<void>)[] = [];

  add(step: () => Promise<void>): void {
    this.#steps.push(step);
  }

  async run(): Promise<void> {
    const failures: unknown[] = [];
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, "the lab did not stop cleanly");
  }
}

const BROKEN_SERVERS: readonly { place: number; interference: Interference }[] = [
  { place: PLACES.mxServfailServer, interference: { question: ({ type }) => (type === "MX" ? "servfail" : "pass") } },
  { place: PLACES.tlsaServfailServer, interference: { question: ({ type }) => (type === "TLSA" ? "servfail" : "pass") } },
  { place: PLACES.tlsaSilentServer, interference: { question: ({ type }) => (type === "TLSA" ? "drop" : "pass") } },
];

function postfixListeners(receivers: readonly Receiver[]): PostfixListener[] {
  return receivers.flatMap((receiver): PostfixListener[] => {
    switch (receiver.server) {
      case "postfix":
      case "postfix-clear":
      case "postfix-454":
      case "postfix-without-key":
        return [{ receiver, port: 25 }];
      case "stripped":
        return [{ receiver, port: BEHIND_STRIPPER }];
      case "exim":
      case "exim-clear":
      case "opensmtpd":
      case "opensmtpd-clear":
      case "closed":
      case "handshake-fails":
      case "peer":
        return [];
      default:
        return receiver.server satisfies never;
    }
  });
}

async function startPeers(receivers: readonly Receiver[], undo: Undo): Promise<Map<Receiver, Peer>> {
  const peers = new Map<Receiver, Peer>();
  for (const receiver of receivers) {
    if (receiver.server === "stripped") {
      const stripper = await startStripper(receiver.address, BEHIND_STRIPPER);
      undo.add(() => stripper.stop());
    }
    if (receiver.server !== "handshake-fails" && receiver.server !== "peer") continue;
    const { leaf, chainPem } = receiver.identity;
    const peer = await startPeer({
      address: receiver.address,
      port: 25,
      starttls: receiver.server === "peer" ? { accept: { key: leaf.keyPem, cert: chainPem } } : { broken: "garbage" },
    });
    undo.add(() => peer.close());
    peers.set(receiver, peer);
  }
  return peers;
}

/** Each liar has an address of its own, free again when it stops. */
function liars(block: AddressBlock, upstream: string, undo: Undo): Lab["startLiar"] {
  const taken = new Set<number>();
  return async (interference) => {
    let place: number = PLACES.firstLiar;
    while (taken.has(place)) place += 1;
    if (place >= PLACES.firstReceiver) throw new Error("too many liars at once");
    taken.add(place);
    const liar = await startDnsProxy(block.address(place), upstream, interference);
    const stop = async (): Promise<void> => {
      await liar.stop();
      taken.delete(place);
    };
    undo.add(stop);
    return { ...liar, stop };
  };
}

function storedByPeers(peers: ReadonlyMap<Receiver, Peer>): Stored[] {
  return [...peers].flatMap(([receiver, peer]) =>
    peer.messages.flatMap((message) =>
      message.recipients.map((line) => ({
        recipient: /<(.*)>/.exec(line)?.[1] ?? line,
        host: receiver.name,
        channel: message.inTls ? ("tls" as const) : ("clear" as const),
        content: message.content.toString("latin1"),
      })),
    ),
  );
}

async function build(scenarios: readonly Scenario[], undo: Undo): Promise<Omit<Lab, "stop">> {
  const block = await claimBlock();
  undo.add(() => block.release());
  const directory = await mkdtemp(join(tmpdir(), "dane-relay-lab-"));
  const sweep = (): void => rmSync(directory, { recursive: true, force: true });
  process.once("exit", sweep);
  undo.add(async () => {
    await rm(directory, { recursive: true, force: true });
    process.off("exit", sweep);
  });
  // Postfix drops its privileges and must still reach its queue in here.
  await chmod(directory, 0o755);
  const keep = (daemon: Daemon): Daemon => {
    undo.add(() => daemon.stop());
    return daemon;
  };

  const pki = createPki();
  const world = assemble(scenarios, block, pki);
  const published = await publish(world.zones, directory);
  const startServer = async (tier: "root" | "tld" | "domain", place: number): Promise<void> => {
    keep(await startNsd({ name: `nsd-${tier}`, directory, address: block.address(place), zones: published.files[tier] }));
  };
  await startServer("root", PLACES.rootServer);
  await startServer("tld", PLACES.tldServer);
  await startServer("domain", PLACES.domainServer);
  let nameServers: "broken" | "repaired" = "broken";
  for (const { place, interference } of BROKEN_SERVERS) {
    const { question = () => "pass" as const } = interference;
    const whileBroken: Interference = { question: (asked) => (nameServers === "broken" ? question(asked) : "pass") };
    const proxy = await startDnsProxy(block.address(place), block.address(PLACES.domainServer), whileBroken);
    undo.add(() => proxy.stop());
  }
  const { trustAnchorFile, rootHintsFile } = published;
  const validatingRecursor = block.address(PLACES.validatingRecursor);
  const plainRecursor = block.address(PLACES.plainRecursor);
  const recursor = { directory, rootHintsFile };
  keep(
    await startUnbound({
      ...recursor,
      name: "unbound-validating",
      address: validatingRecursor,
      validation: { kind: "anchored", trustAnchorFile },
      tls: issue(pki, RESOLVER_NAME, {}),
    }),
  );
  keep(await startUnbound({ ...recursor, name: "unbound-plain", address: plainRecursor, validation: { kind: "none" } }));

  const postfix: Postfix = await startPostfix(join(directory, "postfix"), postfixListeners(world.receivers));
  keep(postfix.daemon);
  const others = await startOtherReceivers({
    receivers: world.receivers,
    directory,
    sinkAddress: block.address(PLACES.relay),
    keep,
    undo: (step) => undo.add(step),
  });
  const peers = await startPeers(world.receivers, undo);
  for (const policyHost of world.policyHosts) undo.add(await startLabPolicyHost(policyHost));
  const caFile = join(directory, "ca.pem");
  await writeFile(caFile, pki.ca.certificatePem);
  const startLiar = liars(block, validatingRecursor, undo);
  const stored = async (): Promise<Stored[]> => [...(await postfix.stored()), ...others.stored(), ...storedByPeers(peers)];
  return {
    directory,
    block,
    world,
    pki,
    trustAnchorFile,
    rootHintsFile,
    caFile,
    validatingRecursor,
    plainRecursor,
    stored,
    startLiar,
    receiverLog: postfix.log,
    reloadReceivers: () => postfix.reload(postfixListeners(world.receivers)),
    repairNameServers: () => {
      nameServers = "repaired";
    },
  };
}

/** Starts everything for these rows; rejects, with nothing left behind, when a part does not start. */
export async function startLab(scenarios: readonly Scenario[]): Promise<Lab> {
  const undo = new Undo();
  try {
    return { ...(await build(scenarios, undo)), stop: () => undo.run() };
  } catch (error) {
    await undo.run();
    throw error;
  }
}
