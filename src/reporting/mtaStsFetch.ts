import type { IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect, createSecureContext, type SecureContext, type TLSSocket } from "node:tls";
import { type DomainName, displayName, isName, prefixed } from "../dns/name.ts";
import { MAX_POLICY_OCTETS, parsePolicy, type StsPolicy } from "../mtasts/policy.ts";
import type { StsPolicyFailure } from "../mtasts/stsFailure.ts";
import type { Resolver } from "../resolver/resolver.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { dnsIdentifiers, matchesIdentifier } from "../x509/certificateName.ts";
import { isPublicAddress } from "./publicAddress.ts";

/**
 * Fetches the policy of a domain from its policy host (RFC 8461 §3.3, §8.2): HTTPS to addresses that our own resolver found, a certificate that is
 * valid for the policy host, no redirect, no cache, no more than 64 KiB in a minute.
 */
export type PolicyFetchOptions = {
  resolver: Resolver;
  /** Trusted CA certificates as PEM. */
  roots: readonly string[];
  /** Whether policy hosts may be at special addresses: for labs. */
  allowLoopback: boolean;
  port?: number;
  timeoutMilliseconds?: number;
};

export type FetchedPolicy =
  | { kind: "policy"; policy: StsPolicy }
  /** `reason`: one sentence for log and report. */
  | { kind: "failed"; failure: StsPolicyFailure; reason: string };

/** Never rejects for what DNS or the policy host does. `signal` ends it early. */
export type PolicyFetcher = (domain: DomainName, signal: AbortSignal) => Promise<FetchedPolicy>;

const PATH = "/.well-known/mta-sts.txt";
const HTTPS_PORT = 443;
/** RFC 8461 §3.3 suggests one minute for the whole of it. */
const FETCH_MILLISECONDS = 60_000;
/** An address that does not answer leaves time for the next one. */
const CONNECT_MILLISECONDS = 10_000;
const MAX_ADDRESSES = 4;
const MAX_HEADER_OCTETS = 16_384;
/** RFC 8461 §3.2: parameters are ignored. */
const TEXT_PLAIN = /^text\/plain[ \t]*(?:;|$)/i;

type Exchange =
  | { kind: "body"; body: Buffer }
  /** No connection: another address may have one. */
  | { kind: "unreachable"; reason: string }
  | { kind: "failed"; failure: StsPolicyFailure; reason: string };

export function createPolicyFetcher(options: PolicyFetchOptions): PolicyFetcher {
  // Made at the first fetch, for all: reading 150 roots takes a while.
  let trust: SecureContext | undefined;
  return async (domain, signal) => {
    const host = prefixed(["mta-sts"], domain);
    if (!isName(host)) return failed("sts-policy-fetch-error", `mta-sts.${displayName(domain)} is no name: ${host.reason}`);
    // RFC 8461 §7.2.
    trust ??= createSecureContext({ ca: [...options.roots], minVersion: "TLSv1.2" });
    const limit = AbortSignal.any([signal, AbortSignal.timeout(options.timeoutMilliseconds ?? FETCH_MILLISECONDS)]);
    const found = await addressesOf(host, options);
    if (found.kind === "failed") return found;
    let reason = "";
    for (const address of found.addresses) {
      const exchange = await get({ host, address, port: options.port ?? HTTPS_PORT, trust, limit });
      if (exchange.kind === "failed") return exchange;
      if (exchange.kind === "body") return policyIn(exchange.body, host);
      reason = exchange.reason;
    }
    return failed("sts-policy-fetch-error", `${displayName(host)}: ${reason}`);
  };
}

function failed(failure: StsPolicyFailure, reason: string): { kind: "failed"; failure: StsPolicyFailure; reason: string } {
  return { kind: "failed", failure, reason };
}

function policyIn(body: Buffer, host: DomainName): FetchedPolicy {
  const parsed = parsePolicy(body);
  if (parsed.kind === "policy") return parsed;
  return failed("sts-policy-invalid", `the policy at https://${displayName(host)}${PATH} is invalid: ${parsed.reason}`);
}

type Addresses = { kind: "addresses"; addresses: readonly string[] } | ReturnType<typeof failed>;

async function addressesOf(host: DomainName, { resolver, allowLoopback }: PolicyFetchOptions): Promise<Addresses> {
  const families = await Promise.all([resolver.resolve(host, "AAAA"), resolver.resolve(host, "A")]);
  const all = families.flatMap((family) => ("records" in family ? [...family.records] : []));
  const allowed = allowLoopback ? all : all.filter(isPublicAddress);
  if (allowed.length > 0) return { kind: "addresses", addresses: allowed.slice(0, MAX_ADDRESSES) };
  const because = all.length > 0 ? `has only addresses that are not public (${all[0]})` : "has no address";
  const unknown = families.some((family) => family.status === "bogus" || family.status === "indeterminate");
  return failed("sts-policy-fetch-error", `${displayName(host)} ${unknown ? "could not be looked up" : because}`);
}

type Target = { host: DomainName; address: string; port: number; trust: SecureContext; limit: AbortSignal };

/** A connection of its own, to an address: nothing is looked up any more. SNI is the policy host (RFC 8461 §7.1). */
function dial({ host, address, port, trust }: Target): TLSSocket {
  return connect({
    host: address,
    port,
    servername: displayName(host),
    secureContext: trust,
    rejectUnauthorized: true,
    checkServerIdentity: (_, certificate) => identityError(host, certificate.raw),
  });
}

/** One GET of the policy file. */
function get(target: Target): Promise<Exchange> {
  const { limit } = target;
  const name = displayName(target.host);
  const socket = dial(target);
  const headers = { host: name, accept: "text/plain" };
  const request = httpsRequest({
    path: PATH,
    headers,
    createConnection: () => socket,
    maxHeaderSize: MAX_HEADER_OCTETS,
    signal: limit,
  });
  return new Promise((resolve) => {
    let connected: "no" | "yes" = "no";
    const timer = setTimeout(() => request.destroy(new Error("no connection in time")), CONNECT_MILLISECONDS);
    const end = (exchange: Exchange): void => {
      clearTimeout(timer);
      resolve(exchange);
      socket.destroy();
    };
    const broken = (error: Error): void => {
      const reason = limit.aborted ? "no answer in time" : error.message;
      if (isUntrusted(socket)) {
        end(failed("sts-webpki-invalid", `${name} presented a certificate that is not valid for it: ${reason}`));
      } else if (connected === "no" && !limit.aborted) end({ kind: "unreachable", reason });
      else end(failed("sts-policy-fetch-error", `${name}: ${reason}`));
    };
    socket.once("connect", () => {
      connected = "yes";
      clearTimeout(timer);
    });
    request.on("error", broken);
    const closed = (): void => broken(new Error("the connection was closed"));
    request.on("close", closed);
    request.on("response", (response) => {
      // From here on the body knows whether it is whole.
      request.off("close", closed);
      const refusal = refusalOf(response.statusCode ?? 0, response.headers);
      if (refusal === undefined) readBody(response).then(end, broken);
      else end(failed("sts-policy-fetch-error", `https://${name}${PATH}: ${refusal}`));
    });
    request.end();
  });
}

/** The whole body; rejects where it breaks off. */
async function readBody(response: IncomingMessage): Promise<Exchange> {
  const chunks: Buffer[] = [];
  let octets = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    octets += chunk.length;
    if (octets > MAX_POLICY_OCTETS) return failed("sts-policy-fetch-error", TOO_LARGE);
    chunks.push(chunk);
  }
  return { kind: "body", body: Buffer.concat(chunks) };
}

const TOO_LARGE = `the policy is larger than ${MAX_POLICY_OCTETS} octets`;

/** Node says in `authorizationError` what was wrong with the certificate or its name; null, whatever its type says, where nothing was. */
function isUntrusted(socket: TLSSocket): boolean {
  const error: unknown = socket.authorizationError;
  return error !== null && error !== undefined;
}

/** RFC 8461 §3.3: DNS-IDs only, a wildcard only as the whole left-most label. Node's own check is laxer in both. */
function identityError(host: DomainName, der: Buffer): Error | undefined {
  const certificate = parseCertificate(der);
  if (certificate.kind === "malformed") return new Error(`malformed: ${certificate.because}`);
  if (dnsIdentifiers(certificate).some((name) => matchesIdentifier(name, host))) return undefined;
  return new Error("none of its DNS names is that of the policy host");
}

/** Why a response is no policy (RFC 8461 §3.2, §3.3). */
function refusalOf(status: number, headers: NodeJS.Dict<string | string[]>): string | undefined {
  if (status !== 200) return `status ${status}${status >= 300 && status < 400 ? " (redirects must not be followed)" : ""}`;
  const header = (name: string): string => String(headers[name] ?? "").trim();
  if (!TEXT_PLAIN.test(header("content-type"))) return "not of the media type text/plain";
  if (!["", "identity"].includes(header("content-encoding").toLowerCase())) return "encoded, which was not asked for";
  // A body that ends with the connection could have been cut anywhere by whoever sits on the line.
  if (header("content-length") === "" && header("transfer-encoding") === "") return "the length of the body is not told";
  return Number(header("content-length")) > MAX_POLICY_OCTETS ? TOO_LARGE : undefined;
}
