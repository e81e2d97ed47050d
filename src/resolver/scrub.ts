import { CLASS_IN, type Message, type Question, type ResourceRecord, RR_TYPE } from "../dns/message.ts";
import { type DomainName, isWithin, ROOT } from "../dns/name.ts";

/**
 * What of a server's message may be used. A server was asked one question because it was delegated one zone (its bailiwick): it is
 * heard on that question and on that zone, and everything else in its message is left out before anybody can take it for an answer
 * (RFC 2181 §5.4.1, RFC 5452 §6).
 */

const RCODE_NXDOMAIN = 3;
const DENIAL_TYPES: readonly number[] = [RR_TYPE.NSEC, RR_TYPE.NSEC3];

/** The type that an RRSIG record covers, or the record's own type. */
export function coveredType(record: ResourceRecord): number {
  if (record.type !== RR_TYPE.RRSIG) return record.type;
  return record.rdata.length >= 2 ? record.rdata.readUInt16BE(0) : RR_TYPE.RRSIG;
}

/**
 * The message with only: in the answer section, the records asked for, or the first hop of an alias (CNAME at the name, DNAME above it);
 * in the authority section, the SOA record and the NSEC and NSEC3 records of the zone; each with its signatures; and signatures without the
 * records that they cover, which tell that somebody took records away. Nothing of the additional section. After a first hop, what the message says about the target is left out too, and RCODE NXDOMAIN with it, because that is about the
 * target (RFC 6604 §2.1): the target is a question of its own.
 */
export function scrubbed(message: Message, question: Question, zone: DomainName): Message {
  const kept = message.answer.filter((record) => answers(record, question, zone));
  // Signatures without the records they cover answer nothing.
  const answer = kept.some((record) => record.type !== RR_TYPE.RRSIG || record.type === question.type) ? kept : [];
  const isAlias = answer.length > 0 && !answer.some((record) => isAskedType(record, question));
  const authority = message.authority.filter(
    (record) => provesAbout(record, question, zone, isAlias) || (!isAlias && isOrphan(record, message.authority, zone)),
  );
  const rcode = isAlias && message.rcode === RCODE_NXDOMAIN ? 0 : message.rcode;
  return { ...message, rcode, answer, authority, additional: [] };
}

function isAskedType(record: ResourceRecord, question: Question): boolean {
  return record.name === question.name && (record.type === question.type || question.type === RR_TYPE.ANY);
}

function answers(record: ResourceRecord, question: Question, zone: DomainName): boolean {
  if (record.class !== CLASS_IN) return false;
  const type = coveredType(record);
  if (record.name === question.name) {
    return isAskedType(record, question) || type === question.type || type === RR_TYPE.CNAME;
  }
  return type === RR_TYPE.DNAME && isWithin(question.name, record.name) && isWithin(record.name, zone);
}

function provesAbout(record: ResourceRecord, question: Question, zone: DomainName, isAlias: boolean): boolean {
  if (record.class !== CLASS_IN || !isWithin(record.name, zone)) return false;
  const type = coveredType(record);
  if (DENIAL_TYPES.includes(type)) return true;
  return type === RR_TYPE.SOA && !isAlias && isSoaFor(record.name, question);
}

function isOrphan(record: ResourceRecord, among: readonly ResourceRecord[], zone: DomainName): boolean {
  if (record.type !== RR_TYPE.RRSIG || record.class !== CLASS_IN || !isWithin(record.name, zone)) return false;
  const covered = coveredType(record);
  return !among.some((other) => other.type === covered && other.name === record.name);
}

/** A DS record belongs to the parent, so the child's SOA record says nothing of it (RFC 4035 §3.1.4.1). */
export function isSoaFor(owner: DomainName, question: Question): boolean {
  if (!isWithin(question.name, owner)) return false;
  return question.type !== RR_TYPE.DS || owner !== question.name || owner === ROOT;
}
