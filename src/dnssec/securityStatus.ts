import type { DomainName } from "../dns/name.ts";

/**
 * The four words of RFC 4035 §4.3 as types.
 *
 * secure: a chain of signed records reaches from a trust anchor to the answer (or to the proof that there is none).
 * insecure: it is proved that such a chain ends above the name (no DS), or only unsupported algorithms are used there.
 * bogus: there should be a chain, and it does not hold. indeterminate: nothing could be decided (no answer, no anchor reached).
 * Bogus and indeterminate carry no records: they cannot be used by mistake (RFC 7672 §2.1.1).
 */
export type SecurityStatus = "secure" | "insecure" | "bogus" | "indeterminate";

/** Why a status is not secure, in words a program can act on; `diagnosis/` maps them to failure classes. */
export type ReasonCode =
  | "signature-expired"
  | "signature-not-yet-valid"
  | "signature-missing"
  | "signature-invalid"
  | "signature-unusable"
  | "key-unknown"
  | "key-missing"
  | "ds-mismatch"
  | "denial-missing"
  | "denial-invalid"
  | "wildcard-unproved"
  | "dname-synthesis"
  | "alias-loop"
  | "work-limit"
  | "malformed"
  | "lookup-failed"
  | "no-trust-anchor"
  | "no-ds"
  | "opt-out"
  | "unsupported-algorithm"
  | "nsec3-iterations"
  | "negative-trust-anchor";

/** One link of an explanation. The zone or name it speaks of is part of the text; `zone` is the one whose keys lack the key of "key-unknown". */
export type Reason = { code: ReasonCode; text: string; zone?: DomainName };

/** Outermost first: "the MX of example.org is bogus", "because the DNSKEY of example.org ...", "because ...". Reads as a sentence. */
export type ReasonChain = readonly [Reason, ...Reason[]];

/** One hop of a CNAME or DNAME chain, with the status of that hop alone. `dname`: the record that it was derived from, if so. */
export type Alias = {
  name: DomainName;
  target: DomainName;
  status: "secure" | "insecure";
  dname?: { owner: DomainName; target: DomainName };
};

/**
 * What is known after a look-up. The status is that of the whole chain: the least of every alias hop and of the answer.
 * `name` is where the chain ended (the asked name without aliases). `reasons` of an insecure answer say where security ended.
 * `ede` is the RFC 8914 code that fits the innermost reason.
 */
export type Resolution<R> =
  | {
      status: "secure" | "insecure";
      answer: "records";
      aliases: readonly Alias[];
      name: DomainName;
      records: readonly [R, ...R[]];
      ttlSeconds: number;
      reasons?: ReasonChain;
    }
  | {
      status: "secure" | "insecure";
      answer: "nodata" | "nxdomain";
      aliases: readonly Alias[];
      name: DomainName;
      ttlSeconds: number;
      reasons?: ReasonChain;
    }
  // Two members, so that comparing `status` with both words narrows to what carries an answer.
  | { status: "bogus"; reasons: ReasonChain; ede?: number }
  | { status: "indeterminate"; reasons: ReasonChain; ede?: number };

/** The chain in one line, as it stands in logs, DSNs and `explain`. */
export function reasonText(reasons: ReasonChain): string {
  return reasons.map((reason) => reason.text).join(": ");
}
