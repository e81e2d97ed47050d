import { isIPv4 } from "node:net";
import { type Endpoint, type Network, networkText } from "../config/address.ts";
import type { Config } from "../config/schema.ts";

/** What a configuration allows that its author may not have meant: told in the log at the start, changes nothing. */
export type SubmissionWarning = { key: string; reason: string };

export function submissionWarnings(config: Config): readonly SubmissionWarning[] {
  return [...translatedClients(config), ...privateHostname(config)];
}

/**
 * A load balancer, a NodePort or a container's published port replaces the client's address by one of its own, which is private: a network of
 * private addresses then means everybody who can reach the load balancer.
 */
function translatedClients({ submission }: Config): SubmissionWarning[] {
  const { listen, tls, trustedNetworks, proxyProtocolNetworks } = submission;
  const reachable = [...listen, ...tls.listen].some((endpoint) => !isLoopback(endpoint));
  const translated = trustedNetworks.filter(isPrivate);
  if (!reachable || translated.length === 0 || proxyProtocolNetworks.length > 0) return [];
  const networks = translated.map(networkText).join(", ");
  const reason =
    `${networks}: everybody who comes through a load balancer or published port that replaces client addresses by one of these may relay; ` +
    "trust no more than the applications' own addresses, keep client addresses (externalTrafficPolicy: Local), or set submission.proxyProtocolNetworks";
  return [{ key: "submission.trustedNetworks", reason }];
}

function isLoopback({ address }: Endpoint): boolean {
  return address === "::1" || (isIPv4(address) && address.startsWith("127."));
}

/** RFC 1918, RFC 6598, RFC 3927, RFC 4193, RFC 4291 §2.5.6, as far as the network is within one of them. */
const PRIVATE_IPV4 = [
  /^10\./,
  /^172\.(?:1[6-9]|2[0-9]|3[01])\./,
  /^192\.168\./,
  /^100\.(?:6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\./,
  /^169\.254\./,
];
const PRIVATE_IPV6 = /^(?:f[cd][0-9a-f]{2}|fe[89ab][0-9a-f]):/;

function isPrivate({ address, family }: Network): boolean {
  return family === 4 ? PRIVATE_IPV4.some((form) => form.test(address)) : PRIVATE_IPV6.test(address);
}

/** RFC 6761, RFC 6762, RFC 7686, RFC 8375, and what clusters and home networks use. */
const PRIVATE_TOP = new Set([
  "local",
  "localhost",
  "localdomain",
  "internal",
  "lan",
  "home",
  "corp",
  "svc",
  "test",
  "invalid",
  "onion",
]);

function privateHostname({ hostname }: Config): SubmissionWarning[] {
  const labels = hostname.toLowerCase().split(".");
  const top = labels.at(-1) ?? "";
  const single = labels.length < 2;
  if (!single && !PRIVATE_TOP.has(top) && !hostname.toLowerCase().endsWith(".home.arpa")) return [];
  const what = single ? "has no domain" : `ends in .${top}, which no public name does`;
  const reason = `${hostname} ${what}: many receivers refuse mail of a host whose EHLO name they cannot look up; set the public name of this relay`;
  return [{ key: "hostname", reason }];
}
