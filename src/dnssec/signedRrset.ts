import { decodeRrsig } from "../dns/dnssecRdata.ts";
import { isMalformed, RR_TYPE } from "../dns/message.ts";
import { displayName } from "../dns/name.ts";
import { typeName } from "../dns/rdataText.ts";
import type { RRset } from "../dns/rrset.ts";
import { trustFor, zoneSideOf } from "./chainOfTrust.ts";
import { type Terms, zoneDenials } from "./denial.ts";
import { bogus, type Distrust, type Judging } from "./evidence.ts";
import { type Grade, insecure, secure } from "./grade.ts";
import { verifyRrset } from "./rrsig.ts";
import type { Reason } from "./securityStatus.ts";

/**
 * The judgement of one RRset of an answer: the chain of trust to its zone, its signature, and the proof that a wildcard needs. `asked`: the
 * type in the question. What stands where DS was asked for is the parent's, or of no meaning (RFC 4035 §2.4, §3.1.4.1).
 */
export function* judgeRrset(rrset: RRset, terms: Terms, asked: number = rrset.type): Judging<Grade | Distrust> {
  const owner = zoneSideOf(rrset.name, asked);
  const trust = yield* trustFor(owner, rrset.signatures, terms.rules);
  if (trust.kind === "insecure") return insecure(trust.reasons, rrset.ttl);
  if (trust.kind !== "secure") return trust;
  terms.zones.set(trust.zone.name, trust.zone);
  const doubt = discord(rrset);
  if (doubt !== undefined) return bogus(doubt);
  const verification = verifyRrset(rrset, trust.zone.keys, terms.rules.now, terms.budget);
  if (verification.kind === "failed") return bogus(...verification.reasons);
  const { rrset: checked, expansion } = verification;
  if (expansion === undefined) return secure(checked.ttl);
  if (rrset.type === RR_TYPE.DNAME) {
    // RFC 4592 §4.4: what a wildcard DNAME means is undefined.
    return bogus({ code: "dname-synthesis", text: `the DNAME of ${displayName(rrset.name)} comes from a wildcard` });
  }
  // RFC 4035 §5.3.4: nothing closer to the name may exist.
  const denials = yield* zoneDenials(trust.zone, terms);
  const proof = yield* denials.noCloserMatch(rrset.name, expansion);
  if (proof.kind === "notProved") {
    const text = `${typeName(rrset.type)} of ${displayName(rrset.name)} comes from ${displayName(expansion.wildcard)} without a proof`;
    return bogus({ code: "wildcard-unproved", text }, ...proof.reasons);
  }
  const ttlSeconds = Math.min(checked.ttl, proof.ttlSeconds);
  return proof.kind === "proved" ? secure(ttlSeconds) : insecure(proof.reasons, ttlSeconds);
}

/**
 * RFC 4034 §3.1.3, RFC 4035 §2.2: an RRset has one owner in one zone, so whatever keys sign it, signer and label count are the same. Where
 * two RRSIG records differ in them, one is not the zone's, and the answer went through somebody's hands. Unbound goes by the first.
 */
export function discord(rrset: RRset): Reason | undefined {
  const claims = rrset.signatures.map(({ rdata }) => {
    const rrsig = decodeRrsig(rdata);
    return isMalformed(rrsig) ? "malformed" : `${rrsig.labels} ${rrsig.signer}`;
  });
  if (new Set(claims).size <= 1) return undefined;
  const what = `the ${typeName(rrset.type)} of ${displayName(rrset.name)}`;
  return { code: "signature-unusable", text: `the RRSIG records of ${what} disagree about who signed, or what` };
}
