import { decodeRrsig, type Rrsig } from "../../src/dns/dnssecRdata.ts";
import { isMalformed, type Message, type ResourceRecord, RR_TYPE } from "../../src/dns/message.ts";
import { type DomainName, isWithin, name, rrsigLabelCount, suffixOf, wildcardOf } from "../../src/dns/name.ts";
import { type RrsigFields, type SigningKey, signRrset } from "../fake/signer.ts";
import type { Question, World } from "./differentialWorld.ts";
import { zoneAbove } from "./differentialWorld.ts";
import type { Draw } from "./draw.ts";

/** A message taken apart into RRsets and put together again, and RRsets signed anew with the keys of their zone. */

export type Section = "answer" | "authority";
export type SignedSet = { section: Section; records: readonly ResourceRecord[]; signatures: readonly ResourceRecord[] };

/** What a change may draw on besides the message: the other answers of the world, and its private keys. */
export type Surroundings = {
  question: Question;
  /** True answers to questions about the same zone and its neighbours. */
  others: readonly Message[];
  keys: World["keys"];
  now: number;
  draw: Draw;
};

export function rrsigOf(record: ResourceRecord): Rrsig | undefined {
  const rrsig = record.type === RR_TYPE.RRSIG ? decodeRrsig(record.rdata) : undefined;
  return rrsig === undefined || isMalformed(rrsig) ? undefined : rrsig;
}

export function covers(record: ResourceRecord): number {
  return record.type === RR_TYPE.RRSIG ? record.rdata.readUInt16BE(0) : record.type;
}

export function setsOf(message: Message): SignedSet[] {
  return (["answer", "authority"] as const).flatMap((section) => {
    const keys = [...new Set(message[section].map((one) => `${covers(one)} ${one.name}`))];
    return keys.map((key) => {
      const mine = message[section].filter((one) => `${covers(one)} ${one.name}` === key);
      const isSignature = (one: ResourceRecord): boolean => one.type === RR_TYPE.RRSIG;
      return { section, records: mine.filter((one) => !isSignature(one)), signatures: mine.filter(isSignature) };
    });
  });
}

export function signedSets(message: Message): SignedSet[] {
  return setsOf(message).filter(({ records, signatures }) => records.length > 0 && signatures.length > 0);
}

/** The message with other records in the place of `set`. */
export function replaced(message: Message, set: SignedSet, by: readonly ResourceRecord[]): Message {
  const gone = new Set([...set.records, ...set.signatures]);
  const section = message[set.section];
  const at = section.findIndex((one) => gone.has(one));
  const kept = (from: readonly ResourceRecord[]): ResourceRecord[] => from.filter((one) => !gone.has(one));
  return { ...message, [set.section]: [...kept(section.slice(0, at)), ...by, ...kept(section.slice(at))] };
}

/** The zone that signed a set, else the one that it lies in. */
export function signerOf(set: SignedSet, keys: World["keys"]): DomainName {
  const signer = set.signatures.map(rrsigOf).find((rrsig) => rrsig !== undefined)?.signer;
  const [first] = set.records;
  return signer ?? zoneAbove(keys, first?.name ?? name("."));
}

/** The key that signs sets of this type in `zone`: the entry key for DNSKEY, else the zone key, which may be the same. */
export function keyFor(zone: DomainName, type: number, keys: World["keys"]): SigningKey | undefined {
  const all = keys.get(zone) ?? [];
  const isEntry = (key: SigningKey): boolean => (key.dnskey.readUInt16BE(0) & 1) === 1;
  const [entry, other] = [all.find(isEntry), all.find((key) => !isEntry(key))];
  return type === RR_TYPE.DNSKEY ? entry : (other ?? entry);
}

const DAY_SECONDS = 86_400;

/**
 * The records with a new signature over them as they are now. What came out of a wildcard stays so, unless `labels` says otherwise.
 * `key`, `zone`: by default the ones that signed before.
 */
export function signedAnew(
  records: readonly ResourceRecord[],
  before: SignedSet,
  { keys, now }: Surroundings,
  how: Partial<RrsigFields> & { key?: SigningKey; zone?: DomainName } = {},
): ResourceRecord[] {
  const { key: otherKey, zone: otherZone, ...fields } = how;
  const zone = otherZone ?? signerOf(before, keys);
  const [first] = records;
  const key = otherKey ?? keyFor(zone, first?.type ?? 0, keys);
  if (first === undefined || key === undefined) return [...records];
  const labels = fields.labels ?? before.signatures.map(rrsigOf).find((rrsig) => rrsig !== undefined)?.labels;
  const own = rrsigLabelCount(first.name);
  const isExpanded = labels !== undefined && labels < own;
  const owner = isExpanded ? wildcardOf(suffixOf(first.name, labels)) : first.name;
  const window = { inception: now - DAY_SECONDS, expiration: now + 30 * DAY_SECONDS };
  const ttl = first.ttl;
  const signature = signRrset(
    records.map((one) => ({ ...one, name: owner, ttl })),
    key,
    zone,
    { ...window, ...fields, labels: labels !== undefined && (isExpanded || fields.labels !== undefined) ? labels : own },
  );
  return [...records, { ...signature, name: first.name }];
}

/**
 * A message of a server of a zone of `level` labels as it means to one who reads only what it may say: an answer section has no order, an
 * additional section is no part of the answer (RFC 6672 §5.3.1), and what is not of the server's zone is left out (RFC 5452 §6).
 */
export function tidied({ message, spoiled, level }: { message: Message; spoiled: Question; level: number }): Message {
  const zone = suffixOf(spoiled.name, level);
  const own = message.answer.filter((one) => isWithin(one.name, zone));
  const [dnames, others] = [true, false].map((wanted) => own.filter((one) => (covers(one) === RR_TYPE.DNAME) === wanted));
  const addresses = message.additional.filter(({ type }) => type === RR_TYPE.A || type === RR_TYPE.AAAA);
  return { ...message, answer: [...(dnames ?? []), ...(others ?? [])], additional: addresses };
}

/** The zones above and below `owner`. */
export function nearestZones(owner: DomainName, keys: World["keys"]): DomainName[] {
  return [...keys.keys()].filter((zone) => isWithin(owner, zone) || isWithin(zone, owner));
}
