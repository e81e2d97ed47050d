import { decodeNsec, type TypeBitmap } from "../dns/dnssecRdata.ts";
import { isMalformed, RR_TYPE } from "../dns/message.ts";
import { commonAncestor, compareCanonical, type DomainName, displayName, isWithin, labelCount, wildcardOf } from "../dns/name.ts";
import type { RRset } from "../dns/rrset.ts";
import {
  type Denial,
  type DenialProofs,
  type DsDenial,
  endsAuthority,
  lacks,
  type NotProved,
  notProved,
  withoutDs,
} from "./denialProof.ts";
import type { WildcardExpansion } from "./rrsig.ts";

/**
 * Denial of existence by NSEC (RFC 4035 §5.4, RFC 6840 §4).
 *
 * An NSEC record matches its owner and lists the types there; it covers the names between its owner and its next name in canonical order.
 * Covered names do not exist, except those that the next name is below: empty non-terminals, which exist without any type.
 * Closest encloser: the longest existing ancestor of a name that does not exist.
 */
type NsecRecord = { owner: DomainName; next: DomainName; types: TypeBitmap; ttl: number };

/** `rrsets`: NSEC RRsets that were verified with keys of `zone`; others in the list are ignored. */
export function nsecProofs(zone: DomainName, rrsets: readonly RRset[]): DenialProofs<"immediate"> {
  const records = rrsets.flatMap((rrset) => nsecRecord(zone, rrset));
  return {
    nameError: (name) => nameError(zone, records, name),
    noData: (name, type) => noData(zone, records, name, type),
    noCloserMatch: (name, expansion) => noCloserMatch(zone, records, name, expansion),
    noDs: (name) => noDs(zone, records, name),
  };
}

function nsecRecord(zone: DomainName, rrset: RRset): NsecRecord[] {
  const [rdata, second] = rrset.rdatas;
  // RFC 4034 §4: one NSEC record per name; of two it cannot be said which one holds.
  if (rrset.type !== RR_TYPE.NSEC || rdata === undefined || second !== undefined) return [];
  const nsec = decodeNsec(rdata);
  if (isMalformed(nsec) || !isWithin(rrset.name, zone) || !isWithin(nsec.next, zone)) return [];
  return [{ owner: rrset.name, next: nsec.next, types: nsec.types, ttl: rrset.ttl }];
}

function matching(records: readonly NsecRecord[], name: DomainName): NsecRecord | undefined {
  return records.find((record) => record.owner === name);
}

/** The record that covers `name`, provided that it comes from the zone that `name` would be in. */
function covering(zone: DomainName, records: readonly NsecRecord[], name: DomainName): NsecRecord | undefined {
  if (!isWithin(name, zone)) return undefined;
  return records.find((record) => {
    if (isWithin(name, record.owner) && (record.owner === name || endsAuthority(record.types))) return false;
    if (compareCanonical(record.owner, name) >= 0) return false;
    // RFC 4034 §4.1.1: the last record's next name is the apex.
    return record.next === zone || compareCanonical(name, record.next) < 0;
  });
}

/** Whether `record`, which covers `name`, shows that something is below it. */
function isEmptyNonTerminal(record: NsecRecord, name: DomainName): boolean {
  return record.next !== name && isWithin(record.next, name);
}

/** The record that shows that `name` does not exist, not even as an empty non-terminal. */
function denying(zone: DomainName, records: readonly NsecRecord[], name: DomainName): NsecRecord | undefined {
  // RFC 4034 §4.1.1: owners and next names exist, and so does what they are below; one record that says so outweighs another.
  if (records.some(({ owner, next }) => isWithin(owner, name) || isWithin(next, name))) return undefined;
  return covering(zone, records, name);
}

/** RFC 4035 §5.4: the owner and the next name exist, and so do all their ancestors. */
function closestShownBy(record: NsecRecord, name: DomainName): DomainName {
  const byOwner = commonAncestor(name, record.owner);
  const byNext = commonAncestor(name, record.next);
  return labelCount(byOwner) >= labelCount(byNext) ? byOwner : byNext;
}

/** `record` covers `name`. In one chain it shows the closest encloser; where another record shows a closer one they contradict each other. */
function closestEncloser(records: readonly NsecRecord[], record: NsecRecord, name: DomainName): DomainName | NotProved {
  const closest = closestShownBy(record, name);
  const isContradicted = records.some((other) => labelCount(closestShownBy(other, name)) > labelCount(closest));
  return isContradicted ? notProved(`the NSEC records disagree about what is above ${displayName(name)}`) : closest;
}

/** RFC 4035 §5.4: neither the name nor the wildcard at its closest encloser exists. */
function nameError(zone: DomainName, records: readonly NsecRecord[], name: DomainName): Denial {
  const record = denying(zone, records, name);
  if (record === undefined) return notProved(`no NSEC record of ${displayName(zone)} covers ${displayName(name)}`);
  const encloser = closestEncloser(records, record, name);
  if (typeof encloser !== "string") return encloser;
  const wildcard = wildcardOf(encloser);
  const wildcardRecord = denying(zone, records, wildcard);
  if (wildcardRecord === undefined)
    return notProved(`no NSEC record of ${displayName(zone)} covers the wildcard ${displayName(wildcard)}`);
  return { kind: "proved", ttlSeconds: Math.min(record.ttl, wildcardRecord.ttl) };
}

/** RFC 4035 §5.4, RFC 6840 §4.3: the name, or the wildcard in its place, exists without the type and without CNAME. */
function noData(zone: DomainName, records: readonly NsecRecord[], name: DomainName, type: number): Denial {
  const exact = typeAbsent(zone, records, name, type);
  if (exact !== undefined) return exact;
  const record = denying(zone, records, name);
  if (record === undefined) return notProved(`no NSEC record of ${displayName(zone)} matches or covers ${displayName(name)}`);
  const encloser = closestEncloser(records, record, name);
  if (typeof encloser !== "string") return encloser;
  const wildcard = wildcardOf(encloser);
  const atWildcard = typeAbsent(zone, records, wildcard, type);
  if (atWildcard === undefined)
    return notProved(`no NSEC record of ${displayName(zone)} matches the wildcard ${displayName(wildcard)}`);
  return atWildcard.kind === "proved" ? { kind: "proved", ttlSeconds: Math.min(record.ttl, atWildcard.ttlSeconds) } : atWildcard;
}

/** RFC 4034 §4.1.1: where one record says that a name exists, and another that it does not, neither is believed. */
function contradiction(zone: DomainName, records: readonly NsecRecord[], name: DomainName): NotProved | undefined {
  const isShown = records.some(({ owner, next }) => isWithin(owner, name) || isWithin(next, name));
  const isDenied = records.some((one) => covering(zone, [one], name) !== undefined && !isEmptyNonTerminal(one, name));
  return isShown && isDenied ? notProved(`the NSEC records disagree about whether ${displayName(name)} exists`) : undefined;
}

/** What is said about `type` at a name that exists; undefined when the records do not show that it exists. */
function typeAbsent(zone: DomainName, records: readonly NsecRecord[], name: DomainName, type: number): Denial | undefined {
  const doubt = contradiction(zone, records, name);
  if (doubt !== undefined) return doubt;
  const match = matching(records, name);
  if (match !== undefined) {
    if (lacks(match.types, type)) return { kind: "proved", ttlSeconds: match.ttl };
    return notProved(`the NSEC record of ${name} does not rule the type out`);
  }
  const cover = covering(zone, records, name);
  if (cover === undefined || !isEmptyNonTerminal(cover, name)) return undefined;
  return { kind: "proved", ttlSeconds: cover.ttl };
}

function noCloserMatch(zone: DomainName, records: readonly NsecRecord[], name: DomainName, expansion: WildcardExpansion): Denial {
  const record = denying(zone, records, name);
  if (record === undefined) return notProved(`no NSEC record of ${displayName(zone)} covers ${displayName(name)}`);
  const encloser = closestEncloser(records, record, name);
  if (typeof encloser !== "string") return encloser;
  if (encloser !== expansion.closestEncloser)
    return notProved(`the NSEC record shows a closer encloser of ${name} than ${expansion.closestEncloser}`);
  return { kind: "proved", ttlSeconds: record.ttl };
}

/** RFC 6840 §4.4. */
function noDs(zone: DomainName, records: readonly NsecRecord[], name: DomainName): DsDenial {
  const doubt = contradiction(zone, records, name);
  if (doubt !== undefined) return doubt;
  const match = matching(records, name);
  if (match !== undefined) return withoutDs(name, match.types, match.ttl);
  const cover = covering(zone, records, name);
  if (cover === undefined) return notProved(`no NSEC record of ${displayName(zone)} matches or covers ${displayName(name)}`);
  // No wildcard makes a delegation (RFC 4592 §4.2): that the name itself is missing is enough.
  return { kind: "noCut", empty: !isEmptyNonTerminal(cover, name), ttlSeconds: cover.ttl };
}
