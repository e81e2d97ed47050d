import { type DomainName, nameToWire } from "./name.ts";
import { layoutOf, readFields } from "./rdataLayout.ts";
import { WireReader } from "./wireReader.ts";

/** DNS messages (RFC 1035 §4, RFC 6891): strict decoding, and encoding of queries. */

/** Numbers of the types this project speaks of (IANA); any other number passes through as it is. */
export const RR_TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  DNAME: 39,
  OPT: 41,
  DS: 43,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  NSEC3: 50,
  NSEC3PARAM: 51,
  TLSA: 52,
  ANY: 255,
} as const;

export const CLASS_IN = 1;

/** The length of TCP messages is a 16-bit field (RFC 1035 §4.2.2). */
export const MAX_MESSAGE_OCTETS = 65_535;
/** More than any answer that mail needs; what comes in larger numbers comes to cost work. */
export const MAX_RECORDS = 1024;

/** `rdata` is uncompressed (names inside the types of RFC 1035 are expanded), octets otherwise as received, case kept. */
export type ResourceRecord = { name: DomainName; type: number; class: number; ttl: number; rdata: Buffer };

export type Question = { name: DomainName; type: number; class: number };

/** What stands before the records: enough to tell whether a datagram answers a query and was truncated. */
export type MessageHead = {
  id: number;
  response: boolean;
  opcode: number;
  authoritative: boolean;
  truncated: boolean;
  recursionDesired: boolean;
  recursionAvailable: boolean;
  authenticData: boolean;
  checkingDisabled: boolean;
  rcode: number;
  questions: readonly Question[];
};

/** EDNS(0), RFC 6891 §6.1. */
export type Edns = {
  udpPayloadSize: number;
  version: number;
  dnssecOk: boolean;
  options: readonly { code: number; data: Buffer }[];
};

/** `rcode` has the upper bits of OPT merged (RFC 6891 §6.1.3). `additional` is without OPT. */
export type Message = MessageHead & {
  answer: readonly ResourceRecord[];
  authority: readonly ResourceRecord[];
  additional: readonly ResourceRecord[];
  edns?: Edns;
};

export type MalformedMessage = { kind: "malformed"; reason: string };

const HEADER_OCTETS = 12;
const MAX_TTL = 0x7fff_ffff;
const DNSSEC_OK_BIT = 0x8000;

const FLAG = { response: 0x8000, aa: 0x0400, tc: 0x0200, rd: 0x0100, ra: 0x0080, ad: 0x0020, cd: 0x0010 } as const;

export function isMalformed<T>(
  result: T | { kind: "malformed"; reason: string },
): result is { kind: "malformed"; reason: string } {
  return typeof result === "object" && result !== null && "kind" in result && result.kind === "malformed";
}

type Counts = { answer: number; authority: number; additional: number };
type Opt = { edns: Edns; upperRcode: number };

/**
 * Decodes a whole message or refuses it as a whole: one RDATA of a wrong length, one octet too many and the rest is not trusted either.
 * Never throws; the work is linear in the number of octets.
 */
export function decodeMessage(wire: Buffer): Message | MalformedMessage {
  if (wire.length > MAX_MESSAGE_OCTETS) return malformed(`message of ${wire.length} octets`);
  const reader = new WireReader(wire, HEADER_OCTETS);
  const { head, counts } = readHead(reader);
  const records = counts.answer + counts.authority + counts.additional;
  if (records > MAX_RECORDS) return malformed(`${records} records (${MAX_RECORDS} allowed)`);
  const answer = readRecords(reader, counts.answer, "answer");
  const authority = readRecords(reader, counts.authority, "authority");
  const everythingElse = readRecords(reader, counts.additional, "additional");
  reader.finish();
  if (reader.failure !== undefined) return malformed(reader.failure);
  const opts = everythingElse.filter((record) => record.type === RR_TYPE.OPT);
  const additional = everythingElse.filter((record) => record.type !== RR_TYPE.OPT);
  const [first, ...more] = opts;
  if (first === undefined) return { ...head, answer, authority, additional };
  if (more.length > 0) return malformed("more than one OPT record"); // RFC 6891 §6.1.1
  const opt = decodeOpt(first);
  if (isMalformed(opt)) return opt;
  return { ...head, rcode: (opt.upperRcode << 4) | head.rcode, answer, authority, additional, edns: opt.edns };
}

/** Decodes header and question only: for matching an answer to its query, and for truncated answers that end in mid-record. */
export function decodeHead(wire: Buffer): MessageHead | MalformedMessage {
  const reader = new WireReader(wire, HEADER_OCTETS);
  const { head } = readHead(reader);
  return reader.failure === undefined ? head : malformed(reader.failure);
}

function malformed(reason: string): MalformedMessage {
  return { kind: "malformed", reason };
}

function readHead(reader: WireReader): { head: MessageHead; counts: Counts } {
  const id = reader.uint16();
  const flags = reader.uint16();
  const questionCount = reader.uint16();
  const counts = { answer: reader.uint16(), authority: reader.uint16(), additional: reader.uint16() };
  // RFC 9619: a query has one question; servers repeat it, or leave it out of an error.
  if (questionCount > 1) reader.fail(`${questionCount} questions`);
  const questions: Question[] = [];
  if (questionCount === 1) questions.push({ name: reader.name(), type: reader.uint16(), class: reader.uint16() });
  const head: MessageHead = {
    id,
    response: (flags & FLAG.response) !== 0,
    opcode: (flags >> 11) & 0x0f,
    authoritative: (flags & FLAG.aa) !== 0,
    truncated: (flags & FLAG.tc) !== 0,
    recursionDesired: (flags & FLAG.rd) !== 0,
    recursionAvailable: (flags & FLAG.ra) !== 0,
    authenticData: (flags & FLAG.ad) !== 0,
    checkingDisabled: (flags & FLAG.cd) !== 0,
    rcode: flags & 0x0f,
    questions,
  };
  return { head, counts };
}

function readRecords(reader: WireReader, count: number, section: "answer" | "authority" | "additional"): ResourceRecord[] {
  const records: ResourceRecord[] = [];
  for (let i = 0; i < count && reader.failure === undefined; i += 1) {
    const record = readRecord(reader);
    // RFC 6891 §6.1.1: OPT belongs into the additional section, nowhere else.
    if (record.type === RR_TYPE.OPT && section !== "additional") reader.fail(`OPT in the ${section} section`);
    records.push(record);
  }
  return records;
}

function readRecord(reader: WireReader): ResourceRecord {
  const name = reader.name();
  const type = reader.uint16();
  const recordClass = reader.uint16();
  const rawTtl = reader.uint32();
  // RFC 2181 §8: a TTL with its top bit set counts as zero. OPT keeps flags there.
  const ttl = rawTtl > MAX_TTL && type !== RR_TYPE.OPT ? 0 : rawTtl;
  const layout = layoutOf(type);
  const rdata = reader.within(reader.uint16(), () =>
    layout === undefined ? reader.rest() : Buffer.concat(readFields(reader, layout)),
  );
  return { name, type, class: recordClass, ttl, rdata: rdata ?? Buffer.alloc(0) };
}

function decodeOpt(record: ResourceRecord): Opt | MalformedMessage {
  if (record.name !== ".") return malformed("OPT whose owner is not the root"); // RFC 6891 §6.1.2
  const reader = new WireReader(record.rdata);
  const options: { code: number; data: Buffer }[] = [];
  while (reader.remaining > 0) options.push({ code: reader.uint16(), data: reader.octets(reader.uint16()) });
  if (reader.failure !== undefined) return malformed(`OPT: ${reader.failure}`);
  const version = (record.ttl >>> 16) & 0xff;
  const dnssecOk = (record.ttl & DNSSEC_OK_BIT) !== 0;
  return { edns: { udpPayloadSize: record.class, version, dnssecOk, options }, upperRcode: record.ttl >>> 24 };
}

/** One question of class IN. Without `edns` there is no OPT record at all (the fallback of RFC 6891 §6.2.2). */
export function encodeQuery(query: {
  id: number;
  name: DomainName;
  type: number;
  recursionDesired: boolean;
  checkingDisabled: boolean;
  edns?: { udpPayloadSize: number; dnssecOk: boolean };
}): Buffer {
  const name = nameToWire(query.name);
  const header = Buffer.alloc(HEADER_OCTETS);
  header.writeUInt16BE(query.id, 0);
  header.writeUInt16BE((query.recursionDesired ? FLAG.rd : 0) | (query.checkingDisabled ? FLAG.cd : 0), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(query.edns === undefined ? 0 : 1, 10);
  const question = Buffer.alloc(4);
  question.writeUInt16BE(query.type, 0);
  question.writeUInt16BE(CLASS_IN, 2);
  if (query.edns === undefined) return Buffer.concat([header, name, question]);
  const opt = Buffer.alloc(11);
  opt.writeUInt16BE(RR_TYPE.OPT, 1);
  opt.writeUInt16BE(query.edns.udpPayloadSize, 3);
  opt.writeUInt16BE(query.edns.dnssecOk ? DNSSEC_OK_BIT : 0, 7);
  return Buffer.concat([header, name, question, opt]);
}
