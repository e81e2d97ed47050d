import { decodeRrsig } from "../dns/dnssecRdata.ts";
import { isMalformed, type Message, type ResourceRecord, RR_TYPE } from "../dns/message.ts";
import { type DomainName, displayName, isWithin } from "../dns/name.ts";
import { typeName } from "../dns/rdataText.ts";
import { type RRset, rrsetsOf } from "../dns/rrset.ts";
import { type Terms, type ZoneDenials, zoneDenials } from "./denial.ts";
import { bogus, type Distrust, type Judging, type SecureZone } from "./evidence.ts";
import { verifyRrset } from "./rrsig.ts";
import type { ReasonChain } from "./securityStatus.ts";

/**
 * The authority section of an answer out of a secure zone. What it says of the zone (SOA) and of absence (NSEC, NSEC3) must be authentic as
 * a whole (RFC 4035 §3.2.3), not only the part that a proof needs: where one record does not hold, somebody else wrote in the message.
 *
 * Joined: a message with an alias may hold the authority sections of several zones. Of these, each zone is judged by what it signed itself.
 */

const SPOKEN: ReadonlySet<number> = new Set([RR_TYPE.SOA, RR_TYPE.NSEC, RR_TYPE.NSEC3]);

export function isJoined({ answer }: Message): boolean {
  return answer.some((record) => record.type === RR_TYPE.CNAME || record.type === RR_TYPE.DNAME);
}

/** Judged once per zone, however many RRsets of the answer ask for it. */
export function* judgeAuthority(message: Message, zone: SecureZone, terms: Terms): Judging<Distrust | "authentic"> {
  const known = terms.authority.get(zone.name);
  if (known !== undefined) return known;
  const judged = yield* judgeSets(message, zone, terms);
  terms.authority.set(zone.name, judged);
  return judged;
}

function* judgeSets(message: Message, zone: SecureZone, terms: Terms): Judging<Distrust | "authentic"> {
  const spoken = message.authority.filter((record) => SPOKEN.has(coveredType(record)));
  const joined = isJoined(message);
  const orphan = joined ? undefined : orphanIn(message.authority);
  if (orphan !== undefined) {
    const text = `there is a signature of the ${typeName(coveredType(orphan))} of ${displayName(orphan.name)}, but no such record`;
    return bogus({ code: "denial-invalid", text });
  }
  if (spoken.length === 0) return "authentic";
  const sets = rrsetsOf(spoken).filter((rrset) => !joined || isSignedBy(rrset, zone.name));
  const denials = yield* zoneDenials(message.authority, zone, terms);
  for (const rrset of sets) {
    const refusal = refusalOf(rrset, zone, denials, terms);
    if (refusal === undefined) continue;
    const text = `the ${typeName(rrset.type)} of ${displayName(rrset.name)} beside the answer is not authentic`;
    return bogus({ code: "denial-invalid", text }, ...refusal);
  }
  return "authentic";
}

function refusalOf(rrset: RRset, zone: SecureZone, denials: ZoneDenials, { rules, budget }: Terms): ReasonChain | undefined {
  if (!isWithin(rrset.name, zone.name)) {
    return [{ code: "denial-invalid", text: `${displayName(rrset.name)} is not in the zone ${displayName(zone.name)}` }];
  }
  if (rrset.type !== RR_TYPE.SOA) return denials.refusal(rrset);
  const verification = verifyRrset(rrset, zone.keys, rules.now, budget);
  return verification.kind === "failed" ? verification.reasons : undefined;
}

/** A signature without the records that it covers. */
function orphanIn(authority: readonly ResourceRecord[]): ResourceRecord | undefined {
  const covered = new Set(authority.flatMap(({ name, type }) => (type === RR_TYPE.RRSIG ? [] : [`${type} ${name}`])));
  return authority.find((record) => record.type === RR_TYPE.RRSIG && !covered.has(`${coveredType(record)} ${record.name}`));
}

/** The type that an RRSIG record covers, or the record's own. */
function coveredType({ type, rdata }: ResourceRecord): number {
  return type === RR_TYPE.RRSIG && rdata.length >= 2 ? rdata.readUInt16BE(0) : type;
}

function isSignedBy(rrset: RRset, zone: DomainName): boolean {
  return rrset.signatures.some((record) => {
    const rrsig = decodeRrsig(record.rdata);
    return !isMalformed(rrsig) && rrsig.signer === zone;
  });
}
