import { DNSKEY_FLAG, type Dnskey, decodeDnskey, decodeRrsig, type Rrsig } from "../dns/dnssecRdata.ts";
import { CLASS_IN, isMalformed, RR_TYPE } from "../dns/message.ts";
import {
  type DomainName,
  displayName,
  isWithin,
  labelCount,
  labelsOf,
  nameToWire,
  parentOf,
  rrsigLabelCount,
  suffixOf,
  wildcardOf,
} from "../dns/name.ts";
import { canonicalRdata, type MalformedRdata } from "../dns/rdata.ts";
import { typeName } from "../dns/rdataText.ts";
import type { RRset } from "../dns/rrset.ts";
import type { AlgorithmTable, UnusableKey, VerifyingKey } from "./algorithm.ts";
import type { Reason, ReasonChain } from "./securityStatus.ts";
import { MAX_SIGNATURE_CHECKS_PER_RRSET, MAX_SIGNATURES_PER_RRSET, MAX_SIGNED_OCTETS, type WorkBudget } from "./workBudget.ts";

/**
 * Verification of one RRset (RFC 4035 §5.3).
 *
 * Signer: the zone whose key made an RRSIG. Labels: the number of labels of the name that was signed; fewer than the owner has means
 * that the RRset was synthesized from a wildcard (RFC 4034 §3.1.3). Closest encloser: the part of the owner below which the wildcard
 * stood. Next closer: the name one label longer, which must be proved not to exist (RFC 5155 §1.3).
 */

/** A DNSKEY of a zone, ready to verify; the key is imported when first needed and then kept. */
export type ZoneKey = Dnskey & {
  zone: DomainName;
  rdata: Buffer;
  /** Of one check. */
  cost: "usual" | "high";
  imported: () => VerifyingKey | UnusableKey | UnsupportedKey;
};
export type UnsupportedKey = { kind: "unsupported" };

export type WildcardExpansion = { wildcard: DomainName; closestEncloser: DomainName; nextCloser: DomainName };

export type RrsetVerification =
  | {
      kind: "verified";
      /** With its TTL capped by original TTL, TTL of the RRSIG and expiration (RFC 4035 §5.3.3). */
      rrset: RRset;
      signer: DomainName;
      algorithm: number;
      keyTag: number;
      /** Seconds since the epoch. */
      expiration: number;
      /** Seconds. */
      originalTtl: number;
      /** Present when the RRset came out of a wildcard: it counts only together with a proof that `nextCloser` does not exist. */
      expansion?: WildcardExpansion;
    }
  | { kind: "failed"; reasons: ReasonChain };

/** Prepares a DNSKEY; algorithms that `table` lacks give a key that verifies nothing. */
export function zoneKey(zone: DomainName, rdata: Buffer, table: AlgorithmTable): ZoneKey | MalformedRdata {
  const dnskey = decodeDnskey(rdata);
  if (isMalformed(dnskey)) return dnskey;
  let key: VerifyingKey | UnusableKey | UnsupportedKey | undefined;
  const imported = (): VerifyingKey | UnusableKey | UnsupportedKey => {
    key ??= table.signatures.get(dnskey.algorithm)?.importKey(dnskey.publicKey) ?? { kind: "unsupported" };
    return key;
  };
  return { ...dnskey, zone, rdata, cost: table.signatures.get(dnskey.algorithm)?.cost ?? "usual", imported };
}

const DNSSEC_PROTOCOL = 3;

/** Whether a key may sign zone data: RFC 4034 §2.1.1 and §2.1.2; a revoked one may not (RFC 5011 §2.1). */
export function mayVerify(key: Dnskey): boolean {
  return key.protocol === DNSSEC_PROTOCOL && (key.flags & (DNSKEY_FLAG.zone | DNSKEY_FLAG.revoke)) === DNSKEY_FLAG.zone;
}

/**
 * Whether one of the signatures of `rrset` was made by one of `keys` (all of one zone) and holds at `now` (seconds since the epoch).
 * The first that holds decides. At most MAX_SIGNATURE_CHECKS_PER_RRSET signatures are computed, and what `budget` allows.
 */
export function verifyRrset(rrset: RRset, keys: readonly ZoneKey[], now: number, budget: WorkBudget): RrsetVerification {
  const tooBig = excess(rrset);
  if (tooBig !== undefined) return failed(rrset, [tooBig]);
  const causes: Reason[] = [];
  let checks = 0;
  let canonical: readonly Buffer[] | undefined;
  for (const record of rrset.signatures) {
    const rrsig = decodeRrsig(record.rdata);
    if (isMalformed(rrsig)) {
      causes.push({ code: "malformed", text: `RRSIG: ${rrsig.reason}` });
      continue;
    }
    const unfit = unfitness(rrset, rrsig, now);
    if (unfit !== undefined) {
      causes.push(unfit);
      continue;
    }
    const candidates = keys.filter((key) => matches(key, rrsig));
    if (candidates.length === 0)
      causes.push({ code: "key-unknown", text: `there is no ${keyText(rrsig)} to verify it with`, zone: rrsig.signer });
    for (const key of candidates) {
      checks += 1;
      if (checks > MAX_SIGNATURE_CHECKS_PER_RRSET) return failed(rrset, [...causes, tooMuch(`${checks - 1} signature checks`)]);
      if (!budget.takeSignatureCheck(key.cost))
        return failed(rrset, [...causes, tooMuch(budget.exhausted ?? "signature checks")]);
      canonical ??= canonicalOrder(rrset);
      const refusal = check(key, rrset, canonical, rrsig);
      if (refusal === undefined) {
        budget.signatureHeld();
        return verified(rrset, rrsig, record.ttl, now);
      }
      causes.push(refusal);
    }
  }
  return failed(rrset, causes);
}

/** Whether the RRset is made to cost work rather than to be verified. */
function excess(rrset: RRset): Reason | undefined {
  const { signatures, rdatas, name } = rrset;
  if (signatures.length > MAX_SIGNATURES_PER_RRSET) return tooMuch(`${MAX_SIGNATURES_PER_RRSET} RRSIG records`);
  // Text is never shorter than the wire form but for the root's last octet.
  const perRecord = name.length + 1 + RR_FIXED_OCTETS;
  const octets = rdatas.reduce((sum, rdata) => sum + perRecord + rdata.length, 0);
  return octets > MAX_SIGNED_OCTETS ? tooMuch(`${MAX_SIGNED_OCTETS} octets to verify`) : undefined;
}

/** RFC 4035 §5.3.1: why the RRSIG can say nothing about this RRset, whatever the key; undefined when it can. */
function unfitness(rrset: RRset, rrsig: Rrsig, now: number): Reason | undefined {
  const unusable = (text: string): Reason => ({ code: "signature-unusable", text });
  const ownerLabels = rrsigLabelCount(rrset.name);
  if (rrsig.typeCovered !== rrset.type) return unusable(`the RRSIG covers ${typeName(rrsig.typeCovered)}`);
  if (!isWithin(rrset.name, rrsig.signer))
    return unusable(`the signer ${displayName(rrsig.signer)} is not above ${displayName(rrset.name)}`);
  // RFC 4034 §5, RFC 4035 §2.4: DS is the parent's; RFC 4035 §2.1: DNSKEY stands at the apex.
  if (rrset.type === RR_TYPE.DS && rrset.name === rrsig.signer) return unusable("the DS is signed by the child itself");
  if (rrset.type === RR_TYPE.DNSKEY && rrset.name !== rrsig.signer) return unusable("the DNSKEY is not signed by its own zone");
  // RFC 5155 §3: the owner is the hash as a single label in front of the zone's name.
  if (rrset.type === RR_TYPE.NSEC3 && parentOf(rrset.name) !== rrsig.signer)
    return unusable("the NSEC3 record does not stand right below its zone");
  if (rrsig.labels > ownerLabels) return unusable(`the RRSIG counts ${rrsig.labels} labels, the owner has ${ownerLabels}`);
  if (rrsig.labels < ownerLabels) {
    // A wildcard stands inside the zone that signed it; one above the zone's apex would speak for other zones.
    if (rrsig.labels < labelCount(rrsig.signer)) return unusable("the RRSIG counts fewer labels than its signer has");
    // By RFC 4035 §5.3.2 it may be, but other validators compute another owner for it, and no host has such a name.
    if (labelsOf(rrset.name)[0] === "*") return unusable("a name that begins with * was expanded from another wildcard");
    // RFC 4592 §4: these do not come out of a wildcard. NSEC and NSEC3 that did would deny names that they were not made for.
    if (NEVER_EXPANDED.has(rrset.type)) return unusable(`a ${typeName(rrset.type)} record was expanded from a wildcard`);
  }
  return untimeliness(rrsig, now);
}

const NEVER_EXPANDED: ReadonlySet<number> = new Set([RR_TYPE.SOA, RR_TYPE.DS, RR_TYPE.NSEC, RR_TYPE.NSEC3, RR_TYPE.DNSKEY]);

/** RFC 4034 §3.1.5: inception and expiration are compared in serial number arithmetic (RFC 1982). Both ends are inside. */
function untimeliness(rrsig: Rrsig, now: number): Reason | undefined {
  const signature = `the signature by ${keyText(rrsig)}`;
  if (serialDifference(rrsig.expiration, rrsig.inception) < 0)
    return { code: "signature-unusable", text: `${signature} expires before it begins` };
  const untilExpiration = serialDifference(rrsig.expiration, now);
  if (untilExpiration < 0) return { code: "signature-expired", text: `${signature} expired ${elapsed(-untilExpiration)} ago` };
  const untilInception = serialDifference(rrsig.inception, now);
  if (untilInception > 0)
    return { code: "signature-not-yet-valid", text: `${signature} is not valid for ${elapsed(untilInception)} yet` };
  return undefined;
}

/** In the largest unit of which there are two. */
function elapsed(seconds: number): string {
  const [unit, name] = UNITS.find(([length]) => seconds >= 2 * length) ?? [1, "seconds"];
  return `${Math.floor(seconds / unit)} ${name}`;
}

const UNITS: readonly (readonly [number, string])[] = [
  [86_400, "days"],
  [3600, "hours"],
  [60, "minutes"],
];

/** RFC 1982 §3.2 for 32 bits: how far `a` is after `b`. */
function serialDifference(a: number, b: number): number {
  return (a - b) | 0;
}

function matches(key: ZoneKey, rrsig: Rrsig): boolean {
  return key.keyTag === rrsig.keyTag && key.algorithm === rrsig.algorithm && key.zone === rrsig.signer && mayVerify(key);
}

function check(key: ZoneKey, rrset: RRset, canonical: readonly Buffer[], rrsig: Rrsig): Reason | undefined {
  const imported = key.imported();
  switch (imported.kind) {
    case "unsupported":
      return { code: "unsupported-algorithm", text: `algorithm ${rrsig.algorithm} of ${keyText(rrsig)} is not supported` };
    case "unusable":
      return { code: "signature-unusable", text: `${keyText(rrsig)} cannot be used: ${imported.reason}` };
    case "key":
      if (imported.verifies(signedData(rrset, canonical, rrsig), rrsig.signature)) return undefined;
      return { code: "signature-invalid", text: `the signature by ${keyText(rrsig)} does not verify` };
    default:
      return imported satisfies never;
  }
}

/** RFC 4034 §6.3: canonical RDATA in order of their octets, without duplicates. */
function canonicalOrder(rrset: RRset): readonly Buffer[] {
  const sorted = rrset.rdatas.map((rdata) => canonicalRdata(rrset.type, rdata)).sort(Buffer.compare);
  return sorted.filter((rdata, i) => i === 0 || !rdata.equals(sorted[i - 1] ?? rdata));
}

/** RFC 4034 §3.1.8.1: RRSIG RDATA without the signature, then every RR with its original TTL and, if a wildcard's, its original owner. */
function signedData(rrset: RRset, canonical: readonly Buffer[], rrsig: Rrsig): Buffer {
  const head = Buffer.alloc(RRSIG_FIXED_OCTETS);
  head.writeUInt16BE(rrsig.typeCovered, 0);
  head.writeUInt8(rrsig.algorithm, 2);
  head.writeUInt8(rrsig.labels, 3);
  head.writeUInt32BE(rrsig.originalTtl, 4);
  head.writeUInt32BE(rrsig.expiration, 8);
  head.writeUInt32BE(rrsig.inception, 12);
  head.writeUInt16BE(rrsig.keyTag, 16);
  const owner = nameToWire(signedOwner(rrset.name, rrsig.labels));
  const parts = [head, nameToWire(rrsig.signer)];
  for (const rdata of canonical) {
    const fixed = Buffer.alloc(RR_FIXED_OCTETS);
    fixed.writeUInt16BE(rrset.type, 0);
    fixed.writeUInt16BE(CLASS_IN, 2);
    fixed.writeUInt32BE(rrsig.originalTtl, 4);
    fixed.writeUInt16BE(rdata.length, 8);
    parts.push(owner, fixed, rdata);
  }
  return Buffer.concat(parts);
}

const RRSIG_FIXED_OCTETS = 18;
const RR_FIXED_OCTETS = 10;

/** The owner that was signed: itself, or the wildcard it was expanded from. */
function signedOwner(owner: DomainName, labels: number): DomainName {
  return labels < rrsigLabelCount(owner) ? wildcardOf(suffixOf(owner, labels)) : owner;
}

function verified(rrset: RRset, rrsig: Rrsig, rrsigTtl: number, now: number): RrsetVerification {
  const untilExpiration = serialDifference(rrsig.expiration, now);
  const ttl = Math.min(rrset.ttl, rrsigTtl, rrsig.originalTtl, untilExpiration);
  const { signer, algorithm, keyTag } = rrsig;
  const result = {
    kind: "verified" as const,
    rrset: { ...rrset, ttl },
    signer,
    algorithm,
    keyTag,
    expiration: now + untilExpiration,
    originalTtl: rrsig.originalTtl,
  };
  if (rrsig.labels >= rrsigLabelCount(rrset.name)) return result;
  const closestEncloser = suffixOf(rrset.name, rrsig.labels);
  const nextCloser = suffixOf(rrset.name, rrsig.labels + 1);
  return { ...result, expansion: { wildcard: wildcardOf(closestEncloser), closestEncloser, nextCloser } };
}

/** Least telling first, so that the last reason of a chain is what the operator should look at. */
const TELLING: readonly Reason["code"][] = [
  "malformed",
  "key-unknown",
  "unsupported-algorithm",
  "signature-unusable",
  "signature-not-yet-valid",
  "signature-expired",
  "signature-invalid",
  "work-limit",
];

const MAX_CAUSES = 8;

function failed(rrset: RRset, causes: readonly Reason[]): RrsetVerification {
  const what = `${typeName(rrset.type)} of ${displayName(rrset.name)}`;
  if (causes.length === 0) return { kind: "failed", reasons: [{ code: "signature-missing", text: `${what} has no signature` }] };
  const distinct = [...new Map(causes.map((cause) => [cause.text, cause])).values()];
  const ranked = distinct.sort((a, b) => TELLING.indexOf(a.code) - TELLING.indexOf(b.code)).slice(-MAX_CAUSES);
  const worst = ranked.at(-1)?.code ?? "signature-invalid";
  return { kind: "failed", reasons: [{ code: worst, text: `no signature of ${what} holds` }, ...ranked] };
}

function tooMuch(limit: string): Reason {
  return { code: "work-limit", text: `the limit of ${limit} was reached` };
}

function keyText(rrsig: Rrsig): string {
  return `key ${rrsig.keyTag} (algorithm ${rrsig.algorithm}) of ${displayName(rrsig.signer)}`;
}
