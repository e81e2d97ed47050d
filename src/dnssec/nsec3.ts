import { hash } from "node:crypto";
import { base32hex } from "../dns/base32hex.ts";
import { decodeNsec3, NSEC3_OPT_OUT, NSEC3_SHA1, type TypeBitmap } from "../dns/dnssecRdata.ts";
import { isMalformed, RR_TYPE } from "../dns/message.ts";
import {
  type DomainName,
  displayName,
  isWithin,
  labelCount,
  labelsOf,
  nameToWire,
  parentOf,
  suffixOf,
  wildcardOf,
} from "../dns/name.ts";
import type { RRset } from "../dns/rrset.ts";
import {
  type Denial,
  type DenialProofs,
  type DsDenial,
  endsAuthority,
  type Insecure,
  lacks,
  type NotProved,
  notProved,
  type Pausing,
  withoutDs,
} from "./denialProof.ts";
import type { WildcardExpansion } from "./rrsig.ts";
import type { WorkBudget } from "./workBudget.ts";

/**
 * Denial of existence by NSEC3 (RFC 5155 §8).
 *
 * A record matches the name whose hash is its first label; it covers the hashes between that and its next hash. Closest encloser: the
 * longest ancestor of a name that a record matches. Next closer: the name one label longer, which must be covered. Opt-out: in the covered
 * span there may be unsigned delegations. Chain: the records with the same salt and iterations.
 */

/** RFC 9276 §3.2: with more iterations than `insecureAbove` an answer is insecure, with more than `bogusAbove` it is refused. */
export type Nsec3IterationLimits = { insecureAbove: number; bogusAbove: number };

type Nsec3Record = { hash: string; nextHash: string; optOut: boolean; types: TypeBitmap; ttl: number };
type Chain = {
  zone: DomainName;
  iterations: number;
  maxIterations: number;
  salt: Buffer;
  records: Nsec3Record[];
  hashes: Map<DomainName, string>;
};
type ClosestEncloser = { name: DomainName; record: Nsec3Record; nextCloser: Nsec3Record };

const SHA1_OCTETS = 20;
const HASH_LABEL = /^[0-9a-v]{32}$/;

/** RFC 5155 §5: iterated and salted SHA-1 of the canonical name. */
export function nsec3Hash(name: DomainName, salt: Buffer, iterations: number): Buffer {
  let digest = hash("sha1", Buffer.concat([nameToWire(name), salt]), "buffer");
  const round = Buffer.concat([Buffer.alloc(SHA1_OCTETS), salt]);
  for (let i = 0; i < iterations; i += 1) {
    digest.copy(round);
    digest = hash("sha1", round, "buffer");
  }
  return digest;
}

/** `rrsets`: NSEC3 RRsets that were verified with keys of `zone`; others in the list are ignored. */
export function nsec3Proofs(
  zone: DomainName,
  rrsets: readonly RRset[],
  limits: Nsec3IterationLimits,
  budget: WorkBudget,
): DenialProofs<"pausing"> {
  const chains = chainsOf(zone, rrsets, limits.insecureAbove);
  // Responses normally show one chain; while a zone changes its salt, answers joined by a cache may show two.
  function* prove<T extends { kind: string }>(
    name: DomainName,
    proof: (chain: Chain) => Pausing<T | Insecure | NotProved>,
  ): Pausing<T | Insecure | NotProved> {
    let best: T | Insecure | NotProved = notProved(`no NSEC3 record of ${displayName(zone)} can be used`);
    if (!isWithin(name, zone)) return best;
    for (const chain of chains) {
      const result = beyondLimits(chain, limits) ?? (yield* proof(chain));
      // A hash that was not computed is no absence: whatever seems to follow from it does not.
      if (budget.exhausted !== undefined) return overBudget(budget.exhausted);
      if (result.kind !== "notProved" && result.kind !== "insecure") return result;
      if (best.kind !== "insecure") best = result;
    }
    return best;
  }
  return {
    nameError: (name) => prove(name, (chain) => nameError(chain, budget, name)),
    noData: (name, type) => prove(name, (chain) => noData(chain, budget, name, type)),
    noCloserMatch: (name, expansion) => prove(name, (chain) => noCloserMatch(chain, budget, expansion)),
    noDs: (name) => prove(name, (chain) => noDs(chain, budget, name)),
  };
}

/** The usable records by salt and iterations. RFC 5155 §8.1, §8.2: unknown hashes and flags are ignored. */
function chainsOf(zone: DomainName, rrsets: readonly RRset[], maxIterations: number): Chain[] {
  const chains = new Map<string, Chain>();
  for (const rrset of rrsets) {
    const [rdata, second] = rrset.rdatas;
    if (rrset.type !== RR_TYPE.NSEC3 || rdata === undefined || second !== undefined) continue;
    const nsec3 = decodeNsec3(rdata);
    const label = labelsOf(rrset.name)[0] ?? "";
    if (isMalformed(nsec3) || parentOf(rrset.name) !== zone || !HASH_LABEL.test(label)) continue;
    if (nsec3.hashAlgorithm !== NSEC3_SHA1 || nsec3.nextHash.length !== SHA1_OCTETS || nsec3.flags > NSEC3_OPT_OUT) continue;
    const { iterations, salt, types } = nsec3;
    const key = `${iterations} ${salt.toString("hex")}`;
    const chain: Chain = chains.get(key) ?? { zone, iterations, maxIterations, salt, records: [], hashes: new Map() };
    chains.set(key, chain);
    const optOut = nsec3.flags === NSEC3_OPT_OUT;
    chain.records.push({ hash: label, nextHash: base32hex(nsec3.nextHash), optOut, types, ttl: rrset.ttl });
  }
  return [...chains.values()];
}

function beyondLimits(chain: Chain, limits: Nsec3IterationLimits): Insecure | NotProved | undefined {
  const text = `${chain.zone} asks for ${chain.iterations} NSEC3 iterations`;
  if (chain.iterations > limits.bogusAbove)
    return { kind: "notProved", reasons: [{ code: "nsec3-iterations", text: `${text} (refused above ${limits.bogusAbove})` }] };
  if (chain.iterations <= limits.insecureAbove) return undefined;
  const ttlSeconds = Math.min(...chain.records.map((record) => record.ttl));
  const reason = { code: "nsec3-iterations" as const, text: `${text} (insecure above ${limits.insecureAbove})` };
  return { kind: "insecure", ttlSeconds, reasons: [reason] };
}

/** The hash of `name` as text, which sorts as its octets do; undefined when the budget is used up. */
function* hashOf(chain: Chain, budget: WorkBudget, name: DomainName): Pausing<string | undefined> {
  const known = chain.hashes.get(name);
  if (known !== undefined) return known;
  if (budget.takeYield()) yield { kind: "pause" };
  if (!budget.takeNsec3Hash(chain.iterations, chain.maxIterations)) return undefined;
  const text = base32hex(nsec3Hash(name, chain.salt, chain.iterations));
  chain.hashes.set(name, text);
  return text;
}

function* matching(chain: Chain, budget: WorkBudget, name: DomainName): Pausing<Nsec3Record | undefined> {
  const hashed = yield* hashOf(chain, budget, name);
  return chain.records.find((record) => record.hash === hashed);
}

function* covering(chain: Chain, budget: WorkBudget, name: DomainName): Pausing<Nsec3Record | undefined> {
  const hashed = yield* hashOf(chain, budget, name);
  if (hashed === undefined) return undefined;
  return chain.records.find(({ hash: from, nextHash: to }) => {
    // RFC 5155 §3.1.7: the last record of a chain points to the first.
    return from < to ? from < hashed && hashed < to : hashed > from || hashed < to;
  });
}

/** RFC 5155 §8.3. */
function* closestEncloser(chain: Chain, budget: WorkBudget, name: DomainName): Pausing<ClosestEncloser | NotProved> {
  const apex = labelCount(chain.zone);
  for (let labels = labelCount(name) - 1; labels >= apex; labels -= 1) {
    const ancestor = suffixOf(name, labels);
    const record = yield* matching(chain, budget, ancestor);
    if (record === undefined) continue;
    if (endsAuthority(record.types)) return notProved(`the NSEC3 record of ${ancestor} does not speak for what is below it`);
    const next = suffixOf(name, labels + 1);
    const nextCloser = yield* covering(chain, budget, next);
    if (nextCloser === undefined) return notProved(`no NSEC3 record of ${chain.zone} covers ${next}`);
    return { name: ancestor, record, nextCloser };
  }
  return notProved(`no NSEC3 record of ${chain.zone} matches an ancestor of ${name}`);
}

/** RFC 5155 §8.4. */
function* nameError(chain: Chain, budget: WorkBudget, name: DomainName): Pausing<Denial> {
  const encloser = yield* closestEncloser(chain, budget, name);
  if ("kind" in encloser) return encloser;
  const wildcard = wildcardOf(encloser.name);
  const record = yield* covering(chain, budget, wildcard);
  if (record === undefined) return notProved(`no NSEC3 record of ${chain.zone} covers the wildcard ${wildcard}`);
  return unlessOptOut(chain, encloser.nextCloser, Math.min(encloserTtl(encloser), record.ttl));
}

/** RFC 5155 §8.5 and §8.7. */
function* noData(chain: Chain, budget: WorkBudget, name: DomainName, type: number): Pausing<Denial> {
  const match = yield* matching(chain, budget, name);
  if (match !== undefined) return absentAt(name, match, type);
  const encloser = yield* closestEncloser(chain, budget, name);
  if ("kind" in encloser) return encloser;
  const wildcard = wildcardOf(encloser.name);
  const record = yield* matching(chain, budget, wildcard);
  // An empty non-terminal above unsigned delegations alone may have no record in an opt-out zone (RFC 5155 §7.1).
  if (record === undefined && encloser.nextCloser.optOut) return unlessOptOut(chain, encloser.nextCloser, encloserTtl(encloser));
  if (record === undefined) return notProved(`no NSEC3 record of ${chain.zone} matches ${name} or the wildcard ${wildcard}`);
  const absent = absentAt(wildcard, record, type);
  return absent.kind === "proved"
    ? unlessOptOut(chain, encloser.nextCloser, Math.min(encloserTtl(encloser), record.ttl))
    : absent;
}

function absentAt(name: DomainName, record: Nsec3Record, type: number): Denial {
  if (lacks(record.types, type)) return { kind: "proved", ttlSeconds: record.ttl };
  return notProved(`the NSEC3 record of ${name} does not rule the type out`);
}

/** RFC 5155 §8.8: the expansion itself names the closest encloser. */
function* noCloserMatch(chain: Chain, budget: WorkBudget, expansion: WildcardExpansion): Pausing<Denial> {
  const record = yield* covering(chain, budget, expansion.nextCloser);
  if (record === undefined) return notProved(`no NSEC3 record of ${chain.zone} covers ${expansion.nextCloser}`);
  return unlessOptOut(chain, record, record.ttl);
}

/** RFC 5155 §8.6 and §8.9. */
function* noDs(chain: Chain, budget: WorkBudget, name: DomainName): Pausing<DsDenial> {
  const match = yield* matching(chain, budget, name);
  if (match !== undefined) return withoutDs(name, match.types, match.ttl);
  const encloser = yield* closestEncloser(chain, budget, name);
  if ("kind" in encloser) return encloser;
  const denied = unlessOptOut(chain, encloser.nextCloser, encloserTtl(encloser));
  return denied.kind === "proved" ? { kind: "noCut", empty: true, ttlSeconds: denied.ttlSeconds } : denied;
}

/** RFC 5155 §9.2: under opt-out nothing is proved about the span but that it holds no signed delegation. */
function unlessOptOut(chain: Chain, nextCloser: Nsec3Record, ttlSeconds: number): Denial {
  if (!nextCloser.optOut) return { kind: "proved", ttlSeconds };
  const text = `an opt-out NSEC3 record of ${chain.zone} leaves room for an unsigned delegation`;
  return { kind: "insecure", ttlSeconds, reasons: [{ code: "opt-out", text }] };
}

function encloserTtl(encloser: ClosestEncloser): number {
  return Math.min(encloser.record.ttl, encloser.nextCloser.ttl);
}

function overBudget(limit: string): NotProved {
  return { kind: "notProved", reasons: [{ code: "work-limit", text: `the limit of ${limit} was reached` }] };
}
