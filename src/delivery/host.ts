import { isIP } from "node:net";
import { type DanePolicy, discoverTls, type HostLookups, type InsecureMxPolicy } from "../dane/tlsDiscovery.ts";
import { type DomainName, displayName } from "../dns/name.ts";
import type { TlsaData } from "../dns/rdata.ts";
import type { ReasonChain, Resolution } from "../dnssec/securityStatus.ts";
import { isExempt, type TlsDemand } from "../policy/tlsPolicy.ts";
import type { HostAbsence } from "../policy/unroutable.ts";
import type { Resolver } from "../resolver/resolver.ts";
import { addressLiteralText } from "../smtp/addressLiteral.ts";
import { isForbiddenAddress } from "./forbiddenAddress.ts";
import type { Trace } from "./ledger.ts";
import { type LookupWord, lookupWord } from "./lookupWord.ts";
import type { HostsRoute, LiteralRoute } from "./route.ts";

/** What DNS says of one host of a route: where to connect, and what DANE asks of the connection. */
export type HostEvidence =
  | {
      kind: "reachable";
      host: string;
      addresses: readonly string[];
      dane: DanePolicy;
      dnssec: Trace["dnssec"];
      /** Of the TLSA RRset that decided. */
      tlsaTtlSeconds?: number;
    }
  /** Proved to have no address that may be connected to. */
  | { kind: "absent"; host: string; why: HostAbsence; dnssec: Trace["dnssec"] }
  /** Its addresses could not be looked up: it may have some. */
  | { kind: "unknown"; host: string; reasons: ReasonChain; dnssec: Trace["dnssec"] };

export type HostContext = { resolver: Resolver; allowLoopback: boolean; insecureMx: InsecureMxPolicy };

/** Most addresses that one attempt tries of one host (RFC 5321 §5.1: at least two MUST be tried over all hosts). */
export const MAX_ADDRESSES = 6;

/** What DNS says of each host of a route, looked up only when its turn comes. */
export async function* evidenceOf(
  route: HostsRoute | LiteralRoute,
  demand: TlsDemand,
  context: HostContext,
): AsyncGenerator<HostEvidence> {
  if (route.kind === "literal") yield literalEvidence(route, context.allowLoopback);
  else for (const host of route.hosts) yield await gatherEvidence(host, route, demand, context);
}

/** Looks up addresses first and TLSA only then (RFC 7672 §2.2.2: TLSA queries to unsigned zones often fail), and judges them. */
async function gatherEvidence(
  name: DomainName,
  route: HostsRoute,
  demand: TlsDemand,
  context: HostContext,
): Promise<HostEvidence> {
  const [a, aaaa] = await Promise.all([context.resolver.resolve(name, "A"), context.resolver.resolve(name, "AAAA")]);
  // RFC 7672 §2.2.1: logged as the MX record has it, not as where its aliases lead.
  const host = displayName(name);
  const known = { mx: route.mxLookup, address: addressWord(a, aaaa) };
  const dnssec = { ...known, tlsa: "not-asked" } as const;
  const usable = usableAddresses(a, aaaa, context.allowLoopback || route.origin.kind === "relay");
  if (usable.kind === "unknown") return { kind: "unknown", host, reasons: usable.reasons, dnssec };
  if (usable.kind !== "addresses") return { kind: "absent", host, why: usable, dnssec };
  const { addresses } = usable;
  if (isExempt(demand)) return { kind: "reachable", host, addresses, dane: { kind: "notApplicable", because: "exempt" }, dnssec };
  const { origin, port } = route;
  const found = await discover({ host: name, port, origin, insecureMx: context.insecureMx, a, aaaa }, context.resolver);
  const ttl = found.ttlSeconds === undefined ? {} : { tlsaTtlSeconds: found.ttlSeconds };
  return { kind: "reachable", host, addresses, dane: found.policy, dnssec: { ...known, tlsa: found.tlsa }, ...ttl };
}

/** A literal as next hop: DANE does not apply (RFC 7672 §2.2). */
function literalEvidence({ address, found }: LiteralRoute, allowLoopback: boolean): HostEvidence {
  const dnssec = { mx: "not-asked", address: "not-asked", tlsa: "not-asked" } as const;
  const host = addressLiteralText({ kind: "literal", address, family: isIP(address) === 6 ? 6 : 4 });
  if (!allowLoopback && found === "by-address" && isForbiddenAddress(address)) {
    return { kind: "absent", host, why: { kind: "refused", addresses: [address] }, dnssec };
  }
  return { kind: "reachable", host, addresses: [address], dane: { kind: "notApplicable", because: "address-literal" }, dnssec };
}

type Discovered = { policy: DanePolicy; tlsa: LookupWord; ttlSeconds?: number };

/** Asks TLSA questions until `discoverTls` has decided; it names each candidate at most once, so this ends. */
async function discover(lookups: HostLookups, resolver: Resolver): Promise<Discovered> {
  const answers: Resolution<TlsaData>[] = [];
  let tlsa: LookupWord = "not-asked";
  for (;;) {
    const step = discoverTls(lookups, answers);
    if (step.kind === "decided") {
      const last = answers.at(-1);
      return { policy: step.policy, tlsa, ...(last !== undefined && "records" in last ? { ttlSeconds: last.ttlSeconds } : {}) };
    }
    if (step.kind === "noAddress") throw new Error(`no address of ${lookups.host} after one was found`);
    const answer = await resolver.resolve(step.query, "TLSA");
    answers.push(answer);
    tlsa = lookupWord(answer);
  }
}

/** The addresses to try, families alternating; or why there are none. A failed family contributes nothing. */
function usableAddresses(
  a: Resolution<string>,
  aaaa: Resolution<string>,
  loopbackAllowed: boolean,
): { kind: "addresses"; addresses: readonly string[] } | { kind: "unknown"; reasons: ReasonChain } | HostAbsence {
  const all = alternate(addressesOf(aaaa), addressesOf(a));
  const allowed = loopbackAllowed ? all : all.filter((address) => !isForbiddenAddress(address));
  if (allowed.length > 0) return { kind: "addresses", addresses: allowed.slice(0, MAX_ADDRESSES) };
  // RFC 7672 §2.1.2: what failed to resolve may hold an address; only a proved absence of both families is one.
  for (const family of [a, aaaa])
    if (family.status === "bogus" || family.status === "indeterminate") return { kind: "unknown", reasons: family.reasons };
  return all.length > 0 ? { kind: "refused", addresses: all } : { kind: "noAddress" };
}

function addressesOf(resolution: Resolution<string>): readonly string[] {
  if (resolution.status === "bogus" || resolution.status === "indeterminate") return [];
  return resolution.answer === "records" ? resolution.records : [];
}

function alternate(first: readonly string[], second: readonly string[]): string[] {
  const result: string[] = [];
  for (let i = 0; i < Math.max(first.length, second.length); i += 1)
    result.push(...first.slice(i, i + 1), ...second.slice(i, i + 1));
  return result;
}

/** One word for both families: secure if either is (DANE then applies), else the worst that was seen of those that matter. */
function addressWord(a: Resolution<string>, aaaa: Resolution<string>): LookupWord {
  const words = [a, aaaa].map((family) => ({ word: lookupWord(family), has: addressesOf(family).length > 0 }));
  const withAddress = words.filter(({ has }) => has).map(({ word }) => word);
  const relevant = withAddress.length > 0 ? withAddress : words.map(({ word }) => word);
  const order: readonly LookupWord[] =
    withAddress.length > 0 ? ["secure", "insecure"] : ["bogus", "failed", "insecure", "secure"];
  return order.find((word) => relevant.includes(word)) ?? "failed";
}
