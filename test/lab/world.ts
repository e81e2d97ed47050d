import type { AddressBlock } from "./addresses.ts";
import { PLACES } from "./addresses.ts";
import { type Identity, issue, type Pki, tlsaText } from "./pki.ts";
import { type PolicyHost, policyHostOf } from "./policyHosts.ts";
import type { Host, Scenario, Server, ZoneOptions } from "./scenario.ts";
import { DEFAULT_SIGNING, type Signing } from "./sign.ts";

/** The table of scenarios turned into zones with records, and receivers with addresses and certificates. */

/** An unsigned zone, as its operator would write it. `origin` is without the trailing dot; "" is the root. */
export type Zone = {
  origin: string;
  signing: Signing | "unsigned";
  ds: ZoneOptions["ds"];
  spoil?: ZoneOptions["spoil"];
  /** Address of the name server that the parent names. */
  serverAddress: string;
  /** Which of the lab's servers loads the zone. */
  tier: "root" | "tld" | "domain";
  records: string[];
};

export type Receiver = { name: string; address: string; server: Server; identity: Identity };

export type World = {
  zones: readonly Zone[];
  receivers: readonly Receiver[];
  policyHosts: readonly PolicyHost[];
  scenarios: readonly Scenario[];
};

/** The root and the top-level domains: different algorithms, signers and kinds of denial. */
const TOP: Readonly<Record<string, Signing>> = {
  "": { algorithm: 8, denial: "nsec", keys: "ksk-zsk", signer: "bind", validity: "current" },
  lab: { algorithm: 13, denial: "nsec", keys: "ksk-zsk", signer: "bind", validity: "current" },
  hashed: { algorithm: 15, denial: "nsec3", keys: "csk", signer: "ldns", validity: "current" },
  optout: { algorithm: 8, denial: "nsec3-optout", keys: "ksk-zsk", signer: "bind", validity: "current" },
};

const SERVER_PLACES: Readonly<Record<ZoneOptions["server"], number>> = {
  healthy: PLACES.domainServer,
  "servfails-mx": PLACES.mxServfailServer,
  "servfails-tlsa": PLACES.tlsaServfailServer,
  "ignores-tlsa": PLACES.tlsaSilentServer,
};

function topZone(origin: string, signing: Signing, block: AddressBlock): Zone {
  const tier = origin === "" ? "root" : "tld";
  const place = tier === "root" ? PLACES.rootServer : PLACES.tldServer;
  return { origin, signing, ds: "matching", serverAddress: block.address(place), tier, records: [] };
}

function domainZone(origin: string, options: Partial<ZoneOptions>, block: AddressBlock): Zone {
  return {
    origin,
    signing: options.signing === "unsigned" ? "unsigned" : { ...DEFAULT_SIGNING, ...options.signing },
    ds: options.ds ?? "matching",
    ...(options.spoil === undefined ? {} : { spoil: options.spoil }),
    serverAddress: block.address(SERVER_PLACES[options.server ?? "healthy"]),
    tier: "domain",
    records: [],
  };
}

/** The most specific zone that holds `owner`. */
export function zoneOf(zones: readonly Zone[], owner: string): Zone {
  const holding = zones.filter((zone) => zone.origin === "" || owner === zone.origin || owner.endsWith(`.${zone.origin}`));
  const best = holding.toSorted((a, b) => b.origin.length - a.origin.length)[0];
  if (best === undefined) throw new Error(`no zone for ${owner}`);
  return best;
}

/** The zone that delegates to `zone`; undefined for the root. */
export function parentOf(zones: readonly Zone[], zone: Zone): Zone | undefined {
  return zone.origin === ""
    ? undefined
    : zoneOf(
        zones.filter((other) => other !== zone),
        zone.origin,
      );
}

function put(zones: readonly Zone[], record: string): void {
  const owner = record.split(" ", 1)[0] ?? "";
  zoneOf(zones, owner).records.push(`${owner}.${record.slice(owner.length)}`);
}

function hostRecords(host: Host, receiver: Receiver, scenario: Scenario, pki: Pki): string[] {
  const records: string[] = [];
  if (host.address !== "none") records.push(`${host.name} A ${receiver.address}`);
  if (host.mx !== "none") records.push(`${scenario.domain} MX ${host.mx ?? 10} ${host.name}.`);
  for (const record of host.tlsa ?? []) {
    const owner = record.owner ?? host.name;
    const place = /^[*_]/.test(owner) ? owner : `_25._tcp.${owner}`;
    records.push(`${place} TLSA ${tlsaText(record, receiver.identity, pki)}`);
  }
  return records;
}

/** Builds everything that the rows need; addresses are given in the order of the table. */
export function assemble(scenarios: readonly Scenario[], block: AddressBlock, pki: Pki): World {
  const zones = Object.entries(TOP).map(([origin, signing]) => topZone(origin, signing, block));
  for (const scenario of scenarios) {
    if (scenario.zone !== "no-zone") zones.push(domainZone(scenario.domain, scenario.zone ?? {}, block));
    for (const [origin, options] of Object.entries(scenario.zones ?? {})) zones.push(domainZone(origin, options, block));
  }
  const receivers: Receiver[] = [];
  const policyHosts: PolicyHost[] = [];
  // Receivers from below, policy hosts from above.
  const freePlaces = (): number => PLACES.lastReceiver + 1 - PLACES.firstReceiver - receivers.length - policyHosts.length;
  const placed: Scenario[] = [];
  for (const scenario of scenarios) {
    for (const record of scenario.records ?? []) put(zones, record);
    for (const host of scenario.hosts) {
      if (freePlaces() === 0) throw new Error("more servers than addresses in the lab's block");
      const number = PLACES.firstReceiver + receivers.length;
      const identity = issue(pki, host.name, host.certificate ?? {});
      const receiver = { name: host.name, address: block.address(number), server: host.server, identity };
      receivers.push(receiver);
      for (const record of hostRecords(host, receiver, scenario, pki)) put(zones, record);
    }
    const policyHost = policyHostOf(scenario, block.address(PLACES.lastReceiver - policyHosts.length), pki);
    if (policyHost !== undefined) {
      if (freePlaces() === 0) throw new Error("more servers than addresses in the lab's block");
      policyHosts.push(policyHost.host);
      for (const record of policyHost.records) put(zones, record);
    }
    placed.push({ ...scenario, recipient: recipientOf(scenario, receivers) });
  }
  return { zones, receivers, policyHosts, scenarios: placed };
}

function recipientOf(scenario: Scenario, receivers: readonly Receiver[]): string {
  const literal = /^(.*)@\[(.*)\]$/.exec(scenario.recipient ?? "");
  if (literal === null) return scenario.recipient ?? `user@${scenario.domain}`;
  const receiver = receivers.find((candidate) => candidate.name === literal[2]);
  if (receiver === undefined) throw new Error(`no receiver ${literal[2]}`);
  return `${literal[1]}@[${receiver.address}]`;
}
