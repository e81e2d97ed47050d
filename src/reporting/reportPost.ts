import { request } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import { connect, createSecureContext, type SecureContext, type TLSSocket } from "node:tls";
import { isName, parseName } from "../dns/name.ts";
import type { Resolver } from "../resolver/resolver.ts";
import { isPublicAddress } from "./publicAddress.ts";

/**
 * Hands a report over by HTTPS POST (RFC 8460 §5.4): to addresses that our own resolver found for the host, PKIX checked, no redirect, and
 * nothing of what comes back is kept.
 */
export type PostOptions = {
  resolver: Resolver;
  /** Trusted CA certificates as PEM. */
  roots: readonly string[];
  /** Whether hosts may be at special addresses: for labs. */
  allowLoopback: boolean;
  timeoutMilliseconds?: number;
};

export type PostResult = { kind: "accepted"; status: number } | { kind: "failed"; reason: string };

/** Never rejects for what DNS or the host does. `signal` ends it early. */
export type ReportPost = (url: URL, gzip: Buffer, signal: AbortSignal) => Promise<PostResult>;

/** RFC 8460 §5.4, §6.5. */
const MEDIA_TYPE = "application/tlsrpt+gzip";
const HTTPS_PORT = 443;
const POST_MILLISECONDS = 60_000;
const MAX_ADDRESSES = 4;
const MAX_HEADER_OCTETS = 16_384;

export function createReportPost(options: PostOptions): ReportPost {
  // Made at the first report, for all: reading 150 roots takes a while.
  let trust: SecureContext | undefined;
  return async (url, gzip, signal) => {
    const found = await addressesOf(url, options);
    if (found.kind === "failed") return found;
    trust ??= createSecureContext({ ca: [...options.roots], minVersion: "TLSv1.2" });
    const limit = AbortSignal.any([signal, AbortSignal.timeout(options.timeoutMilliseconds ?? POST_MILLISECONDS)]);
    return post({ url, gzip, addresses: found.addresses, trust, limit });
  };
}

/** A URL's host without the brackets of an IPv6 address. */
function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1");
}

type Addresses = { kind: "addresses"; addresses: readonly string[] } | Extract<PostResult, { kind: "failed" }>;

async function addressesOf(url: URL, { resolver, allowLoopback }: PostOptions): Promise<Addresses> {
  const host = hostOf(url);
  const refused = (because: string): Addresses => ({ kind: "failed", reason: `${host} ${because}` });
  let all: readonly string[] = [host];
  let unknown = false;
  if (isIP(host) === 0) {
    const name = parseName(host);
    if (!isName(name)) return refused(`is no name: ${name.reason}`);
    const families = await Promise.all([resolver.resolve(name, "AAAA"), resolver.resolve(name, "A")]);
    all = families.flatMap((family) => ("records" in family ? [...family.records] : []));
    unknown = families.some((family) => family.status === "bogus" || family.status === "indeterminate");
  }
  const allowed = allowLoopback ? all : all.filter(isPublicAddress);
  if (allowed.length > 0) return { kind: "addresses", addresses: allowed.slice(0, MAX_ADDRESSES) };
  if (unknown) return refused("could not be looked up");
  return refused(all.length > 0 ? `has only addresses that are not public (${all[0]})` : "has no address");
}

type Exchange = { url: URL; gzip: Buffer; addresses: readonly string[]; trust: SecureContext; limit: AbortSignal };

/** Node's own look-up would go past every check: it gets what was found, and nothing else. Several addresses are tried in turn. */
function lookupOf(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_, { all }, callback) => {
    const [first] = found;
    if (first === undefined) callback(new Error("no address"), "");
    else if (all === true) callback(null, found);
    else callback(null, first.address, first.family);
  };
}

/** A connection of its own: none is shared between what different names led to. */
function dial(url: URL, addresses: readonly string[], trust: SecureContext): TLSSocket {
  const host = hostOf(url);
  return connect({
    host,
    port: url.port === "" ? HTTPS_PORT : Number(url.port),
    lookup: lookupOf(addresses),
    secureContext: trust,
    rejectUnauthorized: true,
    // RFC 6066 §3: a literal address is no server name.
    ...(isIP(host) === 0 ? { servername: host } : {}),
  });
}

function post({ url, gzip, addresses, trust, limit }: Exchange): Promise<PostResult> {
  const host = hostOf(url);
  const outgoing = request(url, {
    method: "POST",
    headers: { "content-type": MEDIA_TYPE, "content-length": gzip.length },
    createConnection: () => dial(url, addresses, trust),
    maxHeaderSize: MAX_HEADER_OCTETS,
    signal: limit,
  });
  return new Promise((resolve) => {
    const end = (result: PostResult): void => {
      resolve(result);
      outgoing.destroy();
    };
    outgoing.on("error", (error) =>
      end({ kind: "failed", reason: `${host}: ${limit.aborted ? "no answer in time" : error.message}` }),
    );
    outgoing.on("close", () => end({ kind: "failed", reason: `${host}: the connection was closed` }));
    outgoing.on("response", ({ statusCode = 0 }) => {
      // RFC 8460 §5.4: a "successful" response; RFC 9110 §15.3. What else it says is of no use here, a redirect is not followed.
      if (statusCode >= 200 && statusCode < 300) end({ kind: "accepted", status: statusCode });
      else end({ kind: "failed", reason: `${host} answered with status ${statusCode}` });
    });
    outgoing.end(gzip);
  });
}
