import { CLASS_IN, type Message, type ResourceRecord, RR_TYPE } from "../../src/dns/message.ts";
import { name, nameToWire } from "../../src/dns/name.ts";
import { parseZoneText } from "../../src/dns/zoneText.ts";

/** Builds DNS data for tests: records from text, messages from parts, wire from messages (without compression). */

const DEFAULT_TTL = 3600;

/** The number of a type, from its mnemonic or `TYPE123`. */
export function typeNumber(mnemonic: string): number {
  if (mnemonic in RR_TYPE) return RR_TYPE[mnemonic as keyof typeof RR_TYPE];
  const number = /^TYPE([0-9]+)$/.exec(mnemonic)?.[1];
  if (number === undefined) throw new Error(`no type ${mnemonic}`);
  return Number(number);
}

/** One record from `owner [ttl] TYPE rdata`, as in zone files; names are absolute with or without their last dot. */
export function record(text: string): ResourceRecord {
  const [, owner = "", ttl, mnemonic = "", rdata = ""] =
    /^(\S+)(?:\s+([0-9]+))?\s+(?:IN\s+)?([A-Z0-9]+)\s*(.*)$/.exec(text) ?? [];
  const type = typeNumber(mnemonic);
  return { name: name(owner), type, class: CLASS_IN, ttl: Number(ttl ?? DEFAULT_TTL), rdata: rdataFromText(mnemonic, rdata) };
}

export function records(...texts: readonly string[]): ResourceRecord[] {
  return texts.map(record);
}

function rdataFromText(mnemonic: string, text: string): Buffer {
  const fields = text.split(/\s+/).filter((field) => field !== "");
  const field = (i: number): string => fields[i] ?? "";
  const generic = /^\\#\s+[0-9]+\s*([0-9a-f\s]*)$/i.exec(text);
  if (generic !== null) return Buffer.from((generic[1] ?? "").replace(/\s/g, ""), "hex");
  switch (mnemonic) {
    case "CNAME":
    case "DNAME":
    case "PTR":
      return nameToWire(name(field(0)));
    case "MX":
      return Buffer.concat([uint16(Number(field(0))), nameToWire(name(field(1)))]);
    case "SRV":
      return Buffer.concat([...fields.slice(0, 3).map((part) => uint16(Number(part))), nameToWire(name(field(3)))]);
    case "TXT":
      return Buffer.concat([...text.matchAll(/"([^"]*)"/g)].map((match) => characterString(match[1] ?? "")));
    case "TLSA":
      return Buffer.concat([Buffer.from(fields.slice(0, 3).map(Number)), Buffer.from(fields.slice(3).join(""), "hex")]);
    case "SOA":
      return Buffer.concat([
        ...[0, 1].map((i) => nameToWire(name(field(i)))),
        ...fields.slice(2).map((part) => uint32(Number(part))),
      ]);
    default: {
      const parsed = parseZoneText(`. ${mnemonic} ${text}`);
      const [first] = parsed.kind === "records" ? parsed.records : [];
      if (first === undefined) throw new Error(`no rdata for ${mnemonic} ${text}: ${JSON.stringify(parsed)}`);
      return first.rdata;
    }
  }
}

function characterString(text: string): Buffer {
  return Buffer.concat([Buffer.of(text.length), Buffer.from(text, "latin1")]);
}

/** A NOERROR response of a recursor with EDNS and DO, empty but for `parts`. */
export function response(parts: Partial<Message> = {}): Message {
  return {
    id: 0,
    response: true,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: true,
    authenticData: false,
    checkingDisabled: true,
    rcode: 0,
    questions: [],
    answer: [],
    authority: [],
    additional: [],
    edns: { udpPayloadSize: 1232, version: 0, dnssecOk: true, options: [] },
    ...parts,
  };
}

/** RFC 1035 §4.1, RFC 6891 §6.1.2; names are not compressed. */
export function encodeMessage(message: Message): Buffer {
  const opt = message.edns === undefined ? [] : [optRecord(message.rcode, message.edns)];
  const counts = [message.questions, message.answer, message.authority, [...message.additional, ...opt]];
  const questions = message.questions.map((one) => Buffer.concat([nameToWire(one.name), uint16(one.type), uint16(one.class)]));
  const sections = [...message.answer, ...message.authority, ...message.additional, ...opt].map(encodeRecord);
  const header = [uint16(message.id), uint16(flagsOf(message)), ...counts.map((section) => uint16(section.length))];
  return Buffer.concat([...header, ...questions, ...sections]);
}

export function encodeRecord(one: ResourceRecord): Buffer {
  const fixed = [uint16(one.type), uint16(one.class), uint32(one.ttl), uint16(one.rdata.length)];
  return Buffer.concat([nameToWire(one.name), ...fixed, one.rdata]);
}

function optRecord(rcode: number, edns: NonNullable<Message["edns"]>): ResourceRecord {
  const ttl = (((rcode >> 4) << 24) | (edns.version << 16) | (edns.dnssecOk ? 0x8000 : 0)) >>> 0;
  const options = edns.options.map(({ code, data }) => Buffer.concat([uint16(code), uint16(data.length), data]));
  return { name: name("."), type: RR_TYPE.OPT, class: edns.udpPayloadSize, ttl, rdata: Buffer.concat(options) };
}

function flagsOf(message: Message): number {
  const bits: readonly [boolean, number][] = [
    [message.response, 0x8000],
    [message.authoritative, 0x0400],
    [message.truncated, 0x0200],
    [message.recursionDesired, 0x0100],
    [message.recursionAvailable, 0x0080],
    [message.authenticData, 0x0020],
    [message.checkingDisabled, 0x0010],
  ];
  const flags = bits.reduce((sum, [set, bit]) => (set ? sum | bit : sum), 0);
  return flags | (message.opcode << 11) | (message.rcode & 0x0f);
}

export function uint16(value: number): Buffer {
  const octets = Buffer.alloc(2);
  octets.writeUInt16BE(value);
  return octets;
}

export function uint32(value: number): Buffer {
  const octets = Buffer.alloc(4);
  octets.writeUInt32BE(value);
  return octets;
}
