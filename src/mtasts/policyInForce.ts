import type { DomainName } from "../dns/name.ts";
import type { StsPolicy } from "./policy.ts";
import type { StsPolicyFailure } from "./stsFailure.ts";

/** What MTA-STS says of a policy domain at this moment; the answer that a delivery gets. */
export type PolicyInForce =
  | { kind: "policy"; domain: DomainName; id: string; policy: StsPolicy }
  /** `failed`: the domain has a TXT record, but no policy could be had, and none is cached. */
  | { kind: "none"; because: "off" | "no-record" | "lookup-failed" }
  | { kind: "none"; because: "failed"; failure: StsPolicyFailure; reason: string };
