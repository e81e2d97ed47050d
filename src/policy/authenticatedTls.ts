import type { DanePolicy } from "../dane/tlsDiscovery.ts";
import { type DomainName, displayName } from "../dns/name.ts";
import { type HostDemand, isOpenToPkix, type NamedAuthenticate, type StsDemand } from "./stsPolicy.ts";
import type { HostTls, TlsDemand } from "./tlsPolicy.ts";

/**
 * Where a server has to be authenticated, and DANE does not do it: by PKIX, if its name is one that an attacker cannot have chosen. Two ask
 * for that: messages with REQUIRETLS (RFC 8689 §4.2.1), and routes with credentials, which go to nobody else than they are meant for.
 */

/** Who named the host: DNSSEC or the operator, or an MX record that anybody could have written (RFC 8689 §2, §8.2). */
export type NamedBy = "trusted" | "insecure-mx";

export type NamedHost = { name: DomainName; namedBy: NamedBy; dane: DanePolicy; sts: StsDemand };

/**
 * RFC 8689 §4.2.1: what DANE cannot give a message with REQUIRETLS, PKIX may: where the MX RRset is secure, or an MTA-STS policy names the
 * host (§2: enforced or not, it came from an authenticated server). `host`: undefined for an address literal.
 */
export function withRequireTls(tls: HostDemand, demand: TlsDemand, host: NamedHost | undefined): HostDemand {
  if (!isOpenToPkix(tls, demand) || host === undefined) return tls;
  const { name, namedBy, dane, sts } = host;
  // RFC 8461 §5: a host that an enforced policy does not name is not used, whoever else names it.
  if (sts.kind === "enforce" && sts.allowed === "no") return tls;
  const named = namedBy === "trusted" || (sts.kind !== "none" && sts.allowed === "yes");
  if (!named) return tls;
  // Usable TLSA records that did not do, since an insecure MX RRset named their host, have to match all the same.
  if (dane.kind === "authenticate") return { ...byPkix(name, "requiretls"), success: "halfdane", dane };
  return { ...byPkix(name, "requiretls"), success: tls.dane };
}

/** With credentials to send, DANE is never switched off: neither by an exception for the recipient's domain nor by the message. */
export function demandWithCredentials(demand: TlsDemand): TlsDemand {
  const { level, messageTls } = demand;
  return {
    level: level === "dane-only" ? level : "dane",
    levelFrom: "operator",
    messageTls: messageTls === "required" ? messageTls : "unspecified",
  };
}

/** RFC 4954 §4, design.md §3: credentials are for a server that is authenticated under a name that cannot be forged. */
export function withCredentials(tls: HostDemand, host: NamedHost | undefined): HostDemand {
  switch (tls.kind) {
    case "refuse":
    case "authenticateByPkix":
      return tls;
    case "authenticate":
      return tls.got === "halfdane" ? unnamed(tls, host) : tls;
    case "encrypt":
    case "opportunistic":
    case "clear":
      if (host?.namedBy !== "trusted") return unnamed(tls, host);
      return { ...byPkix(host.name, "credentials"), success: tls.success };
    default:
      return tls satisfies never;
  }
}

function byPkix(identifier: DomainName, by: "requiretls" | "credentials"): Omit<NamedAuthenticate, "success" | "dane"> {
  return { kind: "authenticateByPkix", wanted: "pkix", got: "pkix", by, identifier };
}

function unnamed(tls: Exclude<HostDemand, { kind: "refuse" }>, host: NamedHost | undefined): HostTls {
  const name = host === undefined ? "an address" : displayName(host.name);
  const text =
    `no credentials are sent to ${name}, since nothing authenticates that it is the next hop of delivery.routes: ` +
    "the route has to name the host, as [host]:port";
  return { kind: "refuse", wanted: "pkix", got: "noconnect", dane: tls.success, cause: { kind: "tls-policy", text } };
}
