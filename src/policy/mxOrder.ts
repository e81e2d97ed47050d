import type { DomainName } from "../dns/name.ts";
import type { MxData } from "../dns/rdata.ts";

/** RFC 5321 §5.1: better (lower) preference first, equals in random order; security never changes the order (RFC 7672 §2.2.1). */
export type MxOrder =
  | { kind: "hosts"; hosts: readonly [DomainName, ...DomainName[]] }
  /** RFC 7505: a single record whose exchange is the root: the domain takes no mail. */
  | { kind: "nullMx" }
  /** This relay is itself the best remaining exchanger: delivering would loop. */
  | { kind: "loop"; self: DomainName };

/** Most MX hosts that one attempt considers; what a zone lists beyond that is not tried (RFC 5321 §5.1 asks for at least two). */
export const MAX_MX_HOSTS = 20;

/**
 * The order in which the hosts of `records` are tried. `self` is this relay's own name: it and everything not better than it is dropped
 * (RFC 5321 §5.1, loop prevention). `random(n)` gives a uniform integer below n.
 */
export function mxOrder(records: readonly [MxData, ...MxData[]], self: DomainName, random: (n: number) => number): MxOrder {
  if (records.length === 1 && records[0].exchange === ".") return { kind: "nullMx" };
  const own = records.filter((record) => record.exchange === self).map((record) => record.preference);
  const limit = own.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...own);
  const usable = records.filter((record) => record.preference < limit && record.exchange !== ".");
  const hosts = shuffled(usable, random)
    .sort((a, b) => a.preference - b.preference)
    .map((record) => record.exchange);
  const [first, ...rest] = [...new Set(hosts)].slice(0, MAX_MX_HOSTS);
  if (first !== undefined) return { kind: "hosts", hosts: [first, ...rest] };
  // Only "." beside other null records, or ourselves: RFC 7505 §3 makes "." no host, so nothing is left to deliver to.
  return own.length === 0 ? { kind: "nullMx" } : { kind: "loop", self };
}

/** Fisher-Yates; the sort after it is stable, so equals keep this order. */
function shuffled<T>(items: readonly T[], random: (n: number) => number): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i -= 1) {
    const j = random(i + 1);
    const a = result[i] as T;
    result[i] = result[j] as T;
    result[j] = a;
  }
  return result;
}
