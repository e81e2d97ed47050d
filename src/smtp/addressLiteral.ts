/**
 * Address literals (RFC 5321 §4.1.3): `[192.0.2.1]` and `[IPv6:2001:db8::1]`. Addresses come out in one text form each (decimal without
 * leading zeros, RFC 5952), so that equal addresses are equal text.
 */
export type AddressLiteral = { kind: "literal"; address: string; family: 4 | 6 };
export type AddressLiteralError = { kind: "error"; reason: string };

const IPV6_GROUPS = 8;

/** Dotted quad as RFC 5321 writes it: each Snum one to three decimal digits; the four octets, or undefined. */
function ipv4Octets(text: string): [number, number, number, number] | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  const [a, b, c, d] = match.slice(1).map(Number);
  if (a === undefined || b === undefined || c === undefined || d === undefined) return undefined;
  return Math.max(a, b, c, d) > 255 ? undefined : [a, b, c, d];
}

/** The 16-bit groups on one side of `::`, an IPv4 tail counted as two; undefined when a group is malformed. */
function ipv6Groups(text: string, mayEndInIpv4: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const tail = mayEndInIpv4 && index === parts.length - 1 ? ipv4Octets(part) : undefined;
    if (tail === undefined) return undefined;
    groups.push(tail[0] * 256 + tail[1], tail[2] * 256 + tail[3]);
  }
  return groups;
}

/** Expands `::` (RFC 4291 §2.2); undefined unless exactly eight groups come out. */
function expandIpv6(text: string): number[] | undefined {
  const sides = text.split("::");
  if (sides.length > 2) return undefined;
  const [leftText = "", rightText] = sides;
  const left = ipv6Groups(leftText, rightText === undefined);
  if (left === undefined) return undefined;
  if (rightText === undefined) return left.length === IPV6_GROUPS ? left : undefined;
  const right = ipv6Groups(rightText, true);
  if (right === undefined || left.length + right.length >= IPV6_GROUPS) return undefined;
  return [...left, ...new Array<number>(IPV6_GROUPS - left.length - right.length).fill(0), ...right];
}

/** RFC 5952 §4: lower case, no leading zeros, the first longest run of two or more zero groups as `::`. */
function ipv6Text(groups: readonly number[]): string {
  let best = { start: 0, length: 1 };
  for (let start = 0; start < groups.length; start += 1) {
    let length = 0;
    while (groups[start + length] === 0) length += 1;
    if (length > best.length) best = { start, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.length < 2) return hex.join(":");
  return `${hex.slice(0, best.start).join(":")}::${hex.slice(best.start + best.length).join(":")}`;
}

/** Parses the literal with its brackets. Tags other than IPv6 are refused: none is registered that mail could be sent to. */
export function parseAddressLiteral(text: string): AddressLiteral | AddressLiteralError {
  if (!text.startsWith("[")) return { kind: "error", reason: "an address literal begins with a bracket" };
  if (!text.endsWith("]")) return { kind: "error", reason: "address literal without closing bracket" };
  const inner = text.slice(1, -1);
  if (!inner.includes(":")) {
    const octets = ipv4Octets(inner);
    if (octets === undefined) return { kind: "error", reason: `${JSON.stringify(inner)} is not an IPv4 address` };
    return { kind: "literal", address: octets.join("."), family: 4 };
  }
  const tagged = /^IPv6:(.*)$/i.exec(inner);
  if (tagged?.[1] === undefined) {
    return { kind: "error", reason: "address literal with an unknown tag (IPv6 addresses are written [IPv6:2001:db8::1])" };
  }
  const groups = expandIpv6(tagged[1]);
  if (groups === undefined) return { kind: "error", reason: `${JSON.stringify(tagged[1])} is not an IPv6 address` };
  return { kind: "literal", address: ipv6Text(groups), family: 6 };
}

/** With brackets and tag, as SMTP writes it. */
export function addressLiteralText(literal: AddressLiteral): string {
  return literal.family === 6 ? `[IPv6:${literal.address}]` : `[${literal.address}]`;
}
