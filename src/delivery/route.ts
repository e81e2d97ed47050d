import { type DomainName, displayName, isName, parseName } from "../dns/name.ts";
import type { Unroutable } from "../policy/disposition.ts";
import { mxOrder } from "../policy/mxOrder.ts";
import type { MxSecurity } from "../policy/tlsPolicy.ts";
import type { Resolver } from "../resolver/resolver.ts";
import { type LookupWord, lookupWord } from "./lookupWord.ts";

/** One entry of `delivery.routes`. `domain`: exact, `.example.org` for its subdomains, or `*`. */
export type RouteSetting = { domain: string; nextHop: string; tls: "starttls" | "implicit" };

/**
 * Where a destination's mail goes. `nextHop` is the domain of RFC 7672 §2.2.1 (the recipient's domain, or a route's), `expanded` where its
 * aliases led: both are reference identifiers. `mx` is `configured` for names that no DNS answer chose: a route's host, or the domain itself.
 */
export type Route =
  | {
      kind: "hosts";
      hosts: readonly [DomainName, ...DomainName[]];
      mx: MxSecurity;
      /** Whether the hosts come from MX records; without, the next hop is its own host (RFC 5321 §5.1). */
      found: "by-mx" | "implicit" | "by-route";
      mxLookup: LookupWord;
      nextHop: DomainName;
      expanded: DomainName;
      port: number;
      channel: "starttls" | "implicit";
    }
  | { kind: "literal"; address: string; port: number; channel: "starttls" | "implicit"; found: "by-address" | "by-route" }
  | { kind: "unroutable"; trouble: Unroutable; mxLookup: LookupWord };

export type RouteContext = {
  resolver: Resolver;
  routes: readonly RouteSetting[];
  /** `delivery.port`. */
  port: number;
  /** Our own host name, to see loops. */
  self: DomainName;
  random: (exclusiveMaximum: number) => number;
};

/** Resolves `destination` (an A-label domain, or `[literal]`) to the hosts to try, in order: design.md §3's first column. */
export async function findRoute(destination: string, context: RouteContext): Promise<Route> {
  const setting = routeFor(destination, context.routes);
  if (setting !== undefined) {
    const hop = parseNextHop(setting.nextHop, context.port);
    if (hop.kind === "error")
      return { kind: "unroutable", trouble: { kind: "loop", domain: destination, because: hop.reason }, mxLookup: "not-asked" };
    if (hop.kind === "address")
      return { kind: "literal", address: hop.address, port: hop.port, channel: setting.tls, found: "by-route" };
    if (hop.kind === "host") return single(hop.name, hop.name, "by-route", "not-asked", hop.port, setting.tls);
    return byMx(hop.name, hop.port, setting.tls, context);
  }
  const literal = parseLiteral(destination);
  if (literal !== undefined)
    return { kind: "literal", address: literal, port: context.port, channel: "starttls", found: "by-address" };
  const domain = parseName(destination);
  if (!isName(domain))
    return { kind: "unroutable", trouble: { kind: "noSuchDomain", domain: destination }, mxLookup: "not-asked" };
  return byMx(domain, context.port, "starttls", context);
}

async function byMx(domain: DomainName, port: number, channel: "starttls" | "implicit", context: RouteContext): Promise<Route> {
  const resolution = await context.resolver.resolve(domain, "MX");
  const mxLookup = lookupWord(resolution);
  // RFC 7672 §2.1.2: an MX look-up that is bogus or failed means that nothing is tried, whatever the addresses would say.
  if (resolution.status === "bogus" || resolution.status === "indeterminate") {
    const what = `the MX records of ${displayName(domain)} could not be ${resolution.status === "bogus" ? "validated" : "looked up"}`;
    return { kind: "unroutable", trouble: { kind: "lookup", what, reasons: resolution.reasons }, mxLookup };
  }
  switch (resolution.answer) {
    case "nxdomain":
      return { kind: "unroutable", trouble: { kind: "noSuchDomain", domain: displayName(domain) }, mxLookup };
    case "nodata":
      return single(domain, resolution.name, "implicit", mxLookup, port, channel);
    case "records": {
      const order = mxOrder(resolution.records, context.self, context.random);
      if (order.kind === "nullMx")
        return { kind: "unroutable", trouble: { kind: "nullMx", domain: displayName(domain) }, mxLookup };
      if (order.kind === "loop") {
        const because = `this relay (${displayName(order.self)}) is its own best mail exchanger`;
        return { kind: "unroutable", trouble: { kind: "loop", domain: displayName(domain), because }, mxLookup };
      }
      const mx = resolution.status;
      return {
        kind: "hosts",
        hosts: order.hosts,
        mx,
        found: "by-mx",
        mxLookup,
        nextHop: domain,
        expanded: resolution.name,
        port,
        channel,
      };
    }
    default:
      return resolution satisfies never;
  }
}

/** A host that no MX record chose: a-priori known, so no forged answer can have put another in its place (RFC 7672 §2.2.2). */
function single(
  host: DomainName,
  expanded: DomainName,
  found: "implicit" | "by-route",
  mxLookup: LookupWord,
  port: number,
  channel: "starttls" | "implicit",
): Route {
  return { kind: "hosts", hosts: [host], mx: "configured", found, mxLookup, nextHop: host, expanded, port, channel };
}

/** The setting that fits best: the exact domain, then the longest `.suffix`, then `*`. */
export function bestMatch<T extends { domain: string }>(destination: string, settings: readonly T[]): T | undefined {
  const name = destination.toLowerCase();
  let best: T | undefined;
  let bestLength = -1;
  for (const setting of settings) {
    const pattern = setting.domain.toLowerCase();
    if (pattern === name) return setting;
    const length = pattern === "*" ? 0 : pattern.startsWith(".") && name.endsWith(pattern) ? pattern.length : -1;
    if (length > bestLength) {
      best = setting;
      bestLength = length;
    }
  }
  return best;
}

function routeFor(destination: string, routes: readonly RouteSetting[]): RouteSetting | undefined {
  return bestMatch(destination, routes);
}

export type NextHop =
  | { kind: "mx"; name: DomainName; port: number }
  | { kind: "host"; name: DomainName; port: number }
  | { kind: "address"; address: string; port: number }
  | { kind: "error"; reason: string };

/** `example.org[:port]` (subject to MX), `[host.example.org][:port]` or `[192.0.2.1][:port]`, `[IPv6:...]` (no MX look-up). */
export function parseNextHop(text: string, defaultPort: number): NextHop {
  const match = /^(\[[^\]]+\]|[^:[\]]+)(?::([0-9]{1,5}))?$/.exec(text);
  if (match?.[1] === undefined)
    return { kind: "error", reason: `next hop ${JSON.stringify(text)} is not host, host:port, [host] or [host]:port` };
  const port = match[2] === undefined ? defaultPort : Number(match[2]);
  if (port < 1 || port > 65535) return { kind: "error", reason: `next hop ${JSON.stringify(text)} has a port outside 1-65535` };
  const literal = parseLiteral(match[1]);
  if (literal !== undefined) return { kind: "address", address: literal, port };
  const bracketed = match[1].startsWith("[");
  const name = parseName(bracketed ? match[1].slice(1, -1) : match[1]);
  if (!isName(name)) return { kind: "error", reason: `next hop ${JSON.stringify(text)}: ${name.reason}` };
  return { kind: bracketed ? "host" : "mx", name, port };
}

/** The address inside `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3); undefined when it is none. */
function parseLiteral(text: string): string | undefined {
  const four = /^\[([0-9.]+)\]$/.exec(text)?.[1];
  if (four !== undefined) return four;
  return /^\[(?:IPv6:)?([0-9a-f:.]*:[0-9a-f:.]*)\]$/i.exec(text)?.[1];
}
