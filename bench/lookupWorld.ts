import { mkdir } from "node:fs/promises";
import { name } from "../src/dns/name.ts";
import { type AddressBlock, PLACES } from "../test/lab/addresses.ts";
import type { Daemon } from "../test/lab/daemon.ts";
import { startNsd } from "../test/lab/nsd.ts";
import { publish } from "../test/lab/publish.ts";
import { DEFAULT_SIGNING } from "../test/lab/sign.ts";
import { startUnbound } from "../test/lab/unbound.ts";
import type { Zone } from "../test/lab/world.ts";
import type { Lookup } from "./lookupLoad.ts";

/** A signed root, a signed top-level domain and many signed domains below it, each on NSD; and the four look-ups of mail for each domain. */
export type LookupWorld = {
  lookups: readonly Lookup[];
  trustAnchorFile: string;
  rootHintsFile: string;
  /** Starts an Unbound with empty caches. */
  unbound: (kind: "validating" | "plain") => Promise<Daemon & { address: string }>;
  stop: () => Promise<void>;
};

const TLD = "lab";
const DIGEST = "0b9fa5a59eed715c26c1020c711b4f6ec42d58b0015e14337a39dad301c5afc3";

export async function startLookupWorld(directory: string, block: AddressBlock, domains: number): Promise<LookupWorld> {
  await mkdir(directory, { recursive: true });
  const signing = DEFAULT_SIGNING;
  const zone = (origin: string, tier: Zone["tier"], place: number, records: string[] = []): Zone => {
    return { origin, tier, signing, ds: "matching", serverAddress: block.address(place), records };
  };
  const origins = Array.from({ length: domains }, (_, i) => `d${i}.${TLD}`);
  const { files, trustAnchorFile, rootHintsFile } = await publish(
    [
      { ...zone("", "root", PLACES.rootServer), signing: { ...signing, algorithm: 8, keys: "ksk-zsk" } },
      zone(TLD, "tld", PLACES.tldServer),
      ...origins.map((origin) => zone(origin, "domain", PLACES.domainServer, mailRecords(origin))),
    ],
    directory,
  );
  const daemons: Daemon[] = [];
  const places = { root: PLACES.rootServer, tld: PLACES.tldServer, domain: PLACES.domainServer };
  const stop = async (): Promise<void> => {
    for (const daemon of daemons) await daemon.stop();
  };
  try {
    for (const tier of ["root", "tld", "domain"] as const)
      daemons.push(await startNsd({ name: `nsd-${tier}`, directory, address: block.address(places[tier]), zones: files[tier] }));
  } catch (error) {
    await stop();
    throw error;
  }
  const unbound: LookupWorld["unbound"] = async (kind) => {
    const address = block.address(kind === "plain" ? PLACES.plainRecursor : PLACES.validatingRecursor);
    const validation = kind === "plain" ? ({ kind: "none" } as const) : ({ kind: "anchored", trustAnchorFile } as const);
    return { ...(await startUnbound({ name: `unbound-${kind}`, directory, address, rootHintsFile, validation })), address };
  };
  return { lookups: origins.flatMap(mailLookups), trustAnchorFile, rootHintsFile, unbound, stop };
}

function mailRecords(origin: string): string[] {
  return [
    `${origin}. MX 10 mx.${origin}.`,
    `mx.${origin}. A 192.0.2.1`,
    `mx.${origin}. AAAA 2001:db8::1`,
    `_25._tcp.mx.${origin}. TLSA 3 1 1 ${DIGEST}`,
  ];
}

function mailLookups(origin: string): Lookup[] {
  return [
    { name: name(origin), type: "MX" },
    { name: name(`mx.${origin}`), type: "A" },
    { name: name(`mx.${origin}`), type: "AAAA" },
    { name: name(`_25._tcp.mx.${origin}`), type: "TLSA" },
  ];
}
