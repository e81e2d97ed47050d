/**
 * Result types of RFC 8460 §4.3 that MTA-STS leads to. Transient trouble (no connection, no answer from DNS) has none: §4.3.4.
 */

/** §4.3.2.2: there is a TXT record, and no policy could be had. */
export type StsPolicyFailure =
  /** No usable answer from the policy host. */
  | "sts-policy-fetch-error"
  /** A policy that is not one. */
  | "sts-policy-invalid"
  /** The policy host's certificate is not valid for its name. */
  | "sts-webpki-invalid";

/** §4.3.1: an MX host falls short of the policy. A host that no mx pattern allows has no word of its own: validation-failure. */
export type StsSessionFailure =
  | "starttls-not-supported"
  | "certificate-host-mismatch"
  | "certificate-expired"
  | "certificate-not-trusted"
  | "validation-failure";
