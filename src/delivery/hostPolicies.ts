import type { DanePolicy } from "../dane/tlsDiscovery.ts";
import type { DomainName } from "../dns/name.ts";
import type { PolicyInForce } from "../mtasts/policyInForce.ts";

/** The policies of one host as they were found, for the reports to its operator (RFC 8460 §4). */
export type HostPolicies = {
  dane: DanePolicy;
  /** Undefined: MTA-STS was not asked, since it could not have changed anything. */
  sts: PolicyInForce | undefined;
  /** The reporting domain; undefined for an address literal. */
  nextHop: DomainName | undefined;
};
