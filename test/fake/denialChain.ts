import { type ResourceRecord, RR_TYPE } from "../../src/dns/message.ts";
import { compareCanonical, type DomainName, isWithin, labelCount, suffixOf } from "../../src/dns/name.ts";
import { nsec3Hash } from "../../src/dnssec/nsec3.ts";
import { type Nsec3Parameters, nsec3Record, nsecRecord } from "./signer.ts";

/** The NSEC or NSEC3 records of a zone in memory, and which of them a server shows for what (RFC 4035 §3.1.3, RFC 5155 §7.2). */
export type DenialChain = {
  /** The record of a name that has one. */
  match: (name: DomainName) => ResourceRecord[];
  /** The record of the span that a missing name falls into. */
  cover: (name: DomainName) => ResourceRecord[];
  /** What shows that `name` does not exist itself. */
  absence: (name: DomainName) => ResourceRecord[];
  /** What shows that nothing closer than the wildcard exists. */
  expansion: (name: DomainName, nextCloser: DomainName) => ResourceRecord[];
};

/** A name that has a record, with the types there. */
export type Owner = { name: DomainName; types: readonly number[] };

/** `owners`: all that get a record, in any order. */
export function nsecChain(zone: DomainName, owners: readonly Owner[]): DenialChain {
  const sorted = [...owners].sort((a, b) => compareCanonical(a.name, b.name));
  const chain = sorted.map(({ name, types }, i) => {
    return nsecRecord(name, sorted[i + 1]?.name ?? zone, [...types, RR_TYPE.RRSIG, RR_TYPE.NSEC]);
  });
  const byName = new Map(chain.map((one) => [one.name, one]));
  const match = (name: DomainName): ResourceRecord[] => [byName.get(name) ?? []].flat();
  const cover = (name: DomainName): ResourceRecord[] => {
    let [from, to] = [0, chain.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      const one = chain[middle];
      if (one !== undefined && compareCanonical(one.name, name) < 0) from = middle + 1;
      else to = middle;
    }
    return chain.slice(Math.max(0, from - 1), from);
  };
  return { match, cover, absence: cover, expansion: cover };
}

/** `owners`: all that get a record, empty non-terminals included, in any order. */
export function nsec3Chain(zone: DomainName, owners: readonly Owner[], parameters: Nsec3Parameters): DenialChain {
  const hashOf = (name: DomainName): Buffer => nsec3Hash(name, parameters.salt, parameters.iterations);
  const sorted = owners.map((owner) => ({ ...owner, hash: hashOf(owner.name) })).sort((a, b) => Buffer.compare(a.hash, b.hash));
  const first = sorted[0]?.hash ?? Buffer.alloc(0);
  const chain = sorted.map(({ name, hash, types }, i) => {
    const shown = types.length === 0 || isBareDelegation(types) ? types : [...types, RR_TYPE.RRSIG];
    return { name, hash, record: nsec3Record(zone, hash, sorted[i + 1]?.hash ?? first, shown, parameters) };
  });
  const match = (name: DomainName): ResourceRecord[] => chain.filter((one) => one.name === name).map((one) => one.record);
  const cover = (name: DomainName): ResourceRecord[] => {
    const hash = hashOf(name);
    const before = chain.filter((one) => Buffer.compare(one.hash, hash) < 0).at(-1) ?? chain.at(-1);
    return before === undefined ? [] : [before.record];
  };
  const absence = (name: DomainName): ResourceRecord[] => {
    let labels = labelCount(name) - 1;
    while (match(suffixOf(name, labels)).length === 0 && isWithin(suffixOf(name, labels), zone) && labels > 0) labels -= 1;
    return [...match(suffixOf(name, labels)), ...cover(suffixOf(name, labels + 1))];
  };
  return { match, cover, absence, expansion: (_, nextCloser) => cover(nextCloser) };
}

/** RFC 5155 §7.1: an unsigned delegation has no signature to show. */
function isBareDelegation(types: readonly number[]): boolean {
  return types.length === 1 && types[0] === RR_TYPE.NS;
}
