/** Text of IPv4 and IPv6 addresses and the octets of A and AAAA records (RFC 1035 §3.4.1, RFC 3596, RFC 4291 §2.2, RFC 5952). */

const GROUPS = 8;

/** Dotted decimal of four octets. */
export function ipv4Text(octets: Buffer): string {
  return octets.join(".");
}

/** RFC 5952 §4: the longest run of two or more zero groups becomes `::`, the first of equals; §5: IPv4-mapped addresses end dotted. */
export function ipv6Text(octets: Buffer): string {
  const groups = Array.from({ length: octets.length >> 1 }, (_, i) => octets.readUInt16BE(2 * i));
  if (groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)) return `::ffff:${ipv4Text(octets.subarray(12))}`;
  const run = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (run.length < 2) return hex.join(":");
  return `${hex.slice(0, run.start).join(":")}::${hex.slice(run.start + run.length).join(":")}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let length = 0;
  groups.forEach((group, i) => {
    length = group === 0 ? length + 1 : 0;
    if (length > best.length) best = { start: i + 1 - length, length };
  });
  return best;
}

/** The four octets; undefined when `text` is not four decimal numbers up to 255 without leading zeros. */
export function parseIpv4(text: string): Buffer | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255)) return undefined;
  return Buffer.from(parts.map(Number));
}

/** The sixteen octets of any form of RFC 4291 §2.2; undefined when `text` is none. */
export function parseIpv6(text: string): Buffer | undefined {
  const [before, after, more] = text.split("::");
  if (before === undefined || more !== undefined) return undefined;
  const head = groupsOf(before);
  const tail = after === undefined ? [] : groupsOf(after);
  if (head === undefined || tail === undefined) return undefined;
  // An IPv4 address is the end of the whole: nothing may follow it.
  if (after !== undefined && before.includes(".")) return undefined;
  const missing = GROUPS - head.length - tail.length;
  if (after === undefined ? missing !== 0 : missing < 1) return undefined;
  const octets = Buffer.alloc(2 * GROUPS);
  [...head, ...new Array<number>(missing).fill(0), ...tail].forEach((group, i) => {
    octets.writeUInt16BE(group, 2 * i);
  });
  return octets;
}

/** Groups between colons, the last of which may be dotted decimal and then counts as two. */
function groupsOf(text: string): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const last = parts.at(-1) ?? "";
  const dotted = last.includes(".") ? parseIpv4(last) : undefined;
  const hex = dotted === undefined ? parts : parts.slice(0, -1);
  if (!hex.every((part) => /^[0-9a-fA-F]{1,4}$/.test(part))) return undefined;
  const groups = hex.map((part) => Number.parseInt(part, 16));
  return dotted === undefined ? groups : [...groups, dotted.readUInt16BE(0), dotted.readUInt16BE(2)];
}
