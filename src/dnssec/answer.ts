import { CLASS_IN, type Message, type ResourceRecord, RR_TYPE } from "../dns/message.ts";
import { type DomainName, displayName, isWithin, nameToWire } from "../dns/name.ts";
import { typeName } from "../dns/rdataText.ts";
import { type RRset, rrsetsOf } from "../dns/rrset.ts";
import { type AliasClaim, aliasOf } from "./aliases.ts";
import { type Beside, deferred, judgeBeside, NOTHING_BESIDE } from "./authoritySection.ts";
import { deepestSigner } from "./chainOfTrust.ts";
import { type Terms, termsOf } from "./denial.ts";
import { bogus, type Distrust, indeterminate, isDistrust, type Judging, judgeMessage, type Rules } from "./evidence.ts";
import { extendedErrorOf } from "./extendedError.ts";
import { type Grade, insecure, leastGrade, SECURE_FOR_EVER } from "./grade.ts";
import { judgeNegative, RCODE_NXDOMAIN } from "./negativeAnswer.ts";
import type { Alias, Resolution } from "./securityStatus.ts";
import { judgeRrset } from "./signedRrset.ts";

/**
 * The judgement of a whole look-up: a chain of aliases, hop by hop, and what is at its end.
 *
 * Hop: one CNAME or DNAME. A message may hold the whole chain (a recursor's) or only its beginning; what it does not speak of is asked for.
 */

/** Hops that are followed; real chains have fewer than half as many. */
export const MAX_ALIASES = 12;

type End =
  | { kind: "records"; records: readonly [ResourceRecord, ...ResourceRecord[]] }
  | { kind: "nodata" | "nxdomain" }
  /** The message says nothing of where the chain goes on. */
  | { kind: "elsewhere" };

/** `hops` is the grade of the aliases alone. */
type Part = { kind: "part"; aliases: readonly Alias[]; hops: Grade; name: DomainName; grade: Grade; end: End };

/** What the messages so far have come to: the hops, their grade, and what of their authority sections is still to be shown authentic. */
type Journey = { aliases: readonly Alias[]; grade: Grade; beside: Beside };

/** Judges the answer to (name, type), of class IN. Records of a secure or insecure result are in the order of the message. */
export function* judgeAnswer(name: DomainName, type: number, rules: Rules): Judging<Resolution<ResourceRecord>> {
  const what = `${typeName(type)} of ${displayName(name)}`;
  let journey: Journey = { aliases: [], grade: SECURE_FOR_EVER, beside: NOTHING_BESIDE };
  let asked = name;
  for (;;) {
    const before = journey;
    const step = yield* judgeMessage(asked, type, (message) => judgeStep(message, asked, type, before, rules));
    if (isDistrust(step)) return distrusted(step, what);
    journey = step.journey;
    if (step.end.kind !== "elsewhere") return resolution(step.end, step.name, journey.aliases, journey.grade);
    asked = step.name;
  }
}

/** One message of the journey: the hops that it tells of, and what it says beside them. */
function* judgeStep(
  message: Message,
  asked: DomainName,
  type: number,
  before: Journey,
  rules: Rules,
): Judging<{ kind: "step"; journey: Journey; name: DomainName; end: End } | Distrust> {
  const terms = termsOf(message, rules);
  const part = yield* judgePart(message, asked, type, before.aliases, terms);
  if (isDistrust(part)) return part;
  const { end, name } = part;
  const aliases = [...before.aliases, ...part.aliases];
  const goesOn = (grade: Grade) => {
    const journey = { aliases, grade: leastGrade(before.grade, grade), beside: deferred(before.beside, terms) };
    return { kind: "step" as const, journey, name, end: { kind: "elsewhere" as const } };
  };
  if (end.kind === "elsewhere") return goesOn(part.hops);
  const grade = leastGrade(before.grade, part.grade);
  const isAliased = part.aliases.length > 0;
  // Where a CNAME was asked for, NXDOMAIN and what stands beside it are about its target (RFC 6604 §3): not what was asked.
  const isOfTarget = type === RR_TYPE.CNAME && end.kind === "records" && message.rcode === RCODE_NXDOMAIN;
  const standing = isOfTarget
    ? { speaker: "any" as const, status: "insecure" as const }
    : { speaker: speakerOf(isAliased), status: grade.status };
  const beside = yield* judgeBeside(message, standing, before.beside, terms);
  if (!isDistrust(beside)) return { kind: "step", journey: { aliases, grade, beside }, name, end };
  // The aliases hold by themselves; their target is asked for itself. What came along must still turn out authentic.
  return isAliased ? goesOn(part.hops) : beside;
}

/** In an answer without aliases one zone speaks. */
function speakerOf(isAliased: boolean): "one zone" | "any" {
  return isAliased ? "any" : "one zone";
}

function resolution(
  end: Exclude<End, { kind: "elsewhere" }>,
  name: DomainName,
  aliases: readonly Alias[],
  grade: Grade,
): Resolution<ResourceRecord> {
  const { status, ttlSeconds, reasons } = grade;
  const found = { status, aliases, name, ttlSeconds, ...(reasons === undefined ? {} : { reasons }) };
  return end.kind === "records" ? { ...found, answer: "records", records: end.records } : { ...found, answer: end.kind };
}

function distrusted(distrust: Distrust, what: string): Resolution<ResourceRecord> {
  const [first] = distrust.reasons;
  const outermost = distrust.kind === "bogus" ? `the ${what} is bogus` : `the ${what} could not be looked up`;
  const ede = extendedErrorOf(distrust.reasons);
  return { status: distrust.kind, reasons: [{ code: first.code, text: outermost }, ...distrust.reasons], ede };
}

/** What one message says, from the name that it was asked for as far as it goes. `before` are the hops that led to that name. */
function* judgePart(
  message: Message,
  asked: DomainName,
  type: number,
  before: readonly Alias[],
  terms: Terms,
): Judging<Part | Distrust> {
  const answer = rrsetsOf(message.answer);
  const aliases: Alias[] = [];
  let grade = SECURE_FOR_EVER;
  let name = asked;
  for (;;) {
    const hop = yield* judgeHop(message, answer, name, type, terms);
    // What a joined message says of a target is second hand: asked for itself, it holds or it is bogus.
    if (isDistrust(hop) && hop.fault === "message" && name !== asked) return elsewhere(name, aliases, grade);
    if (isDistrust(hop)) return hop;
    if (hop.kind === "end")
      return { kind: "part", aliases, hops: grade, name, grade: leastGrade(grade, hop.grade), end: hop.end };
    if (hop.kind === "none") break;
    grade = leastGrade(grade, hop.grade);
    aliases.push(hop.alias);
    name = hop.alias.target;
    const travelled = [...before, ...aliases];
    if (travelled.some((alias) => alias.name === name)) {
      return indeterminate({ code: "alias-loop", text: `the aliases lead back to ${displayName(name)}` });
    }
    if (travelled.length > MAX_ALIASES) {
      return indeterminate({ code: "alias-loop", text: `there are more than ${MAX_ALIASES} aliases` });
    }
  }
  const denied = name === asked || speaksOf(message, name) ? yield* judgeNegative(message, name, type, terms) : undefined;
  // The proof may also have been left out of a joined message (RFC 2308 §2.1 allows several forms).
  if (denied === undefined || (isDistrust(denied) && name !== asked)) return elsewhere(name, aliases, grade);
  if (isDistrust(denied)) return denied;
  return { kind: "part", aliases, hops: grade, name, grade: leastGrade(grade, denied.grade), end: { kind: denied.kind } };
}

function elsewhere(name: DomainName, aliases: readonly Alias[], grade: Grade): Part {
  return { kind: "part", aliases, hops: grade, name, grade, end: { kind: "elsewhere" } };
}

/** Whether the message that ends an alias chain says that there is nothing at its end (RFC 2308 §2.1, §2.2; RFC 6604 §3 for the RCODE). */
function speaksOf(message: Message, name: DomainName): boolean {
  if (message.rcode === RCODE_NXDOMAIN) return true;
  return message.authority.some((record) => record.type === RR_TYPE.SOA && isWithin(name, record.name));
}

type Hop =
  | { kind: "end"; end: End; grade: Grade }
  | { kind: "alias"; alias: Alias; grade: Grade }
  /** The answer section has nothing at this name. */
  | { kind: "none" };

function* judgeHop(
  message: Message,
  answer: readonly RRset[],
  name: DomainName,
  type: number,
  terms: Terms,
): Judging<Hop | Distrust> {
  if (type === RR_TYPE.RRSIG) return signaturesAt(name, message);
  const claim = aliasOf(name, answer, message);
  // What is no single alias is none, also where it was asked for.
  if (type === RR_TYPE.CNAME && isDistrust(claim)) return claim;
  const refusal = yield* judgeOthers(name, type, answer, terms);
  if (refusal !== undefined) return refusal;
  const own = ownRecords(answer, name, type, claim);
  // Where a CNAME was asked for, the RCODE may speak of its target (RFC 6604 §3).
  if (own.length > 0 && message.rcode === RCODE_NXDOMAIN && type !== RR_TYPE.CNAME) {
    return bogus({ code: "malformed", text: `there are records of ${displayName(name)}, but the RCODE is NXDOMAIN` });
  }
  if (own.length > 0) return occluded(name, claim) ?? (yield* judgeRecords(own, terms));
  if (isDistrust(claim) || claim.kind === "none") return claim;
  const grade = yield* judgeRrset(claim.rrset, terms, claim.dname === undefined ? type : claim.rrset.type);
  if (isDistrust(grade)) return grade;
  const { status, ttlSeconds } = grade;
  const { target, dname } = claim;
  if (type === RR_TYPE.CNAME && !answer.some((rrset) => rrset.type === type && rrset.name === name)) {
    // RFC 6672 §3.1: beside the DNAME stands the CNAME that it makes, and that is what was asked for.
    return bogus({ code: "dname-synthesis", text: `there is a DNAME above ${displayName(name)}, but no CNAME` });
  }
  if (type !== RR_TYPE.CNAME) {
    const alias: Alias = dname === undefined ? { name, target, status } : { name, target, status, dname };
    return { kind: "alias", alias, grade };
  }
  const synthesized = { name, type, class: CLASS_IN, ttl: ttlSeconds, rdata: nameToWire(target) };
  const [first, ...more] = recordsOf(claim.rrset, ttlSeconds);
  return { kind: "end", end: { kind: "records", records: [first, ...more, synthesized] }, grade };
}

/**
 * The RRsets that answer the question at `name` itself. An unsigned CNAME below a DNAME is synthesized, and is judged by the DNAME even if
 * a CNAME was asked for (RFC 6672 §5.3.1). Of a CNAME and other records what comes first counts.
 */
function ownRecords(answer: readonly RRset[], name: DomainName, type: number, claim: AliasClaim): readonly RRset[] {
  const here = answer.filter((rrset) => rrset.name === name);
  const synthesized = claim.kind === "alias" && claim.dname !== undefined;
  if (type === RR_TYPE.ANY) return here.filter((rrset) => rrset.type !== RR_TYPE.CNAME || !synthesized);
  const first = here.find((rrset) => rrset.type === type || rrset.type === RR_TYPE.CNAME);
  if (first === undefined || first.type !== type) return [];
  return first.type === RR_TYPE.CNAME && synthesized ? [] : [first];
}

/** RFC 6672 §2.4: below a DNAME there is nothing; a message that has both is nobody's answer. */
function occluded(name: DomainName, claim: AliasClaim): Distrust | undefined {
  if (claim.kind !== "alias" || claim.dname === undefined) return undefined;
  const text = `there are records of ${displayName(name)} below the DNAME of ${displayName(claim.dname.owner)}`;
  return bogus({ code: "dname-synthesis", text });
}

/**
 * Beside a CNAME there is nothing else (RFC 2181 §10.1). Some zones have more all the same: then what comes first counts, and the rest must
 * hold as well. In a signed zone every RRset is signed (RFC 4035 §2.2) by that zone: one that is not came from elsewhere.
 */
function* judgeOthers(name: DomainName, type: number, answer: readonly RRset[], terms: Terms): Judging<Distrust | undefined> {
  if (type === RR_TYPE.CNAME || type === RR_TYPE.ANY) return undefined;
  const here = answer.filter((rrset) => rrset.name === name && (rrset.type === type || rrset.type === RR_TYPE.CNAME));
  if (new Set(here.map((rrset) => deepestSigner(name, rrset.signatures))).size > 1) {
    const types = here.map((rrset) => typeName(rrset.type)).join(" and ");
    return bogus({ code: "signature-invalid", text: `${types} of ${displayName(name)} are not signed by the same zone` });
  }
  for (const rrset of here.slice(1)) {
    const judged = yield* judgeRrset(rrset, terms, type);
    if (isDistrust(judged)) return judged;
  }
  return undefined;
}

/** RRSIG records are not signed themselves (RFC 4035 §2.2): they prove something of others, nothing proves them. */
function signaturesAt(name: DomainName, message: Message): Hop {
  const [first, ...more] = message.answer.filter((record) => record.name === name && record.type === RR_TYPE.RRSIG);
  if (first === undefined) return { kind: "none" };
  const ttlSeconds = Math.min(first.ttl, ...more.map((record) => record.ttl));
  const grade = insecure([{ code: "signature-missing", text: "RRSIG records are never signed themselves" }], ttlSeconds);
  return { kind: "end", end: { kind: "records", records: [first, ...more] }, grade };
}

function recordsOf(rrset: RRset, ttl: number): readonly [ResourceRecord, ...ResourceRecord[]] {
  const { name, type } = rrset;
  const [first, ...more] = rrset.rdatas.map((rdata) => ({ name, type, class: CLASS_IN, ttl, rdata }));
  if (first === undefined) throw new Error("an RRset without records");
  return [first, ...more];
}

/** The records at the end of the chain; of several types where ANY was asked. All must hold. */
function* judgeRecords(rrsets: readonly RRset[], terms: Terms): Judging<Hop | Distrust> {
  const records: ResourceRecord[] = [];
  let grade = SECURE_FOR_EVER;
  for (const rrset of rrsets) {
    const judged = yield* judgeRrset(rrset, terms);
    if (isDistrust(judged)) return judged;
    yield { kind: "pause" };
    grade = leastGrade(grade, judged);
    records.push(...recordsOf(rrset, judged.ttlSeconds));
  }
  const [first, ...more] = records;
  if (first === undefined) throw new Error("an RRset without records");
  return { kind: "end", end: { kind: "records", records: [first, ...more] }, grade };
}
