import { BlockList, isIP } from "node:net";

/**
 * Which addresses a name that somebody else chose may lead to (MTA-STS policy hosts, TLSRPT's `rua`): none of this machine, of the network
 * that it stands in, or of a cloud's metadata service. The networks are those of the special-purpose registries (RFC 6890) that are not
 * globally reachable, and multicast.
 */
const SPECIAL_IPV4: readonly (readonly [network: string, bits: number])[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
];
const SPECIAL_IPV6: readonly (readonly [network: string, bits: number])[] = [
  ["::", 128],
  ["::1", 128],
  ["64:ff9b:1::", 48],
  ["100::", 64],
  ["2001::", 32],
  ["2001:2::", 48],
  ["2001:10::", 28],
  ["2001:20::", 28],
  ["2001:db8::", 32],
  ["3fff::", 20],
  ["5f00::", 16],
  ["fc00::", 7],
  ["fe80::", 10],
  ["fec0::", 10],
  ["ff00::", 8],
];
/** IPv6 prefixes behind which an IPv4 address stands: mapped (RFC 4291 §2.5.5.2), compatible, NAT64 (RFC 6052 §2.1), 6to4 (RFC 3056 §2). */
const EMBEDDING: readonly (readonly [prefix: string, suffix: string, bits: number])[] = [
  ["::ffff:", "", 96],
  ["::", "", 96],
  ["64:ff9b::", "", 96],
  ["2002:", "::", 16],
];

function specialAddresses(): BlockList {
  const list = new BlockList();
  for (const [network, bits] of SPECIAL_IPV6) list.addSubnet(network, bits, "ipv6");
  for (const [network, bits] of SPECIAL_IPV4) {
    list.addSubnet(network, bits, "ipv4");
    const [a = 0, b = 0, c = 0, d = 0] = network.split(".").map(Number);
    const groups = `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
    for (const [prefix, suffix, before] of EMBEDDING) list.addSubnet(`${prefix}${groups}${suffix}`, before + bits, "ipv6");
  }
  return list;
}

const SPECIAL = specialAddresses();

/** Whether `address` (presentation text) is one of the public internet; text that is no address is not. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  return family !== 0 && !SPECIAL.check(address, family === 4 ? "ipv4" : "ipv6");
}
