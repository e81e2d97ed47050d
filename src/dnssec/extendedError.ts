import type { ReasonChain, ReasonCode } from "./securityStatus.ts";

/** RFC 8914 §4 (and RFC 9276 §3.2 for 27): the code that says the same as a reason. 0 is "Other", 6 is "DNSSEC Bogus". */
const EXTENDED_ERRORS: Readonly<Record<ReasonCode, number>> = {
  "unsupported-algorithm": 1,
  "no-trust-anchor": 5,
  "signature-invalid": 6,
  "signature-unusable": 6,
  "denial-invalid": 6,
  "wildcard-unproved": 6,
  "dname-synthesis": 6,
  "work-limit": 6,
  "signature-expired": 7,
  "signature-not-yet-valid": 8,
  "key-unknown": 9,
  "key-missing": 9,
  "ds-mismatch": 9,
  "signature-missing": 10,
  "denial-missing": 12,
  "lookup-failed": 22,
  "nsec3-iterations": 27,
  "alias-loop": 0,
  malformed: 0,
  "no-ds": 0,
  "opt-out": 0,
  "negative-trust-anchor": 0,
};

/** The code of the innermost reason, which is the cause of the others. */
export function extendedErrorOf(reasons: ReasonChain): number {
  const innermost = reasons.at(-1) ?? reasons[0];
  return EXTENDED_ERRORS[innermost.code];
}
