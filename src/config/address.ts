import { isIP, isIPv4 } from "node:net";
import { type Parsed, problem, shown, textual, type ValueType, value } from "./value.ts";

/** Addresses, ports and networks as they are written in settings. */

export type Endpoint = { address: string; port: number };
export type Network = { address: string; prefixLength: number; family: 4 | 6 };
/** A recursive resolver to ask; with `tls` over TLS (RFC 7858), its certificate checked for `name`. */
export type Upstream = { address: string; port: number; tls?: { name: string } };

const DNS_PORT = 53;
const DNS_OVER_TLS_PORT = 853;
/** Whoever trusts more than this trusts strangers: 10.0.0.0/8 and fc00::/7 are the largest private networks. */
const SHORTEST_PREFIX = { 4: 8, 6: 7 } as const;
const IPV4_MAPPED = /^::ffff:/i;

function portOf(text: string): number | undefined {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return port >= 1 && port <= 65535 ? port : undefined;
}

/** `192.0.2.1:25`, `[2001:db8::1]:25`; without a port only where there is a default. */
export function splitEndpoint(text: string, defaultPort?: number): Endpoint | undefined {
  if (isIP(text) !== 0) return defaultPort === undefined ? undefined : { address: text, port: defaultPort };
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/.exec(text);
  if (match === null) return undefined;
  const address = match[1] ?? match[2] ?? "";
  const family = match[1] === undefined ? 4 : 6;
  const port = match[3] === undefined ? defaultPort : portOf(match[3]);
  return port === undefined || isIP(address) !== family ? undefined : { address, port };
}

export const endpoint: ValueType<Endpoint> = textual("ADDRESS:PORT, such as 127.0.0.1:2525 or [::1]:2525", (text) => {
  const found = splitEndpoint(text);
  return found === undefined ? "no" : value(found);
});

export function endpointText(of: Endpoint): string {
  return of.address.includes(":") ? `[${of.address}]:${of.port}` : `${of.address}:${of.port}`;
}

export const ipAddress: ValueType<string> = textual("an IP address", (text) =>
  isIP(text) === 0 || text.includes("%") ? "no" : value(text.toLowerCase()),
);

/** The address as one number, most significant bit first. */
function addressBits(address: string): bigint {
  if (isIPv4(address))
    return BigInt(
      `0b${address
        .split(".")
        .map((octet) => Number(octet).toString(2).padStart(8, "0"))
        .join("")}`,
    );
  // The URL parser writes an embedded IPv4 address as two groups and "::" as the only gap.
  const [head = "", tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const groups = (text: string | undefined): string[] => (text === undefined || text === "" ? [] : text.split(":"));
  const gap = 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array.from({ length: gap }, () => "0"), ...groups(tail)];
  return BigInt(`0x${all.map((group) => group.padStart(4, "0")).join("")}`);
}

function readNetwork(text: string): Parsed<Network> | "no" {
  const match = /^([^/%]+)(?:\/([0-9]{1,3}))?$/.exec(text);
  const address = match?.[1] ?? "";
  const family = isIP(address);
  if (family !== 4 && family !== 6) return "no";
  const width = family === 4 ? 32 : 128;
  const prefixLength = match?.[2] === undefined ? width : Number(match[2]);
  if (prefixLength > width) return "no";
  if (family === 6 && (IPV4_MAPPED.test(address) || addressBits(address) >> 32n === 0xffffn)) {
    return problem(`${shown(text)} is an IPv4 network in IPv6 form: write it as IPv4`);
  }
  if (prefixLength < SHORTEST_PREFIX[family]) {
    return problem(`${shown(text)} is too wide: trusting it would make an open relay (at least /${SHORTEST_PREFIX[family]})`);
  }
  const hostBits = BigInt(width - prefixLength);
  if ((addressBits(address) >> hostBits) << hostBits !== addressBits(address)) {
    return problem(
      `${shown(text)} has bits set behind its first ${prefixLength}: is it a single address (without /${prefixLength})?`,
    );
  }
  return value({ address: address.toLowerCase(), prefixLength, family });
}

export const network: ValueType<Network> = textual(
  "NETWORK/BITS or an address, such as 10.0.0.0/8 or 2001:db8::/32",
  readNetwork,
);

export function networkText(of: Network): string {
  return `${of.address}/${of.prefixLength}`;
}

function readUpstream(text: string): Parsed<Upstream> | "no" {
  if (!text.startsWith("tls://")) {
    const plain = splitEndpoint(text, DNS_PORT);
    return plain === undefined ? "no" : value(plain);
  }
  const [where = "", name, ...rest] = text.slice("tls://".length).split("#");
  const found = splitEndpoint(where, DNS_OVER_TLS_PORT);
  if (found === undefined || rest.length > 0) return "no";
  // Without a name there would be nothing to check the certificate for (RFC 8310 §5: the strict profile needs one).
  if (name === undefined || name === "")
    return problem(`${shown(text)} lacks the name to expect in the certificate: tls://IP#name`);
  return value({ ...found, tls: { name: name.toLowerCase() } });
}

export const upstream: ValueType<Upstream> = textual("IP, IP:PORT or tls://IP#name", readUpstream);

export function upstreamText(of: Upstream): string {
  return of.tls === undefined ? endpointText(of) : `tls://${endpointText(of)}#${of.tls.name}`;
}
