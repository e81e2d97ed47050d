import type { HostOrigin } from "../dane/referenceIdentifier.ts";
import { type DomainName, displayName, isName, parseName } from "../dns/name.ts";
import { mxOrder } from "../policy/mxOrder.ts";
import type { Unroutable } from "../policy/unroutable.ts";
import type { Resolver } from "../resolver/resolver.ts";
import { parseAddressLiteral } from "../smtp/addressLiteral.ts";
import type { Credentials } from "../smtp/saslDialogue.ts";
import { type LookupWord, lookupWord } from "./lookupWord.ts";

/** One entry of `delivery.routes`. `domain`: exact, `.example.org` for its subdomains, or `*`. */
export type RouteSetting = { domain: string; nextHop: string; tls: "starttls" | "implicit"; auth?: RouteCredentials };

/** AUTH at the next hop; `passwordFile` is read whenever it is used. */
export type RouteCredentials = { username: string; password?: string; passwordFile?: string };

/**
 * Where a destination's mail goes: hosts in the order in which they are tried, and how they were found; or one address. `nextHop`: the domain
 * whose mail hosts they are, or the host that a route names: the policy domain of MTA-STS (RFC 8461 §3.4).
 */
export type Route =
  | ({
      kind: "hosts";
      hosts: readonly [DomainName, ...DomainName[]];
      nextHop: DomainName;
      origin: HostOrigin;
      mxLookup: LookupWord;
    } & At)
  | ({ kind: "literal"; address: string; found: "by-address" | "by-route" } & At)
  | { kind: "unroutable"; trouble: Unroutable; mxLookup: LookupWord; nextHop?: DomainName };

type At = { port: number; channel: "starttls" | "implicit"; credentials?: Credentials };
export type HostsRoute = Extract<Route, { kind: "hosts" }>;
export type LiteralRoute = Extract<Route, { kind: "literal" }>;

export type RouteContext = {
  resolver: Resolver;
  routes: readonly RouteSetting[];
  /** `delivery.port`. */
  port: number;
  /** Our own host name, to see loops. */
  self: DomainName;
  random: (exclusiveMaximum: number) => number;
  /** Without: no password file can be read. */
  readSecret?: (file: string) => Promise<string>;
};

/** Resolves `destination` (an A-label domain, or `[literal]`) to the hosts to try, in order: design.md §3's first column. */
export async function findRoute(destination: string, context: RouteContext): Promise<Route> {
  const setting = bestMatch(destination, context.routes);
  if (setting !== undefined) return configured(setting, context);
  const at = { port: context.port, channel: "starttls" } as const;
  const literal = parseAddressLiteral(destination);
  if (literal.kind === "literal") return { kind: "literal", address: literal.address, found: "by-address", ...at };
  const domain = parseName(destination);
  if (isName(domain)) return byMx(domain, at, context);
  return { kind: "unroutable", trouble: { kind: "noSuchDomain", domain: destination }, mxLookup: "not-asked" };
}

async function configured(setting: RouteSetting, context: RouteContext): Promise<Route> {
  const hop = parseNextHop(setting.nextHop, context.port);
  if (hop.kind === "error")
    return { kind: "unroutable", trouble: { kind: "misconfigured", because: hop.reason }, mxLookup: "not-asked" };
  const secret = setting.auth === undefined ? undefined : await credentialsOf(setting.auth, context);
  if (secret?.kind === "error")
    return { kind: "unroutable", trouble: { kind: "misconfigured", because: secret.reason }, mxLookup: "not-asked" };
  const at = { port: hop.port, channel: setting.tls, ...(secret === undefined ? {} : { credentials: secret.credentials }) };
  switch (hop.kind) {
    case "address":
      return { kind: "literal", address: hop.address, found: "by-route", ...at };
    case "host":
      // RFC 7672 §2.2.2: named by the operator, and so a-priori secure.
      return {
        kind: "hosts",
        hosts: [hop.name],
        nextHop: hop.name,
        origin: { kind: "relay", nextHop: hop.name },
        mxLookup: "not-asked",
        ...at,
      };
    case "mx":
      return byMx(hop.name, at, context);
    default:
      return hop satisfies never;
  }
}

type ReadCredentials = { kind: "credentials"; credentials: Credentials } | { kind: "error"; reason: string };

async function credentialsOf(auth: RouteCredentials, context: RouteContext): Promise<ReadCredentials> {
  const { username, password, passwordFile } = auth;
  if (password !== undefined) return { kind: "credentials", credentials: { user: username, password } };
  const { readSecret } = context;
  if (passwordFile === undefined || readSecret === undefined)
    return { kind: "error", reason: `auth of ${username} has neither password nor passwordFile` };
  try {
    // Editors and `echo` end a file with a line end; a password has none.
    const read = (await readSecret(passwordFile)).replace(/\r?\n$/, "");
    if (read === "" || read.includes("\0"))
      return { kind: "error", reason: `the password file ${passwordFile} holds no password` };
    return { kind: "credentials", credentials: { user: username, password: read } };
  } catch (error) {
    return {
      kind: "error",
      reason: `the password file cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}

async function byMx(domain: DomainName, at: At, context: RouteContext): Promise<Route> {
  const resolution = await context.resolver.resolve(domain, "MX");
  const mxLookup = lookupWord(resolution);
  const unroutable = (trouble: Unroutable): Route => ({ kind: "unroutable", trouble, mxLookup, nextHop: domain });
  // RFC 7672 §2.1.2: an MX look-up that is bogus or failed means that nothing is tried, whatever the addresses would say.
  if (resolution.status === "bogus" || resolution.status === "indeterminate") {
    return unroutable({ kind: "lookup", of: displayName(domain), reasons: resolution.reasons });
  }
  switch (resolution.answer) {
    case "nxdomain":
      return unroutable({ kind: "noSuchDomain", domain: displayName(domain) });
    case "nodata":
      // RFC 5321 §5.1, RFC 7672 §2.2.2: without MX records the domain's name is its sole host.
      return {
        kind: "hosts",
        hosts: [domain],
        nextHop: domain,
        origin: { kind: "implicit-mx", nextHop: domain },
        mxLookup,
        ...at,
      };
    case "records": {
      const order = mxOrder(resolution.records, context.self, context.random);
      if (order.kind === "nullMx") return unroutable({ kind: "nullMx", domain: displayName(domain) });
      if (order.kind === "loop") {
        const because = `this relay (${displayName(order.self)}) is its own best mail exchanger`;
        return unroutable({ kind: "loop", domain: displayName(domain), because });
      }
      const origin: HostOrigin =
        resolution.status === "secure"
          ? { kind: "mx", mx: "secure", nextHop: domain, expandedNextHop: resolution.name }
          : { kind: "mx", mx: "insecure" };
      return { kind: "hosts", hosts: order.hosts, nextHop: domain, origin, mxLookup, ...at };
    }
    default:
      return resolution satisfies never;
  }
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
  const inner = /^\[(.*)\]$/.exec(match[1])?.[1];
  if (inner !== undefined) {
    // The tag that RFC 5321 §4.1.3 wants in an IPv6 literal may be left out in a setting: a name has no colon.
    const literal = parseAddressLiteral(inner.includes(":") && !/^IPv6:/i.test(inner) ? `[IPv6:${inner}]` : `[${inner}]`);
    if (literal.kind === "literal") return { kind: "address", address: literal.address, port };
    if (inner.includes(":")) return { kind: "error", reason: `next hop ${JSON.stringify(text)}: ${literal.reason}` };
  }
  const name = parseName(inner ?? match[1]);
  if (!isName(name)) return { kind: "error", reason: `next hop ${JSON.stringify(text)}: ${name.reason}` };
  return { kind: inner === undefined ? "mx" : "host", name, port };
}
