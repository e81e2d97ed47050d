import { CLASS_IN, type ResourceRecord, RR_TYPE } from "./message.ts";
import type { DomainName } from "./name.ts";
import { canonicalRdata, detachedRdata } from "./rdata.ts";

/** All records of one name, class IN and type (RFC 2181 §5), duplicates removed, with the RRSIG records that cover them. */
export type RRset = {
  name: DomainName;
  type: number;
  ttl: number;
  rdatas: readonly Buffer[];
  signatures: readonly ResourceRecord[];
};

type Growing = {
  name: DomainName;
  type: number;
  ttl: number;
  rdatas: Map<string, Buffer>;
  signatures: Map<string, ResourceRecord>;
};

/**
 * Groups records by owner and type, in order of first appearance. Class IN only. The TTL is the smallest (RFC 2181 §5.2). Records are
 * duplicates when their canonical RDATA is equal (RFC 4034 §6.3). RRSIG records go to the set they cover, and are dropped without one.
 */
export function rrsetsOf(records: readonly ResourceRecord[]): RRset[] {
  const sets = new Map<string, Growing>();
  for (const record of records) {
    if (record.class !== CLASS_IN || record.type === RR_TYPE.RRSIG || record.type === RR_TYPE.OPT) continue;
    const key = setKey(record.name, record.type);
    const canonical = canonicalRdata(record.type, record.rdata).toString("latin1");
    const set = sets.get(key);
    if (set === undefined) {
      const { name, type, ttl, rdata } = record;
      sets.set(key, { name, type, ttl, rdatas: new Map([[canonical, rdata]]), signatures: new Map() });
      continue;
    }
    set.ttl = Math.min(set.ttl, record.ttl);
    if (!set.rdatas.has(canonical)) set.rdatas.set(canonical, record.rdata);
  }
  for (const record of records) {
    if (record.class !== CLASS_IN || record.type !== RR_TYPE.RRSIG || record.rdata.length < 2) continue;
    const typeCovered = record.rdata.readUInt16BE(0);
    const canonical = canonicalRdata(RR_TYPE.RRSIG, record.rdata).toString("latin1");
    sets.get(setKey(record.name, typeCovered))?.signatures.set(canonical, record);
  }
  return Array.from(sets.values(), ({ name, type, ttl, rdatas, signatures }) => ({
    name,
    type,
    ttl,
    rdatas: [...rdatas.values()],
    signatures: [...signatures.values()],
  }));
}

/** The same records, to be kept: see `detachedRdata`. */
export function detachedRecords(records: readonly ResourceRecord[]): ResourceRecord[] {
  const rdatas = detachedRdata(records.map((record) => record.rdata));
  return records.map((record, i) => ({ ...record, rdata: rdatas[i] ?? record.rdata }));
}

function setKey(name: DomainName, type: number): string {
  return `${type} ${name}`;
}
