import type { DomainName } from "../dns/name.ts";
import type { ReasonChain } from "../dnssec/securityStatus.ts";
import type { Tlsa } from "./tlsa.ts";

/** RFC 7672 §2.2 for one MX host. */
export type DanePolicy =
  | {
      kind: "notApplicable";
      because: "insecure-mx" | "insecure-address" | "tlsa-absent" | "tlsa-insecure" | "address-literal" | "exempt";
    }
  | {
      kind: "authenticate";
      mx: "secure" | "insecure";
      base: DomainName;
      records: readonly [Tlsa, ...Tlsa[]];
      identifiers: readonly DomainName[];
    }
  | { kind: "encryptWithoutAuthentication"; base: DomainName }
  | { kind: "unreachable"; reasons: ReasonChain };
