import { type ResourceRecord, RR_TYPE } from "../dns/message.ts";
import { type DomainName, displayName, name, ROOT } from "../dns/name.ts";
import { decodeLookup, decodeTarget } from "../dns/rdata.ts";
import { typeName } from "../dns/rdataText.ts";
import { parseZoneText } from "../dns/zoneText.ts";

/**
 * Where iteration begins. The addresses of the root servers change about once in some years and one that works is enough, so there is no
 * priming query (RFC 9609): its answer is unsigned for the addresses (root-servers.net is not signed), and would put a first answer off
 * the network in the place of what is built in or configured.
 */
export type RootServer = { name: DomainName; addresses: readonly string[] };

const rootServer = (letter: string, ...addresses: string[]): RootServer => ({
  name: name(`${letter}.root-servers.net.`),
  addresses,
});

/** IANA's root hints file (https://www.iana.org/domains/root/files). */
export const IANA_ROOT_SERVERS: readonly RootServer[] = [
  rootServer("a", "198.41.0.4", "2001:503:ba3e::2:30"),
  rootServer("b", "170.247.170.2", "2801:1b8:10::b"),
  rootServer("c", "192.33.4.12", "2001:500:2::c"),
  rootServer("d", "199.7.91.13", "2001:500:2d::d"),
  rootServer("e", "192.203.230.10", "2001:500:a8::e"),
  rootServer("f", "192.5.5.241", "2001:500:2f::f"),
  rootServer("g", "192.112.36.4", "2001:500:12::d0d"),
  rootServer("h", "198.97.190.53", "2001:500:1::53"),
  rootServer("i", "192.36.148.17", "2001:7fe::53"),
  rootServer("j", "192.58.128.30", "2001:503:c27::2:30"),
  rootServer("k", "193.0.14.129", "2001:7fd::1"),
  rootServer("l", "199.7.83.42", "2001:500:9f::42"),
  rootServer("m", "202.12.27.33", "2001:dc3::35"),
];

export type RootHintsError = { kind: "error"; reason: string };

/**
 * Reads root hints in zone-file text, as IANA publishes them: NS records of the root, and an A or AAAA record for each of the servers.
 * Anything else in it is an error, since hints that are half understood are half the servers.
 */
export function parseRootHints(text: string): readonly RootServer[] | RootHintsError {
  const zone = parseZoneText(text);
  if (zone.kind === "error") return zone;
  const servers = new Set<DomainName>();
  const addresses = new Map<DomainName, string[]>();
  for (const record of zone.records) {
    const reason = readHint(record, servers, addresses);
    if (reason !== undefined) return { kind: "error", reason };
  }
  if (servers.size === 0) return { kind: "error", reason: "no NS record of the root" };
  const hints: RootServer[] = [];
  for (const server of servers) {
    const found = addresses.get(server);
    if (found === undefined) return { kind: "error", reason: `no address of ${displayName(server)}` };
    hints.push({ name: server, addresses: found });
  }
  return hints;
}

/** Takes one record in; returns what is wrong with it. */
function readHint(record: ResourceRecord, servers: Set<DomainName>, addresses: Map<DomainName, string[]>): string | undefined {
  const { name: owner, type, rdata } = record;
  const what = `${typeName(type)} record of ${displayName(owner)}`;
  switch (type) {
    case RR_TYPE.NS: {
      const server = decodeTarget(rdata);
      if (typeof server !== "string") return `${what}: ${server.reason}`;
      if (owner !== ROOT) return `${what}, which is not the root`;
      servers.add(server);
      return undefined;
    }
    case RR_TYPE.A:
    case RR_TYPE.AAAA: {
      const address = decodeLookup(type === RR_TYPE.A ? "A" : "AAAA", rdata);
      if (typeof address !== "string") return `${what}: ${address.reason}`;
      addresses.set(owner, [...(addresses.get(owner) ?? []), address]);
      return undefined;
    }
    default:
      return `${what} (NS, A and AAAA are expected)`;
  }
}
