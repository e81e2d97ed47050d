import { decodeNsec, decodeNsec3, NSEC3_OPT_OUT } from "../../src/dns/dnssecRdata.ts";
import { isMalformed, type Message, type ResourceRecord, RR_TYPE } from "../../src/dns/message.ts";
import { compareCanonical } from "../../src/dns/name.ts";
import type { ReasonCode } from "../../src/dnssec/securityStatus.ts";
import type { Disagreement } from "./campaign.ts";
import { UNBOUND_ITERATIONS } from "./judges.ts";
import { covers, setsOf } from "./messageParts.ts";

/** What can be said of a disagreement: who refuses, for which reason, and what is in the message. */

export function isStricter({ ours, unbound }: Disagreement): boolean {
  return ours.status === "refused" && unbound.status !== "refused";
}

export function isLaxer({ ours, unbound }: Disagreement): boolean {
  return ours.status !== "refused" && unbound.status === "refused";
}

/**
 * Both usable, and of one status; or ours is the lesser, because of what the zone itself says of its NSEC3 records, or because our aliases
 * end at a name that is insecure for Unbound too.
 */
export function isAlike({ ours, unbound, delv, end, mutant }: Disagreement): boolean {
  if (ours.status === "refused" || unbound.status === "refused") return false;
  if (ours.status === "secure") return unbound.status === "secure" || delv?.status === "secure";
  return unbound.status === "insecure" || end?.status === "insecure" || recordsOf(mutant.message).some(isLimitedNsec3);
}

/** RFC 9276 §3.2, RFC 5155 §9.2: with more iterations than are computed, or opt-out. */
export function isLimitedNsec3({ type, rdata }: ResourceRecord): boolean {
  const nsec3 = type === RR_TYPE.NSEC3 ? decodeNsec3(rdata) : undefined;
  return (
    nsec3 !== undefined &&
    !isMalformed(nsec3) &&
    (nsec3.iterations > UNBOUND_ITERATIONS.insecureAbove || (nsec3.flags & NSEC3_OPT_OUT) !== 0)
  );
}

export function refusedFor(one: Disagreement, ...codes: ReasonCode[]): boolean {
  return (
    isStricter(one) &&
    one.ours.status === "refused" &&
    codes.some((code) => one.ours.status === "refused" && code === one.ours.code)
  );
}

/** That we refuse, and delv with us where it was asked: what two validators take is not refused without a reason of its own. */
export function isRefusedByTwo(one: Disagreement): boolean {
  return isStricter(one) && (one.delv === undefined || one.delv.status === "refused");
}

/** That we refuse, and some reason of ours is in these words. */
export function saysWhy(one: Disagreement, words: RegExp): boolean {
  return isStricter(one) && one.ours.status === "refused" && words.test(one.ours.why);
}

export function isSpoiledItself({ mutant: { question, spoiled } }: Disagreement): boolean {
  return question.name === spoiled.name && question.type === spoiled.type;
}

export function recordsOf({ answer, authority }: Message): readonly ResourceRecord[] {
  return [...answer, ...authority];
}

function isSigned(one: ResourceRecord, among: readonly ResourceRecord[]): boolean {
  return among.some((other) => other.type === RR_TYPE.RRSIG && other.name === one.name && covers(other) === one.type);
}

export function isAliased({ answer }: Message): boolean {
  return answer.some((one) => one.type === RR_TYPE.CNAME || one.type === RR_TYPE.DNAME);
}

/** Whether some name has a CNAME and something else. */
export function hasCnameBeside({ answer }: Message): boolean {
  const aliases = answer.filter((one) => one.type === RR_TYPE.CNAME).map((one) => one.name);
  return answer.some((one) => one.type !== RR_TYPE.CNAME && one.type !== RR_TYPE.RRSIG && aliases.includes(one.name));
}

export function hasUnsignedAlias({ answer }: Message, type: number): boolean {
  return answer.some((one) => one.type === type && !isSigned(one, answer));
}

export const DENIALS: readonly number[] = [RR_TYPE.NSEC, RR_TYPE.NSEC3, RR_TYPE.SOA];

/** A denial that is not in the authority section, an answer that is, or signatures in the additional section. */
export function hasMisplaced({ mutant: { message, spoiled } }: Disagreement): boolean {
  return (
    message.answer.some((one) => DENIALS.includes(covers(one)) && covers(one) !== spoiled.type) ||
    message.authority.some((one) => one.name === spoiled.name && covers(one) === spoiled.type) ||
    message.authority.some((one) => covers(one) === RR_TYPE.CNAME || covers(one) === RR_TYPE.DNAME) ||
    message.additional.some((one) => one.type === RR_TYPE.RRSIG || DENIALS.includes(one.type))
  );
}

export function hasDenials({ authority }: Message): boolean {
  return authority.some(({ type }) => type === RR_TYPE.NSEC || type === RR_TYPE.NSEC3);
}

/** How many RRsets of NSEC or NSEC3 records are in the authority section. */
export function denialSets({ authority }: Message): number {
  return new Set(authority.filter(({ type }) => type === RR_TYPE.NSEC || type === RR_TYPE.NSEC3).map(({ name }) => name)).size;
}

/** Whether some NSEC record points to a name before its own, some name has two NSEC or NSEC3 records, or these are of two chains. */
export function isNoChain(message: Message): boolean {
  const sets = setsOf(message).filter(({ records: [first] }) => first?.type === RR_TYPE.NSEC || first?.type === RR_TYPE.NSEC3);
  return (
    new Set(message.authority.flatMap(chainOf)).size > 1 ||
    sets.some(
      ({ records }) => new Set(records.map(({ rdata }) => rdata.toString("hex"))).size > 1 || records.some(pointsBackwards),
    )
  );
}

/** RFC 5155 §8.2: what all NSEC3 records of one proof have in common. */
function chainOf({ type, rdata }: ResourceRecord): string[] {
  const nsec3 = type === RR_TYPE.NSEC3 ? decodeNsec3(rdata) : undefined;
  if (nsec3 === undefined || isMalformed(nsec3)) return [];
  return [`${nsec3.hashAlgorithm} ${nsec3.iterations} ${nsec3.salt.toString("hex")}`];
}

function pointsBackwards({ name, type, rdata }: ResourceRecord): boolean {
  const nsec = type === RR_TYPE.NSEC ? decodeNsec(rdata) : undefined;
  return nsec !== undefined && !isMalformed(nsec) && compareCanonical(nsec.next, name) < 0;
}

/** Of one RRset. */
export function mostSignatures(message: Message): number {
  return Math.max(0, ...setsOf(message).map(({ signatures }) => signatures.length));
}

/** That the zone of the question has opt-out spans. */
export function isOptOut({ mutant }: Disagreement): boolean {
  return mutant.question.name.includes("optout.");
}
