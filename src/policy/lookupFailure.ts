import { type ReasonChain, type ReasonCode, reasonText } from "../dnssec/securityStatus.ts";
import type { EnhancedStatus } from "../smtp/enhancedStatus.ts";

/**
 * Whether an unusable look-up is a DNSSEC matter (deferred 4.7.5) or one of reachability (4.4.3). The innermost reason decides: a chain
 * that broke because a server did not answer is no forgery.
 */
export function lookupFailure(reasons: ReasonChain): {
  cause: "dns" | "dnssec";
  dane: "bogus" | "lookup-failed";
  status: EnhancedStatus;
} {
  const code = innermost(reasons);
  const reachability = code === "lookup-failed" || code === "no-trust-anchor";
  return reachability
    ? { cause: "dns", dane: "lookup-failed", status: "4.4.3" }
    : { cause: "dnssec", dane: "bogus", status: "4.7.5" };
}

function innermost(reasons: ReasonChain): ReasonCode {
  return (reasons.at(-1) ?? reasons[0]).code;
}

const REPAIR = "has to repair it, unless somebody forges its answers";
const KEYS = "has to make the DS records at its parent and its keys fit each other";

/** What whoever runs the DNS of the name has to do, by the innermost reason. */
const REMEDIES: Readonly<Record<ReasonCode, string>> = {
  "signature-expired": "has to sign it again, unless the clock here is wrong",
  "signature-not-yet-valid": "has to set its signer's clock right, unless the clock here is wrong",
  "signature-missing": "has to sign it, unless something on the way strips signatures",
  "denial-missing": "has to repair it, unless something on the way strips proofs",
  "signature-invalid": REPAIR,
  "signature-unusable": REPAIR,
  "denial-invalid": REPAIR,
  "wildcard-unproved": REPAIR,
  "dname-synthesis": REPAIR,
  malformed: REPAIR,
  "key-unknown": KEYS,
  "key-missing": KEYS,
  "ds-mismatch": KEYS,
  "alias-loop": "has to end the chain of aliases somewhere",
  "work-limit": "has to make it cheaper to validate",
  "lookup-failed": "has to look, or whoever runs the resolver that was asked",
  "no-trust-anchor": "is not to blame: this relay's trust anchors have to be set right (resolver.trustAnchorFile)",
  // These make an answer insecure, not unusable.
  "no-ds": REPAIR,
  "opt-out": REPAIR,
  "unsupported-algorithm": REPAIR,
  "nsec3-iterations": "has to lower its NSEC3 iterations to 0",
  "negative-trust-anchor": REPAIR,
};

/** Why a look-up gave nothing that can be used, and who has to do what: one sentence. `name`: whose DNS it is. */
export function lookupFailureText(reasons: ReasonChain, name: string): string {
  return `${reasonText(reasons)}: whoever runs the DNS of ${name} ${REMEDIES[innermost(reasons)]}`;
}
