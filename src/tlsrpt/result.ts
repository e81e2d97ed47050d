import { presentTlsa } from "../dane/tlsa.ts";
import type { DanePolicy } from "../dane/tlsDiscovery.ts";
import { type DomainName, displayName } from "../dns/name.ts";
import type { TlsaData } from "../dns/rdata.ts";
import { policyLines, type StsPolicy } from "../mtasts/policy.ts";

/**
 * The result of one session, as TLSRPT counts it (RFC 8460 §4).
 *
 * Reporting domain: whose `_smtp._tls` record asks for reports: the recipient domain, or the smarthost's where a route leads there (§1.1).
 * Policy domain: the domain that the applied policy is about; for DANE that is the TLSA base domain of the host (§1.1).
 */
export const RESULT_TYPES = [
  // RFC 8460 §4.3.1, negotiation
  "starttls-not-supported",
  "certificate-host-mismatch",
  "certificate-expired",
  "certificate-not-trusted",
  "validation-failure",
  // RFC 8460 §4.3.2.1, DANE
  "tlsa-invalid",
  "dnssec-invalid",
  "dane-required",
  // RFC 8460 §4.3.2.2, MTA-STS
  "sts-policy-fetch-error",
  "sts-policy-invalid",
  "sts-webpki-invalid",
] as const;
export type ResultType = (typeof RESULT_TYPES)[number];

/** RFC 8460 §4.4: `policy-type`, `policy-string`, `policy-domain`, `mx-host`. Domains without a trailing dot, as A-labels. */
export type AppliedPolicy =
  | { type: "tlsa"; domain: string; strings: readonly string[] }
  | { type: "sts"; domain: string; strings: readonly string[]; mxHosts: readonly string[] }
  | { type: "no-policy-found"; domain: string };

/** What a failed session is filed under. `reason`: `failure-reason-code`, text that is the same for all sessions that fail alike. */
export type Failure = { resultType: ResultType; reason?: string };

/** The two ends of a session; what is not known is left out. `host`: as the MX record names it. */
export type SessionEnds = { host?: string; helo?: string; address?: string; localAddress?: string };

export type SessionResult = {
  /** The reporting domain. */
  domain: string;
  policy: AppliedPolicy;
  outcome: { kind: "success" } | { kind: "failure"; failure: Failure; ends: SessionEnds };
};

/** The policy that DANE gives one host; undefined where nothing was looked up, so that "no policy found" would be a guess. */
export function danePolicyApplied(dane: DanePolicy, host: DomainName, reportingDomain: DomainName): AppliedPolicy | undefined {
  switch (dane.kind) {
    case "authenticate":
      return tlsaPolicy(dane.base, [...dane.records, ...unusableOf(dane)]);
    case "encryptWithoutAuthentication":
      return tlsaPolicy(dane.base, unusableOf(dane));
    case "unreachable":
      // There should be a policy, and nobody can say what it is.
      return tlsaPolicy(host, []);
    case "notApplicable":
      if (dane.because === "exempt" || dane.because === "address-literal") return undefined;
      return { type: "no-policy-found", domain: displayName(reportingDomain) };
    default:
      return dane satisfies never;
  }
}

function unusableOf(dane: Extract<DanePolicy, { base: DomainName }>): readonly TlsaData[] {
  return (dane.unusable ?? []).map(({ record }) => record);
}

/** RFC 8460 §4.5: one string for each record of the RRset; sorted, so that the order of an answer makes no policy of its own. */
function tlsaPolicy(base: DomainName, records: readonly TlsaData[]): AppliedPolicy {
  return { type: "tlsa", domain: displayName(base), strings: [...new Set(records.map(presentTlsa))].sort() };
}

/** RFC 8460 §4.5: an MTA-STS policy; undefined where the domain has one that could not be had (§4.3.2.2). */
export function stsPolicyApplied(domain: DomainName, policy: StsPolicy | undefined): AppliedPolicy {
  const applied = { type: "sts", domain: displayName(domain) } as const;
  if (policy === undefined) return { ...applied, strings: [], mxHosts: [] };
  return { ...applied, strings: policyLines(policy), mxHosts: policy.mx };
}
