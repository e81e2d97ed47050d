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
import type { Endpoint } from "./sender.ts";

/** A signed internet with one destination, whose MX host publishes TLSA 3 1 1, behind a validating Unbound. */
export type DaneWorld = {
  domain: string;
  /** Where the MX records lead. */
  receiver: Endpoint;
  /** PEM: key and chain of the receiver. */
  identity: string;
  resolver: string;
  trustAnchorFile: string;
  /** The look-ups of both relays are Unbound's work too; its CPU is not theirs. */
  stop: () => Promise<void>;
};

const DOMAIN = "bench.lab";
const SMTP_PORT = 25;
/** "closed": no server of the lab's; a sink comes and goes there with each run. */
const DESTINATION: Scenario = {
  domain: DOMAIN,
  shows: "one destination",
  hosts: [{ name: `mx.${DOMAIN}`, server: "closed", tlsa: [tlsa("3 1 1")] }],
  expected: authenticated(`mx.${DOMAIN}`),
};
const SERVERS = { root: PLACES.rootServer, tld: PLACES.tldServer, domain: PLACES.domainServer } satisfies Record<
  Zone["tier"],
  number
>;

export async function startDaneWorld(directory: string, block: AddressBlock): Promise<DaneWorld> {
  mkdirSync(directory, { recursive: true });
  const world = assemble([DESTINATION], block, createPki());
  const [receiver] = world.receivers;
  if (receiver === undefined) throw new Error("the table has one host");
  const { leaf, chainPem } = receiver.identity;
  const identity = join(directory, "identity.pem");
  writeFileSync(identity, `${leaf.keyPem}${chainPem}`, { mode: 0o600 });
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
      domain: DOMAIN,
      receiver: { address: receiver.address, port: SMTP_PORT },
      identity,
      resolver,
      trustAnchorFile,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
