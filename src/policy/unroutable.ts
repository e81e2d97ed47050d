import type { ReasonChain } from "../dnssec/securityStatus.ts";
import type { Outcome } from "./disposition.ts";
import { lookupFailure, lookupFailureText } from "./lookupFailure.ts";

/** No host to deliver to: design.md §3's rows for the MX look-up and for addresses. `of`: whose DNS; `hosts`: those that have no address. */
export type Unroutable =
  | { kind: "lookup"; of: string; reasons: ReasonChain }
  | { kind: "noSuchDomain"; domain: string }
  | { kind: "nullMx"; domain: string }
  | { kind: "noAddress"; domain: string; hosts: readonly string[] }
  | { kind: "loop"; domain: string; because: string }
  /** Our own `delivery.routes` cannot be followed: never the recipient's fault, so never a bounce. */
  | { kind: "misconfigured"; because: string };

/** Hosts that one text names. */
const MAX_NAMED_HOSTS = 3;

/** RFC 5321 §5.1, RFC 7505 §4.1: what an unroutable destination means for each recipient. A failed look-up never bounces. */
export function unroutableOutcome(trouble: Unroutable): Outcome {
  switch (trouble.kind) {
    case "lookup": {
      const failure = lookupFailure(trouble.reasons);
      const text = lookupFailureText(trouble.reasons, trouble.of);
      return { kind: "deferred", status: failure.status, cause: { kind: failure.cause, text } };
    }
    case "noSuchDomain":
      return {
        kind: "failed",
        status: "5.1.2",
        cause: { kind: "no-such-domain", text: `the domain ${trouble.domain} does not exist` },
      };
    case "nullMx":
      return {
        kind: "failed",
        status: "5.1.10",
        cause: { kind: "null-mx", text: `the domain ${trouble.domain} does not accept mail (null MX)` },
      };
    case "noAddress":
      return {
        kind: "failed",
        status: "5.4.4",
        cause: { kind: "no-address", text: noAddressText(trouble.domain, trouble.hosts) },
      };
    case "loop":
      return {
        kind: "failed",
        status: "5.4.6",
        cause: { kind: "loop", text: `mail for ${trouble.domain} would loop: ${trouble.because}` },
      };
    case "misconfigured":
      // RFC 3463 §3.4: 4.3.5, system incorrectly configured.
      return { kind: "deferred", status: "4.3.5", cause: { kind: "local", text: `delivery.routes: ${trouble.because}` } };
    default:
      return trouble satisfies never;
  }
}

function noAddressText(domain: string, hosts: readonly string[]): string {
  if (hosts.length === 1 && hosts[0] === domain) return `${domain} has neither an MX record nor an address`;
  const named = hosts.slice(0, MAX_NAMED_HOSTS).join(", ");
  return `no mail host of ${domain} has an address (${named}${hosts.length > MAX_NAMED_HOSTS ? ", ..." : ""})`;
}

/** Why a host cannot be connected to. `refused`: only addresses that `delivery.allowLoopback` forbids. */
export type HostAbsence = { kind: "noAddress" } | { kind: "refused"; addresses: readonly string[] };

/** What it means that no host of `domain` has an address to connect to. `refused` wins: it says what to do. */
export function absenceOutcome(domain: string, absences: readonly { host: string; why: HostAbsence }[]): Outcome {
  for (const { host, why } of absences) {
    if (why.kind === "noAddress") continue;
    const because = `${host} has only addresses that point back to this machine or network: ${why.addresses.slice(0, MAX_NAMED_HOSTS).join(", ")}`;
    return unroutableOutcome({ kind: "loop", domain, because });
  }
  return unroutableOutcome({ kind: "noAddress", domain, hosts: absences.map(({ host }) => host) });
}
