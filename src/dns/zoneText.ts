import { parseIpv4, parseIpv6 } from "./ipAddress.ts";
import { CLASS_IN, type ResourceRecord, RR_TYPE } from "./message.ts";
import { type DomainName, isName, nameToWire, parseName } from "./name.ts";

/**
 * Zone-file text (RFC 1035 §5.1) as far as trust anchor and root hints files use it: DS, DNSKEY, NS, A and AAAA records, comments,
 * parentheses, TTL and class in either order or left out, an owner left out to mean the one before. Names are absolute with or without
 * the last dot. No directives: those files have none, and what is not understood must not be skipped.
 */
export type ZoneText = { kind: "records"; records: readonly ResourceRecord[] } | { kind: "error"; reason: string };

type Failure = { kind: "error"; reason: string };
type Entry = { line: number; indented: boolean; tokens: readonly string[] };

const MAX_TTL = 0x7fff_ffff;

/** All records of `text`, in order; the reason of an error names the line. */
export function parseZoneText(text: string): ZoneText {
  const entries = entriesOf(text);
  if ("kind" in entries) return entries;
  const records: ResourceRecord[] = [];
  let owner: DomainName | undefined;
  for (const entry of entries) {
    const record = readRecord(entry, owner);
    if ("kind" in record) return { kind: "error", reason: `line ${entry.line}: ${record.reason}` };
    owner = record.name;
    records.push(record);
  }
  return { kind: "records", records };
}

/** Splits into records: an entry ends at the end of its line unless a parenthesis is open. */
function entriesOf(text: string): readonly Entry[] | Failure {
  const entries: Entry[] = [];
  let open = false;
  let entry: { line: number; indented: boolean; tokens: string[] } | undefined;
  for (const [index, content] of text.split(/\r?\n/).entries()) {
    const line = index + 1;
    const tokens = content.replace(/;.*$/, "").match(/[()]|[^\s()]+/g) ?? [];
    if (!open) entry = { line, indented: /^\s/.test(content), tokens: [] };
    for (const token of tokens) {
      if (token === "(" || token === ")") {
        if (open === (token === "(")) return failure(`line ${line}: unexpected ${token}`);
        open = !open;
      } else entry?.tokens.push(token);
    }
    if (!open && entry !== undefined && entry.tokens.length > 0) entries.push(entry);
  }
  return open ? failure(`line ${entry?.line}: parenthesis is not closed`) : entries;
}

function readRecord(entry: Entry, previousOwner: DomainName | undefined): ResourceRecord | Failure {
  const tokens = [...entry.tokens];
  const owner = entry.indented ? (previousOwner ?? failure("no owner name")) : parseName(tokens.shift() ?? "");
  if (!isName(owner)) return owner;
  let ttl = 0;
  for (let token = tokens[0] ?? ""; /^([0-9]+|IN)$/i.test(token); token = tokens[0] ?? "") {
    if (!/^IN$/i.test(token)) ttl = Number(token);
    tokens.shift();
  }
  if (ttl > MAX_TTL) return failure(`TTL ${ttl} is too large`);
  const mnemonic = tokens.shift()?.toUpperCase() ?? "";
  const read = RDATA_READERS.get(mnemonic);
  if (read === undefined) return failure(`${JSON.stringify(mnemonic)} is none of ${[...RDATA_READERS.keys()].join(", ")}`);
  const rdata = read.rdata(tokens);
  if (!Buffer.isBuffer(rdata)) return failure(`${mnemonic}: ${rdata.reason}`);
  return { name: owner, type: read.type, class: CLASS_IN, ttl, rdata };
}

type RdataReader = { type: number; rdata: (fields: readonly string[]) => Buffer | Failure };

const RDATA_READERS: ReadonlyMap<string, RdataReader> = new Map<string, RdataReader>([
  ["NS", { type: RR_TYPE.NS, rdata: (fields) => single(fields, nameRdata) }],
  [
    "A",
    { type: RR_TYPE.A, rdata: (fields) => single(fields, (text) => parseIpv4(text) ?? failure(`${text} is no IPv4 address`)) },
  ],
  [
    "AAAA",
    { type: RR_TYPE.AAAA, rdata: (fields) => single(fields, (text) => parseIpv6(text) ?? failure(`${text} is no IPv6 address`)) },
  ],
  ["DS", { type: RR_TYPE.DS, rdata: dsRdata }],
  ["DNSKEY", { type: RR_TYPE.DNSKEY, rdata: dnskeyRdata }],
]);

function single(fields: readonly string[], read: (field: string) => Buffer | Failure): Buffer | Failure {
  const [field, ...more] = fields;
  return field === undefined || more.length > 0 ? failure(`${fields.length} fields where one is expected`) : read(field);
}

function nameRdata(text: string): Buffer | Failure {
  const target = parseName(text);
  return isName(target) ? nameToWire(target) : target;
}

/** RFC 4034 §5.3. */
function dsRdata(fields: readonly string[]): Buffer | Failure {
  const [tag = "", algorithm = "", digestType = "", ...digest] = fields;
  const hex = digest.join("");
  const numbers = [numberOf(tag, 0xffff), algorithmOf(algorithm), numberOf(digestType, 0xff)] as const;
  const [tagNumber, algorithmNumber, typeNumber] = numbers;
  if (tagNumber === undefined || algorithmNumber === undefined || typeNumber === undefined)
    return failure("key tag, algorithm and digest type must be numbers in their range");
  if (!/^([0-9a-f]{2})+$/i.test(hex)) return failure("the digest is not hexadecimal");
  return Buffer.concat([uint16(tagNumber), Buffer.of(algorithmNumber, typeNumber), Buffer.from(hex, "hex")]);
}

/** RFC 4034 §2.2. */
function dnskeyRdata(fields: readonly string[]): Buffer | Failure {
  const [flags = "", protocol = "", algorithm = "", ...key] = fields;
  const [flagsNumber, protocolNumber, algorithmNumber] = [
    numberOf(flags, 0xffff),
    numberOf(protocol, 0xff),
    algorithmOf(algorithm),
  ];
  if (flagsNumber === undefined || protocolNumber === undefined || algorithmNumber === undefined)
    return failure("flags, protocol and algorithm must be numbers in their range");
  const base64 = key.join("");
  const octets = Buffer.from(base64, "base64");
  // Buffer.from skips what it does not know; only what comes back the same was base64.
  if (octets.length === 0 || octets.toString("base64") !== base64) return failure("the key is not base64");
  return Buffer.concat([uint16(flagsNumber), Buffer.of(protocolNumber, algorithmNumber), octets]);
}

/** RFC 4034 appendix A.1: algorithms may be written as mnemonics. */
const ALGORITHM_MNEMONICS: ReadonlyMap<string, number> = new Map([
  ["RSASHA1", 5],
  ["RSASHA1-NSEC3-SHA1", 7],
  ["RSASHA256", 8],
  ["RSASHA512", 10],
  ["ECDSAP256SHA256", 13],
  ["ECDSAP384SHA384", 14],
  ["ED25519", 15],
  ["ED448", 16],
]);

function algorithmOf(text: string): number | undefined {
  return ALGORITHM_MNEMONICS.get(text.toUpperCase()) ?? numberOf(text, 0xff);
}

function numberOf(text: string, maximum: number): number | undefined {
  return /^[0-9]{1,5}$/.test(text) && Number(text) <= maximum ? Number(text) : undefined;
}

function uint16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 0xff);
}

function failure(reason: string): Failure {
  return { kind: "error", reason };
}
