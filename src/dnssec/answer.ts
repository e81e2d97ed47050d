import { CLASS_IN, type Message, type ResourceRecord, RR_TYPE } from "../dns/message.ts";
import { type DomainName, displayName, isWithin, nameToWire } from "../dns/name.ts";
import { typeName } from "../dns/rdataText.ts";
import { type RRset, rrsetsOf } from "../dns/rrset.ts";
import { aliasOf } from "./aliases.ts";
import { type Distrust, indeterminate, isDistrust, type Judging, judgeMessage, type Rules } from "./evidence.ts";
import { extendedErrorOf } from "./extendedError.ts";
import { type Grade, leastGrade, SECURE_FOR_EVER, type Terms } from "./grade.ts";
import { judgeNegative, RCODE_NXDOMAIN } from "./negativeAnswer.ts";
import type { Alias, Resolution } from "./securityStatus.ts";
import { judgeRrset } from "./signedRrset.ts";
import { WorkBudget } from "./workBudget.ts";

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

type Part = { kind: "part"; aliases: readonly Alias[]; name: DomainName; grade: Grade; end: End };
/** Judges the answer to (name, type), of class IN. Records of a secure or insecure result are in the order of the message. */
export function* judgeAnswer(name: DomainName, type: number, rules: Rules): Judging<Resolution<ResourceRecord>> {
  const what = `${typeName(type)} of ${displayName(name)}`;
  const aliases: Alias[] = [];
  let grade = SECURE_FOR_EVER;
  let asked = name;
  for (;;) {
    const part = yield* judgeMessage(asked, type, (message) => judgePart(message, asked, type, aliases, rules));
    if (isDistrust(part)) return distrusted(part, what);
    aliases.push(...part.aliases);
    grade = leastGrade(grade, part.grade);
    if (part.end.kind !== "elsewhere") return resolution(part.end, part.name, aliases, grade);
    asked = part.name;
  }
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
  rules: Rules,
): Judging<Part | Distrust> {
  const terms = { rules, budget: new WorkBudget() };
  const answer = rrsetsOf(message.answer);
  const aliases: Alias[] = [];
  let grade = SECURE_FOR_EVER;
  let name = asked;
  for (;;) {
    const hop = yield* judgeHop(message, answer, name, type, terms);
    if (isDistrust(hop)) return hop;
    if (hop.kind === "end") return { kind: "part", aliases, name, grade: leastGrade(grade, hop.grade), end: hop.end };
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
  // The proof may have been left out of a joined message (RFC 2308 §2.1 allows several forms): asked for itself, it is there or it is bogus.
  if (denied === undefined || (isDistrust(denied) && name !== asked)) {
    return { kind: "part", aliases, name, grade, end: { kind: "elsewhere" } };
  }
  if (isDistrust(denied)) return denied;
  return { kind: "part", aliases, name, grade: leastGrade(grade, denied.grade), end: { kind: denied.kind } };
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
  const here = answer.filter((rrset) => rrset.name === name && (rrset.type === type || type === RR_TYPE.ANY));
  // An unsigned CNAME below a DNAME is synthesized, and is judged by the DNAME even if a CNAME was asked for (RFC 6672 §5.3.1).
  const claim = aliasOf(name, answer);
  const synthesized = claim.kind === "alias" && claim.dname !== undefined;
  const own = here.filter((rrset) => !(rrset.type === RR_TYPE.CNAME && synthesized));
  if (own.length > 0) return yield* judgeRecords(own, message, terms);
  if (isDistrust(claim) || claim.kind === "none") return claim;
  const grade = yield* judgeRrset(claim.rrset, message, terms);
  if (isDistrust(grade)) return grade;
  const { status } = grade;
  const { target, dname } = claim;
  const alias: Alias = dname === undefined ? { name, target, status } : { name, target, status, dname };
  if (type !== RR_TYPE.CNAME) return { kind: "alias", alias, grade };
  const rdata = nameToWire(target);
  const record = { name, type: RR_TYPE.CNAME, class: CLASS_IN, ttl: grade.ttlSeconds, rdata };
  return { kind: "end", end: { kind: "records", records: [record] }, grade };
}

/** The records at the end of the chain; of several types where ANY was asked. All must hold. */
function* judgeRecords(rrsets: readonly RRset[], message: Message, terms: Terms): Judging<Hop | Distrust> {
  const records: ResourceRecord[] = [];
  let grade = SECURE_FOR_EVER;
  for (const rrset of rrsets) {
    const judged = yield* judgeRrset(rrset, message, terms);
    if (isDistrust(judged)) return judged;
    grade = leastGrade(grade, judged);
    const { name, type } = rrset;
    records.push(...rrset.rdatas.map((rdata) => ({ name, type, class: CLASS_IN, ttl: judged.ttlSeconds, rdata })));
  }
  const [first, ...more] = records;
  if (first === undefined) throw new Error("an RRset without records");
  return { kind: "end", end: { kind: "records", records: [first, ...more] }, grade };
}
