import type { PathFailure } from "../x509/pathValidation.ts";
import { shortTlsa, type Tlsa } from "./tlsa.ts";

/**
 * Why one record did not authenticate the server. `no-match`: no certificate at all is the one it names. `not-the-issuer`: the one it
 * names is there, but not above the server's certificate. `no-path`: (PKIX usages) no path to a trusted CA.
 */
export type MatchFailure =
  | "no-certificate"
  | "unusable"
  | "weaker-digest"
  | "no-match"
  | "not-the-issuer"
  | "no-path"
  | "search-limit"
  | "name-mismatch"
  | PathFailure;

/**
 * For logs and diagnosis. `because` is a sentence that begins with the record; `depth` is set where the record names a certificate on
 * the path (0: the server's own).
 */
export type TriedRecord = { record: Tlsa; failure: MatchFailure; because: string; depth?: number };

export type MatchVerdict = { kind: "match"; record: Tlsa; depth: number } | { kind: "mismatch"; tried: readonly TriedRecord[] };

export function triedRecord(record: Tlsa, failure: MatchFailure, clause: string, depth?: number): TriedRecord {
  const because = `${shortTlsa(record)}: ${clause}`;
  return { record, failure, because, ...(depth === undefined ? {} : { depth }) };
}
