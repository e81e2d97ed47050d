import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AddressBlock } from "../test/lab/addresses.ts";
import { PLACES } from "../test/lab/addresses.ts";
import type { Daemon } from "../test/lab/daemon.ts";
import { startNsd } from "../test/lab/nsd.ts";
import { createPki } from "../test/lab/pki.ts";
import { publish } from "../test/lab/publish.ts";
import { authenticated, type Scenario, tlsa } from "../test/lab/scenario.ts";
import { startUnbound } from "../test/lab/unbound.ts";
import { assemble, type Zone } from "../test/lab/world.ts";
import type { ReceivingHost } from "./sink.ts";

/** A signed internet behind a validating Unbound: one destination, and 200 on 20 hosts; each MX host publishes TLSA 3 1 1. */
export type DaneWorld = {
  one: Destinations;
  many: Destinations;
  /** Of all hosts. */
  port: number;
  resolver: string;
  trustAnchorFile: string;
  /** The look-ups of both relays are Unbound's work too; its CPU is not theirs. */
  stop: () => Promise<void>;
};

export type Destinations = { domains: readonly string[]; hosts: readonly [ReceivingHost, ...ReceivingHost[]] };

const DOMAIN = "bench.lab";
const SHARED = "many.lab";
const SHARED_HOSTS = Array.from({ length: 20 }, (_, n) => `mx${n}.${SHARED}`);
const SHARED_DOMAINS = Array.from({ length: 200 }, (_, n) => `d${n}.${SHARED}`);
const SMTP_PORT = 25;
/** "closed": no server of the lab's; a sink comes and goes there with each run. */
const DESTINATION: Scenario = {
  domain: DOMAIN,
  shows: "one destination",
  hosts: [{ name: `mx.${DOMAIN}`, server: "closed", tlsa: [tlsa("3 1 1")] }],
  expected: authenticated(`mx.${DOMAIN}`),
};
const MANY_DESTINATIONS: Scenario = {
  domain: SHARED,
  shows: "many destinations on few hosts",
  hosts: SHARED_HOSTS.map((name) => ({ name, mx: "none", server: "closed", tlsa: [tlsa("3 1 1")] })),
  records: SHARED_DOMAINS.map((domain, n) => `${domain} MX 10 ${SHARED_HOSTS[n % SHARED_HOSTS.length]}.`),
  expected: authenticated(SHARED),
};
const SERVERS = { root: PLACES.rootServer, tld: PLACES.tldServer, domain: PLACES.domainServer } satisfies Record<
  Zone["tier"],
  number
>;

export async function startDaneWorld(directory: string, block: AddressBlock): Promise<DaneWorld> {
  mkdirSync(directory, { recursive: true });
  const world = assemble([DESTINATION, MANY_DESTINATIONS], block, createPki());
  const [first, second, ...others] = world.receivers.map(({ name, address, identity: { leaf, chainPem } }): ReceivingHost => {
    const identity = join(directory, `${name}.pem`);
    writeFileSync(identity, `${leaf.keyPem}${chainPem}`, { mode: 0o600 });
    return { address, identity };
  });
  if (first === undefined || second === undefined) throw new Error("the table has hosts");
  const { files, trustAnchorFile, rootHintsFile } = await publish(world.zones, directory);
  const daemons: Daemon[] = [];
  const stop = async (): Promise<void> => {
    for (const daemon of daemons.reverse()) await daemon.stop();
  };
  try {
    for (const tier of ["root", "tld", "domain"] as const) {
      daemons.push(await startNsd({ name: `nsd-${tier}`, directory, address: block.address(SERVERS[tier]), zones: files[tier] }));
    }
    const resolver = block.address(PLACES.validatingRecursor);
    const validation = { kind: "anchored", trustAnchorFile } as const;
    daemons.push(await startUnbound({ name: "unbound", directory, address: resolver, rootHintsFile, validation }));
    return {
      one: { domains: [DOMAIN], hosts: [first] },
      many: { domains: SHARED_DOMAINS, hosts: [second, ...others] },
      port: SMTP_PORT,
      resolver,
      trustAnchorFile,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
