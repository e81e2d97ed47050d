import { type DomainName, displayName } from "../dns/name.ts";
import { allowsHost } from "../mtasts/policy.ts";
import type { PolicyInForce } from "../mtasts/policyInForce.ts";
import type { DaneOutcome } from "./disposition.ts";
import { type DaneAuthenticate, type HostTls, isExempt, type TlsDemand } from "./tlsPolicy.ts";

/**
 * MTA-STS beside DANE (RFC 8461 §2, §5; design.md §3). DANE over a secure MX RRset wins wherever it is applicable and usable; MTA-STS holds
 * where it is not. Over an insecure MX RRset DANE never takes the place of an enforce policy: both must hold.
 */

/** What the policy of the next-hop domain says of one host. A policy of mode none is none. */
export type StsDemand =
  | { kind: "none" }
  | { kind: "testing" | "enforce"; domain: DomainName; host: DomainName; allowed: "yes" | "no" };

/** STARTTLS, and a certificate that PKIX finds valid for the host's name; with `dane`, one that its TLSA records match too. */
type ByPkix = { kind: "authenticateByPkix"; success: DaneOutcome; identifier: DomainName; dane?: DaneAuthenticate };
/** For the MTA-STS policy of `domain` (RFC 8461 §4.2). */
export type StsAuthenticate = ByPkix & { wanted: "sts"; got: "sts"; domain: DomainName };
/** For REQUIRETLS, or for credentials of ours: authenticatedTls.ts. */
export type NamedAuthenticate = ByPkix & { wanted: "pkix"; got: "pkix"; by: "requiretls" | "credentials" };

/** What a connection to one host must reach, with everything considered. */
export type HostDemand = HostTls | StsAuthenticate | NamedAuthenticate;
/** Of a host that may be used. */
export type UsableDemand = Exclude<HostDemand, { kind: "refuse" }>;

export const NO_STS: StsDemand = { kind: "none" };

/** RFC 8461 §4.1: whether the policy in force names the host. */
export function stsDemand(found: PolicyInForce, host: DomainName): StsDemand {
  if (found.kind === "none" || found.policy.mode === "none") return NO_STS;
  const { domain, policy } = found;
  return { kind: policy.mode, domain, host, allowed: allowsHost(policy, host) ? "yes" : "no" };
}

/** Whether MTA-STS could change what `tls` demands, so that its policy has to be known. */
export function asksForSts(tls: HostTls, demand: TlsDemand): boolean {
  // What the operator wrote down for a domain, and TLS-Required: No (RFC 8689 §4.2.2), hold against MTA-STS as against DANE.
  if (isExempt(demand)) return false;
  switch (tls.kind) {
    case "authenticate":
      return tls.got === "halfdane";
    case "encrypt":
    case "opportunistic":
      return true;
    // RFC 8461 §2: MTA-STS MUST NOT override a failing DANE validation; but it may name the host for REQUIRETLS.
    case "refuse":
      return isOpenToPkix(tls, demand);
    case "clear":
      return false;
    default:
      return tls satisfies never;
  }
}

/** Whether REQUIRETLS was refused for what the host publishes, not for a look-up that failed, and nothing else asks for DANE. */
export function isOpenToPkix(tls: HostDemand, demand: TlsDemand): tls is Extract<HostTls, { kind: "refuse" }> {
  const byPublished = tls.kind === "refuse" && tls.cause.kind === "tls-policy";
  return byPublished && demand.messageTls === "required" && demand.level !== "dane-only";
}

/** The demand of DANE and the operator, made stronger where an enforce policy says so; never weaker. */
export function withSts(tls: HostTls, demand: TlsDemand, sts: StsDemand): HostDemand {
  if (sts.kind !== "enforce" || tls.kind === "refuse" || !asksForSts(tls, demand)) return tls;
  if (sts.allowed === "no") return notAllowed(tls, sts);
  switch (tls.kind) {
    case "authenticate":
      return { ...byPkix(sts, tls.success), dane: tls.policy };
    case "encrypt":
    case "opportunistic":
      return byPkix(sts, tls.success);
    case "clear":
      return tls;
    default:
      return tls satisfies never;
  }
}

type Enforce = Exclude<StsDemand, { kind: "none" }>;

function byPkix({ host, domain }: Enforce, success: DaneOutcome): StsAuthenticate {
  return { kind: "authenticateByPkix", wanted: "sts", got: "sts", success, identifier: host, domain };
}

/** RFC 8461 §5, enforce: MUST NOT deliver to a host that no pattern matches. §8.4: it counts as one that cannot be reached now. */
function notAllowed(tls: HostTls, { host, domain }: Enforce): HostTls {
  const name = displayName(host);
  const text =
    `${name} is not among the mail hosts that the MTA-STS policy of ${displayName(domain)} allows: ` +
    "its operator has to list it there, unless a forged MX record named it";
  const dane = tls.kind === "opportunistic" ? tls.success : "not-tried";
  return { kind: "refuse", wanted: "sts", got: "noconnect", dane, cause: { kind: "tls-policy", text, host: name } };
}
