import { BlockList, isIP } from "node:net";

/**
 * Addresses that no MX record may send mail to unless `delivery.allowLoopback` is set: this machine itself (a loop), link-local (cloud metadata
 * services live there), unspecified (means this machine), multicast and broadcast. RFC 5321 §5.1 wants loops prevented; the rest never is a mail host.
 */
const FORBIDDEN = new BlockList();
const SUBNETS: readonly [string, number, "ipv4" | "ipv6"][] = [
  ["0.0.0.0", 8, "ipv4"],
  ["127.0.0.0", 8, "ipv4"],
  ["169.254.0.0", 16, "ipv4"],
  ["224.0.0.0", 4, "ipv4"],
  ["255.255.255.255", 32, "ipv4"],
  ["::", 128, "ipv6"],
  ["::1", 128, "ipv6"],
  ["fe80::", 10, "ipv6"],
  ["ff00::", 8, "ipv6"],
];
for (const [network, bits, family] of SUBNETS) FORBIDDEN.addSubnet(network, bits, family);

/** IPv6 forms that carry an IPv4 address in their last 32 bits: mapped (RFC 4291 §2.5.5.2), compatible, and NAT64 (RFC 6052 §2.1). */
const EMBEDDING_PREFIXES = ["0:0:0:0:0:ffff:", "0:0:0:0:0:0:", "64:ff9b:0:0:0:0:"];

/** Whether mail to `address` (presentation text) is refused; text that is no address is. */
export function isForbiddenAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0) return true;
  if (FORBIDDEN.check(address, family === 4 ? "ipv4" : "ipv6")) return true;
  const embedded = family === 6 ? embeddedIpv4(address) : undefined;
  return embedded !== undefined && FORBIDDEN.check(embedded, "ipv4");
}

function embeddedIpv4(address: string): string | undefined {
  const groups = expand(address);
  const head = `${groups
    .slice(0, 6)
    .map((group) => group.toString(16))
    .join(":")}:`;
  if (!EMBEDDING_PREFIXES.includes(head)) return undefined;
  const [high = 0, low = 0] = groups.slice(6);
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join(".");
}

/** The eight 16-bit groups of valid IPv6 text (`isIP` has said so), without a zone. */
function expand(address: string): number[] {
  const text = (address.split("%")[0] ?? "").replace(
    /(\d+)\.(\d+)\.(\d+)\.(\d+)$/,
    (_, a, b, c, d) => `${(Number(a) * 256 + Number(b)).toString(16)}:${(Number(c) * 256 + Number(d)).toString(16)}`,
  );
  const [left = "", right] = text.split("::");
  const groupsOf = (part: string): number[] => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
  const before = groupsOf(left);
  if (right === undefined) return before;
  const after = groupsOf(right);
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}
