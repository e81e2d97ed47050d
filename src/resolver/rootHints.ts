import { isIP } from "node:net";
import { type DomainName, isName, name, parseName } from "../dns/name.ts";

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
 * Reads root hints in zone-file text, as IANA publishes them: `owner [TTL] [IN] NS|A|AAAA data`, one record a line, `;` comments.
 * Every name server of the root needs an address; anything else in the file is an error with its line.
 */
export function parseRootHints(text: string): readonly RootServer[] | RootHintsError {
  const servers = new Set<DomainName>();
  const addresses = new Map<DomainName, string[]>();
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    const fields = (line.split(";")[0] ?? "").trim().split(/\s+/);
    if (fields[0] === "") continue;
    const reason = readLine(fields, servers, addresses);
    if (reason !== undefined) return { kind: "error", reason: `line ${i + 1}: ${reason}` };
  }
  if (servers.size === 0) return { kind: "error", reason: "no NS record of the root" };
  const hints: RootServer[] = [];
  for (const server of servers) {
    const found = addresses.get(server);
    if (found === undefined) return { kind: "error", reason: `no address of ${server}` };
    hints.push({ name: server, addresses: found });
  }
  return hints;
}

/** Takes one record in; returns what is wrong with it. */
function readLine(fields: readonly string[], servers: Set<DomainName>, addresses: Map<DomainName, string[]>): string | undefined {
  const [ownerText = "", ...rest] = fields;
  const record = rest.filter((field, i) => !(i < 2 && (/^\d+$/.test(field) || /^in$/i.test(field))));
  const [type = "", data = "", ...more] = record;
  if (more.length > 0) return "more fields than owner, TTL, class, type and data";
  const owner = parseName(ownerText);
  if (!isName(owner)) return `${ownerText}: ${owner.reason}`;
  switch (type.toUpperCase()) {
    case "NS": {
      const target = parseName(data);
      if (!isName(target)) return `${data}: ${target.reason}`;
      if (owner !== ".") return `NS record of ${owner}, which is not the root`;
      servers.add(target);
      return undefined;
    }
    case "A":
    case "AAAA":
      if (isIP(data) !== (type.toUpperCase() === "A" ? 4 : 6)) return `${data} is no address of type ${type}`;
      addresses.set(owner, [...(addresses.get(owner) ?? []), data]);
      return undefined;
    default:
      return `type ${type} (NS, A and AAAA are expected)`;
  }
}
