import { isIP } from "node:net";
import type { HostOrigin } from "../dane/referenceIdentifier.ts";
import { type DanePolicy, discoverTls, type HostLookups, type InsecureMxPolicy } from "../dane/tlsDiscovery.ts";
import { type DomainName, displayName } from "../dns/name.ts";
import type { TlsaData } from "../dns/rdata.ts";
import type { ReasonChain, Resolution } from "../dnssec/securityStatus.ts";
import { daneIsAsked, type MessageTls, type TlsLevel } from "../policy/tlsPolicy.ts";
import type { Resolver } from "../resolver/resolver.ts";
import { isForbiddenAddress } from "./forbiddenAddress.ts";
import type { Trace } from "./ledger.ts";
import { type LookupWord, lookupWord } from "./lookupWord.ts";
import type { Route } from "./route.ts";

/** What DNS says of one host of a route: where to connect, and what DANE asks of the connection. */
export type HostEvidence =
  | { kind: "reachable"; host: string; addresses: readonly string[]; dane: DanePolicy; dnssec: Trace["dnssec"] }
  | { kind: "absent"; host: string; why: Absence; dnssec: Trace["dnssec"] };

/** `refused`: only addresses that `delivery.allowLoopback` forbids. */
export type Absence =
  | { kind: "noAddress" }
  | { kind: "refused"; addresses: readonly string[] }
  | { kind: "failed"; reasons: ReasonChain };

export type HostContext = {
  resolver: Resolver;
  allowLoopback: boolean;
  insecureMx: InsecureMxPolicy;
  demand: { level: TlsLevel; levelFrom: "default" | "operator"; messageTls: MessageTls };
};

/** Most addresses that one attempt tries of one host (RFC 5321 §5.1: at least two MUST be tried over all hosts). */
export const MAX_ADDRESSES = 6;

export type HostsRoute = Extract<Route, { kind: "hosts" }>;

/** Looks up addresses first and TLSA only then (RFC 7672 §2.2.2: TLSA queries to unsigned zones often fail), and judges them. */
export async function gatherEvidence(host: DomainName, route: HostsRoute, context: HostContext): Promise<HostEvidence> {
  const [a, aaaa] = await Promise.all([context.resolver.resolve(host, "A"), context.resolver.resolve(host, "AAAA")]);
  const lookups: HostLookups = { host, port: route.port, origin: originOf(route), insecureMx: context.insecureMx, a, aaaa };
  const name = displayName(host);
  const dnssec = { mx: route.mxLookup, address: addressWord(a, aaaa) };
  const absence = absenceOf(a, aaaa, context.allowLoopback || route.found === "by-route");
  if (absence.kind !== "addresses") return { kind: "absent", host: name, why: absence, dnssec: { ...dnssec, tlsa: "not-asked" } };
  const asked = daneIsAsked({ ...context.demand, mx: route.mx, insecureMx: context.insecureMx });
  const found =
    asked === "asked"
      ? await discover(lookups, context.resolver)
      : { policy: { kind: "notApplicable", because: asked } as const, tlsa: "not-asked" as const };
  return {
    kind: "reachable",
    host: name,
    addresses: absence.addresses,
    dane: found.policy,
    dnssec: { ...dnssec, tlsa: found.tlsa },
  };
}

/** A literal as next hop: DANE does not apply (RFC 7672 §2.2). */
export function literalEvidence(route: Extract<Route, { kind: "literal" }>, allowLoopback: boolean): HostEvidence {
  const dnssec = { mx: "not-asked", address: "not-asked", tlsa: "not-asked" } as const;
  const host = `[${isIP(route.address) === 6 ? "IPv6:" : ""}${route.address}]`;
  if (!allowLoopback && route.found === "by-address" && isForbiddenAddress(route.address)) {
    return { kind: "absent", host, why: { kind: "refused", addresses: [route.address] }, dnssec };
  }
  return {
    kind: "reachable",
    host,
    addresses: [route.address],
    dane: { kind: "notApplicable", because: "address-literal" },
    dnssec,
  };
}

function originOf(route: HostsRoute): HostOrigin {
  const { mx, nextHop, expanded, found, mxLookup } = route;
  if (found === "by-route") return { kind: "relay", nextHop };
  if (found === "implicit") return { kind: "implicit-mx", mx: mxLookup === "secure" ? "secure" : "insecure", nextHop };
  return mx === "secure" ? { kind: "mx", mx, nextHop, expandedNextHop: expanded } : { kind: "mx", mx: "insecure" };
}

/** Asks TLSA questions until `discoverTls` has decided; it names each candidate at most once, so this ends. */
async function discover(lookups: HostLookups, resolver: Resolver): Promise<{ policy: DanePolicy; tlsa: LookupWord }> {
  const answers: Resolution<TlsaData>[] = [];
  let tlsa: LookupWord = "not-asked";
  for (;;) {
    const step = discoverTls(lookups, answers);
    if (step.kind === "decided") return { policy: step.policy, tlsa };
    if (step.kind === "noAddress") throw new Error(`no address of ${lookups.host} after one was found`);
    const answer = await resolver.resolve(step.query, "TLSA");
    answers.push(answer);
    tlsa = lookupWord(answer);
  }
}

/** The addresses to try, families alternating; or why there are none. A failed family contributes nothing. */
function absenceOf(
  a: Resolution<string>,
  aaaa: Resolution<string>,
  loopbackAllowed: boolean,
): Absence | { kind: "addresses"; addresses: readonly string[] } {
  const six = addressesOf(aaaa);
  const four = addressesOf(a);
  const all = alternate(six, four);
  const allowed = loopbackAllowed ? all : all.filter((address) => !isForbiddenAddress(address));
  if (allowed.length > 0) return { kind: "addresses", addresses: allowed.slice(0, MAX_ADDRESSES) };
  // RFC 7672 §2.1.2: what failed to resolve may hold an address; only a proved absence of both families is one.
  for (const family of [a, aaaa])
    if (family.status === "bogus" || family.status === "indeterminate") return { kind: "failed", reasons: family.reasons };
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
