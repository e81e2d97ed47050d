import { CLASS_IN, RR_TYPE } from "./message.ts";
import { type DomainName, nameToWire } from "./name.ts";
import type { TlsaData } from "./rdata.ts";

/** Dynamic updates (RFC 2136), as far as TLSA records of one name need them. */

const OPCODE_UPDATE = 5 << 11;
const CLASS_NONE = 254;
const RCODES: ReadonlyMap<number, string> = new Map([
  [1, "FORMERR"],
  [2, "SERVFAIL"],
  [4, "NOTIMP: the server does not take updates"],
  [5, "REFUSED: the server does not take this update from us"],
  [8, "NXRRSET: the records were changed meanwhile"],
  [9, "NOTAUTH: the server is not authoritative for the zone, or the key is not allowed"],
  [10, "NOTZONE: the name is not in that zone"],
]);

export type TlsaUpdate = {
  id: number;
  zone: DomainName;
  owner: DomainName;
  ttlSeconds: number;
  /** Only these records are touched: others that an operator has at the same name stay. */
  add: readonly TlsaData[];
  remove: readonly TlsaData[];
};

/** The message; unsigned. Adding what is there and removing what is not is no error (RFC 2136 §3.4.2). */
export function encodeTlsaUpdate({ id, zone, owner, ttlSeconds, add, remove }: TlsaUpdate): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(OPCODE_UPDATE, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(add.length + remove.length, 8);
  const zoneSection = Buffer.concat([nameToWire(zone), uint16(RR_TYPE.SOA), uint16(CLASS_IN)]);
  // RFC 2136 §2.5.4: class NONE deletes one record; its TTL is 0. Removals go first, so that what is in both stays.
  const removed = remove.map((record) => encodeRecord(owner, CLASS_NONE, 0, record));
  const added = add.map((record) => encodeRecord(owner, CLASS_IN, ttlSeconds, record));
  return Buffer.concat([header, zoneSection, ...removed, ...added]);
}

/** What the answer's RCODE means; undefined: done. */
export function updateRefusal(rcode: number): string | undefined {
  return rcode === 0 ? undefined : (RCODES.get(rcode) ?? `RCODE ${rcode}`);
}

function encodeRecord(
  owner: DomainName,
  recordClass: number,
  ttl: number,
  { usage, selector, matchingType, data }: TlsaData,
): Buffer {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(RR_TYPE.TLSA, 0);
  fixed.writeUInt16BE(recordClass, 2);
  fixed.writeUInt32BE(ttl, 4);
  fixed.writeUInt16BE(3 + data.length, 8);
  return Buffer.concat([nameToWire(owner), fixed, Buffer.from([usage, selector, matchingType]), data]);
}

function uint16(value: number): Buffer {
  const octets = Buffer.alloc(2);
  octets.writeUInt16BE(value);
  return octets;
}
