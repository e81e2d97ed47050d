import type { InsecureMxPolicy } from "../dane/tlsDiscovery.ts";
import type { TlsDemand } from "../policy/tlsPolicy.ts";
import type { Work } from "../spool/message.ts";
import type { SessionResult } from "../tlsrpt/result.ts";
import type { ConnectionRequest } from "./connection.ts";
import type { DialTarget } from "./dial.ts";
import type { HostEvidence } from "./host.ts";
import type { HostConnection, SessionContext } from "./hostSession.ts";
import type { DeliverySight } from "./hostSight.ts";
import type { Ledger, Trace } from "./ledger.ts";
import type { Route, RouteContext } from "./route.ts";
import type { StsPolicyFor } from "./stsOutcome.ts";

/** Everything an attempt is handed; it knows no other part of the relay. */
export type DeliveryContext = {
  route: RouteContext;
  resolver: RouteContext["resolver"];
  allowLoopback: boolean;
  insecureMx: InsecureMxPolicy;
  demandOf: (work: Work) => TlsDemand;
  stsPolicyFor: StsPolicyFor;
  /** The parts of a connection request that are the same for every host: EHLO name, timeouts. */
  request: Pick<ConnectionRequest, "hostname" | "timeouts" | "opportunisticVersion">;
  /** `delivery.sourceAddresses`: the address to send from, for the family of `remote`. */
  localAddressFor: (remote: string) => string | undefined;
  session: SessionContext;
  content: (work: Work) => AsyncIterable<Buffer>;
  /** Header fields to be sent in front of the content, with their line ends: DKIM signatures. */
  signatures?: (work: Work) => Promise<Buffer>;
  /** One host was tried, or refused by policy: counted in dane_outcomes_total. `usage` of the record that matched, or was to match. */
  onHost: (trace: Trace) => void;
  /** How one session, or what kept us from it, counts in the reports to the host's operator (RFC 8460). */
  onSession?: (result: SessionResult) => void;
  /** What a new session showed of its host. */
  onSight?: (sight: DeliverySight) => void;
  /** Our own fault: a bug, or content that cannot be read. */
  onTrouble: (error: unknown) => void;
};

/** One message at one destination, and what is known of its recipients so far. */
export type Attempt = { work: Work; demand: TlsDemand; ledger: Ledger; context: DeliveryContext };

/** The connection to one address of a host, or to one of `others` where it hangs, under what the host's policy demands. */
export function connectionTo(
  evidence: Extract<HostEvidence, { kind: "reachable" }>,
  address: string,
  demand: Pick<HostConnection, "tls" | "sts" | "policies" | "unmet">,
  route: Exclude<Route, { kind: "unroutable" }>,
  context: DeliveryContext,
  others: readonly string[] = [],
): HostConnection {
  const [first, ...rest] = [address, ...others].map((at) => dialTarget(at, context));
  const localAddress = first?.localAddress;
  return {
    host: evidence.host,
    address,
    ...demand,
    dnssec: evidence.dnssec,
    ...(evidence.tlsaTtlSeconds === undefined ? {} : { tlsaTtlSeconds: evidence.tlsaTtlSeconds }),
    request: {
      ...context.request,
      port: route.port,
      implicitTls: route.channel === "implicit",
      ...(route.credentials === undefined ? {} : { auth: route.credentials }),
      ...(localAddress === undefined ? {} : { localAddress }),
      ...(rest.length === 0 ? {} : { others: rest }),
    },
    // RFC 6066 §3: a literal address is no server name.
    ...(route.kind === "literal" ? {} : { serverName: evidence.host }),
  };
}

function dialTarget(address: string, context: DeliveryContext): DialTarget {
  const localAddress = context.localAddressFor(address);
  return localAddress === undefined ? { address } : { address, localAddress };
}
