import { CLASS_IN, type Message, type Question, type ResourceRecord, RR_TYPE } from "../dns/message.ts";
import { type DomainName, isName, isWithin, labelCount } from "../dns/name.ts";
import { decodeTarget } from "../dns/rdata.ts";
import { type AddressPolicy, nameserverAddress } from "./nameserverAddress.ts";
import type { RecursorLimits } from "./recursorLimits.ts";
import { coveredType } from "./scrub.ts";

/**
 * Referrals (RFC 1034 §4.3.2, RFC 9471).
 *
 * glue: addresses of name servers that the parent sends along. Taken only where the name is within the zone of the server that sends it;
 * in-domain glue: of a name within the delegated zone itself; sibling glue: of another name within the parent.
 * cut proof: the DS records of the child, or the NSEC or NSEC3 records that there are none (RFC 4035 §3.1.4), with signatures.
 */
export type Nameserver = { name: DomainName; glue: readonly string[] };

export type Referral = {
  zone: DomainName;
  nameservers: readonly Nameserver[];
  /** Until the first of NS records and in-domain glue ends. */
  ttlSeconds: number;
  cutProof: readonly ResourceRecord[];
};

/** The owner of the NS records that lead closest to the asked name; undefined where none lead there from `zone`. */
export function referredZone(message: Message, question: Question, zone: DomainName): DomainName | undefined {
  let closest: DomainName | undefined;
  for (const { name, type } of nsRecords(message)) {
    if (type !== RR_TYPE.NS || name === zone || !isWithin(name, zone) || !isWithin(question.name, name)) continue;
    // DS is asked of the parent: a referral to the child does not answer it (RFC 4035 §3.1.4.1).
    if (question.type === RR_TYPE.DS && name === question.name) continue;
    if (closest === undefined || labelCount(name) > labelCount(closest)) closest = name;
  }
  return closest;
}

/** NS records of the authority section. */
export function nsRecords(message: Message): readonly ResourceRecord[] {
  return message.authority.filter((record) => record.type === RR_TYPE.NS && record.class === CLASS_IN);
}

/** The referral to `child` that a server of `zone` gave. */
export function readReferral(
  message: Message,
  child: DomainName,
  zone: DomainName,
  options: { addresses: AddressPolicy; limits: RecursorLimits },
): Referral {
  const { limits, addresses } = options;
  const ns = nsRecords(message).filter((record) => record.name === child);
  let ttlSeconds = Math.min(...ns.map((record) => record.ttl));
  const nameservers: Nameserver[] = [];
  for (const target of targetsOf(ns).slice(0, limits.nameserversPerZone)) {
    const glue = new Set<string>();
    for (const record of message.additional) {
      if (record.name !== target || record.class !== CLASS_IN || !isWithin(target, zone)) continue;
      const address = nameserverAddress(record, addresses);
      if (address === undefined || glue.size >= limits.addressesPerNameserver) continue;
      glue.add(address);
      // When in-domain glue is gone the zone cannot be reached: the parent must be asked again.
      if (isWithin(target, child)) ttlSeconds = Math.min(ttlSeconds, record.ttl);
    }
    nameservers.push({ name: target, glue: [...glue] });
  }
  return { zone: child, nameservers, ttlSeconds, cutProof: cutProof(message, child, zone) };
}

/** Names of the servers in NS records, each once; what is malformed is left out. */
export function targetsOf(records: readonly ResourceRecord[]): DomainName[] {
  const targets = new Set<DomainName>();
  for (const record of records) {
    const target = decodeTarget(record.rdata);
    if (typeof target === "string" && isName(target)) targets.add(target);
  }
  return [...targets];
}

const DENIAL_TYPES: readonly number[] = [RR_TYPE.NSEC, RR_TYPE.NSEC3];
/** A proof is kept as long as the delegation; one that is bigger than honest ones is asked for when it is needed. */
const MAX_PROOF_RECORDS = 16;
const MAX_PROOF_OCTETS = 4_096;

function cutProof(message: Message, child: DomainName, zone: DomainName): readonly ResourceRecord[] {
  const inZone = message.authority.filter((record) => record.class === CLASS_IN && isWithin(record.name, zone));
  const ds = inZone.filter((record) => record.name === child && coveredType(record) === RR_TYPE.DS);
  const proof = ds.length > 0 ? ds : inZone.filter((record) => DENIAL_TYPES.includes(coveredType(record)));
  const octets = proof.reduce((sum, record) => sum + record.rdata.length, 0);
  if (!isSigned(proof) || proof.length > MAX_PROOF_RECORDS || octets > MAX_PROOF_OCTETS) return [];
  // Copies: a slice would keep the whole message in memory.
  return proof.map((record) => ({ ...record, rdata: Buffer.from(record.rdata) }));
}

function isSigned(records: readonly ResourceRecord[]): boolean {
  return records.some((record) => record.type === RR_TYPE.RRSIG) && records.some((record) => record.type !== RR_TYPE.RRSIG);
}
