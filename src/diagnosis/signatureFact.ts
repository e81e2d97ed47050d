import { decodeRrsig } from "../dns/dnssecRdata.ts";
import { isMalformed } from "../dns/message.ts";
import type { DomainName } from "../dns/name.ts";
import type { RRset } from "../dns/rrset.ts";
import { verifyRrset, type ZoneKey } from "../dnssec/rrsig.ts";
import { WorkBudget } from "../dnssec/workBudget.ts";

/**
 * One RRSIG as it stands beside an RRset (RFC 4034 §3), and what the validator's own verification says of it. Dates in seconds since the
 * epoch.
 */
export type SignatureFact = {
  keyTag: number;
  algorithm: number;
  signer: DomainName;
  inception: number;
  expiration: number;
  /** `unchecked`: the keys of the signer are not known. `because`: the verification's innermost reason. */
  verdict: { kind: "holds" } | { kind: "fails"; because: string } | { kind: "unchecked" };
};

/** Signatures that are looked at; explanations are for people. */
const MAX_SIGNATURES = 8;

/** The signatures of `rrset`, each judged alone with the keys of its signer. */
export function signatureFacts(
  rrset: RRset,
  keysOf: (zone: DomainName) => readonly ZoneKey[] | undefined,
  now: number,
): readonly SignatureFact[] {
  return rrset.signatures.slice(0, MAX_SIGNATURES).flatMap((record): SignatureFact[] => {
    const rrsig = decodeRrsig(record.rdata);
    if (isMalformed(rrsig)) return [];
    const { keyTag, algorithm, signer, inception, expiration } = rrsig;
    const keys = keysOf(signer);
    return [
      { keyTag, algorithm, signer, inception, expiration, verdict: verdictOf({ ...rrset, signatures: [record] }, keys, now) },
    ];
  });
}

function verdictOf(rrset: RRset, keys: readonly ZoneKey[] | undefined, now: number): SignatureFact["verdict"] {
  if (keys === undefined) return { kind: "unchecked" };
  const verification = verifyRrset(rrset, keys, now, new WorkBudget());
  if (verification.kind === "verified") return { kind: "holds" };
  return { kind: "fails", because: (verification.reasons.at(-1) ?? verification.reasons[0]).text };
}
