import { type Ds, decodeDs, decodeRrsig } from "../dns/dnssecRdata.ts";
import { isMalformed, type Message, type ResourceRecord, RR_TYPE } from "../dns/message.ts";
import { type DomainName, displayName, isWithin, labelCount, parentOf, suffixOf } from "../dns/name.ts";
import { detachedRdata } from "../dns/rdata.ts";
import { typeName } from "../dns/rdataText.ts";
import { type RRset, rrsetsOf } from "../dns/rrset.ts";
import { authenticateKeys, usableDs, type Vouchers } from "./delegationSigner.ts";
import { cutWithoutDs, type Terms, termsOf, type UnsignedCut, zoneDenials } from "./denial.ts";
import {
  bogus,
  type Distrust,
  isDistrust,
  type Judging,
  judgeMessage,
  needTrust,
  type Rules,
  type SecureZone,
  type Trust,
} from "./evidence.ts";
import { verifyRrset, type WildcardExpansion, zoneKey } from "./rrsig.ts";
import type { ReasonChain } from "./securityStatus.ts";
import { WorkBudget } from "./workBudget.ts";

/**
 * The chain of trust (RFC 4035 §5): from the deepest trust anchor down to the zone that a name belongs to, one label at a time. At each
 * label the parent says by a signed DS RRset that a signed zone begins there, or by a signed denial that an unsigned one does, or none.
 */

/** The zone that a name belongs to, with its keys; or that the name is insecure; or that neither can be shown. */
export type NameTrust = { kind: "secure"; zone: SecureZone } | { kind: "insecure"; reasons: ReasonChain } | Distrust;

/**
 * Follows the chain for an RRset or a denial of `owner` (see `zoneSideOf`) as far as its RRSIG records say: to the deepest signer that can
 * be the zone of `owner`. Without one to `owner` itself, because unsigned records are insecure only where an unsigned zone is proved to
 * begin. What a signer claims is a hint; the keys decide.
 */
export function* trustFor(owner: DomainName, signatures: readonly ResourceRecord[], rules: Rules): Judging<NameTrust> {
  const signer = deepestSigner(owner, signatures);
  const trust = yield* trustOf(owner, signer ?? owner, rules);
  // Only because of a message without signatures was the chain followed below the zone: another server's may have them.
  return signer === undefined && isDistrust(trust) ? { ...trust, fault: "message" } : trust;
}

/**
 * Follows the chain from the anchor of `owner` down to `end`, which is `owner` or above it. For a DS question, give the parent of the
 * name that is asked. The anchor is the owner's and never that of `end`, which the answer chose.
 */
function* trustOf(owner: DomainName, end: DomainName, rules: Rules): Judging<NameTrust> {
  const anchor = deepestAbove(owner, rules.anchors);
  const negative = deepestAbove(owner, rules.insecureZones);
  // RFC 7646 §1.1: a positive anchor below a negative one counts; §3: at the same name the negative one does.
  if (negative !== undefined && (anchor === undefined || labelCount(negative) >= labelCount(anchor))) {
    const text = `${displayName(negative)} is configured as insecure (negative trust anchor)`;
    return { kind: "insecure", reasons: [{ code: "negative-trust-anchor", text }] };
  }
  // RFC 4033 §5 calls this indeterminate. Whoever configures anchors for a part of the tree wants the rest as it is without DNSSEC.
  if (anchor === undefined) {
    return {
      kind: "insecure",
      reasons: [{ code: "no-trust-anchor", text: `there is no trust anchor above ${displayName(owner)}` }],
    };
  }
  const top = yield* needTrust({ kind: "anchor", name: anchor });
  if (top.kind === "interior") throw new Error("a trust anchor is always a zone");
  if (top.kind !== "secure") return top;
  let zone = top.zone;
  for (let labels = labelCount(anchor) + 1; labels <= labelCount(end); labels += 1) {
    const trust = yield* needTrust({ kind: "cut", name: suffixOf(end, labels), parent: zone });
    if (trust.kind === "secure") zone = trust.zone;
    else if (trust.kind !== "interior") return trust;
    else if (trust.empty) break;
  }
  return { kind: "secure", zone };
}

/** The name whose zone holds records of `type` at `name`: DS stands on the parent's side of a cut (RFC 4035 §2.4). */
export function zoneSideOf(name: DomainName, type: number): DomainName {
  return type === RR_TYPE.DS ? (parentOf(name) ?? name) : name;
}

/** The deepest zone that the RRSIG records name as their signer, of those that can hold `owner`. */
export function deepestSigner(owner: DomainName, signatures: readonly ResourceRecord[]): DomainName | undefined {
  let deepest: DomainName | undefined;
  for (const record of signatures) {
    const rrsig = decodeRrsig(record.rdata);
    if (isMalformed(rrsig) || !isWithin(owner, rrsig.signer)) continue;
    if (deepest === undefined || labelCount(rrsig.signer) > labelCount(deepest)) deepest = rrsig.signer;
  }
  return deepest;
}

function deepestAbove(name: DomainName, zones: { has(zone: DomainName): boolean }): DomainName | undefined {
  for (let labels = labelCount(name); labels >= 0; labels -= 1) {
    const zone = suffixOf(name, labels);
    if (zones.has(zone)) return zone;
  }
  return undefined;
}

/** What the keys of `parent` prove about `name`, which is one label below a name of that zone. */
export function* judgeCut(name: DomainName, parent: SecureZone, rules: Rules): Judging<Trust> {
  const delegation = yield* judgeMessage(name, RR_TYPE.DS, (message) => judgeDelegation(message, name, parent, rules));
  if (isDistrust(delegation)) return distrusted(delegation, `the delegation to ${displayName(name)} could not be authenticated`);
  if (delegation.kind !== "signed") return delegation;
  const usable = usableDs(delegation.ds, rules.algorithms);
  if (usable.length === 0) {
    const text = `${displayName(name)} is signed with unsupported algorithms only`;
    return { kind: "insecure", reasons: [{ code: "unsupported-algorithm", text }], ttlSeconds: delegation.ttlSeconds };
  }
  const trust = yield* judgeMessage(name, RR_TYPE.DNSKEY, (message) => judgeKeys(message, name, { ds: usable, keys: [] }, rules));
  if (isDistrust(trust)) return distrusted(trust, `the keys of ${displayName(name)} could not be authenticated`);
  return { ...trust, ttlSeconds: Math.min(trust.ttlSeconds, delegation.ttlSeconds) };
}

/** The keys of a zone that there is a trust anchor for. */
export function* judgeAnchor(name: DomainName, rules: Rules): Judging<Trust> {
  const anchor = rules.anchors.get(name);
  if (anchor === undefined) throw new Error(`no trust anchor for ${name}`);
  if (anchor.ds.length + anchor.keys.length === 0) {
    const text = `every trust anchor of ${displayName(name)} is revoked`;
    return { kind: "bogus", reasons: [{ code: "key-missing", text }], fault: "zone", ttlSeconds: ANCHOR_TTL_SECONDS };
  }
  const ds = usableDs(anchor.ds, rules.algorithms);
  const keys = anchor.keys.filter((rdata) => isSupported(name, rdata, rules));
  if (ds.length + keys.length === 0) {
    const text = `the trust anchor of ${displayName(name)} uses unsupported algorithms only`;
    return { kind: "insecure", reasons: [{ code: "unsupported-algorithm", text }], ttlSeconds: ANCHOR_TTL_SECONDS };
  }
  const trust = yield* judgeMessage(name, RR_TYPE.DNSKEY, (message) => judgeKeys(message, name, { ds, keys }, rules));
  return isDistrust(trust) ? distrusted(trust, `the keys of ${displayName(name)} could not be authenticated`) : trust;
}

/** An anchor that cannot be used stays so until the configuration changes. */
const ANCHOR_TTL_SECONDS = 3600;
/** How long a chain that does not hold is taken as broken (RFC 4035 §4.7), so that its zone's names are not all asked for again. */
const DISTRUST_TTL_SECONDS = 30;
/** The same where nothing was answered. */
const FAILURE_TTL_SECONDS = 5;

function distrusted(distrust: Distrust, text: string): Trust {
  const [first] = distrust.reasons;
  const ttlSeconds = distrust.kind === "bogus" ? DISTRUST_TTL_SECONDS : FAILURE_TTL_SECONDS;
  return { kind: distrust.kind, reasons: [{ code: first.code, text }, ...distrust.reasons], fault: "zone", ttlSeconds };
}

function isSupported(zone: DomainName, rdata: Buffer, rules: Rules): boolean {
  const key = zoneKey(zone, rdata, rules.algorithms);
  return !isMalformed(key) && rules.algorithms.signatures.has(key.algorithm);
}

type Delegation = { kind: "signed"; ds: readonly Ds[]; ttlSeconds: number } | UnsignedCut;

/** The DS RRset of `name`, or what its denial means, from the answer to a DS question (RFC 4035 §5.2). */
function* judgeDelegation(message: Message, name: DomainName, parent: SecureZone, rules: Rules): Judging<Delegation | Distrust> {
  const terms = termsOf(message, rules);
  const answer = rrsetsOf(message.answer).filter((rrset) => rrset.name === name);
  const dsSet = answer.find((rrset) => rrset.type === RR_TYPE.DS);
  const alias = answer.find((rrset) => rrset.type === RR_TYPE.CNAME);
  if (dsSet !== undefined) return contradiction(message, dsSet) ?? judgeDsSet(dsSet, parent, terms);
  if (alias !== undefined) {
    // A CNAME stands alone (RFC 2181 §10.1), so where the parent zone has one there is no delegation.
    const verification = verifyRrset(alias, parent.keys, rules.now, terms.budget);
    if (verification.kind === "failed") return bogus(...verification.reasons);
    const { rrset, expansion } = verification;
    if (expansion !== undefined) return yield* expandedAlias(name, parent, expansion, rrset.ttl, terms);
    return { kind: "interior", empty: false, ttlSeconds: rrset.ttl };
  }
  return yield* cutWithoutDs(name, parent, terms);
}

/** RFC 4035 §5.3.4: a wildcard speaks only for names that do not exist; unproved, it could stand before a real delegation. */
function* expandedAlias(
  name: DomainName,
  parent: SecureZone,
  expansion: WildcardExpansion,
  ttl: number,
  terms: Terms,
): Judging<UnsignedCut | Distrust> {
  const denials = yield* zoneDenials(parent, terms);
  const proof = yield* denials.noCloserMatch(name, expansion);
  if (proof.kind === "notProved") {
    const text = `the CNAME of ${displayName(name)} comes from ${displayName(expansion.wildcard)} without a proof`;
    return bogus({ code: "wildcard-unproved", text }, ...proof.reasons);
  }
  // Under opt-out an unsigned delegation could be here; but for one the zone would have denied the DS and not answered with the wildcard.
  return { kind: "interior", empty: false, ttlSeconds: Math.min(ttl, proof.ttlSeconds) };
}

/** RFC 2181 §10.1: beside a CNAME there is nothing; and what exists is not answered with NXDOMAIN. Neither is what a zone says. */
function contradiction({ answer, rcode }: Message, { name, type }: RRset): Distrust | undefined {
  const what = `${typeName(type)} of ${displayName(name)}`;
  if (rcode !== 0) return bogus({ code: "malformed", text: `there is a ${what}, but the RCODE is ${rcode}` });
  const hasAlias = answer.some((record) => record.name === name && record.type === RR_TYPE.CNAME);
  return hasAlias ? bogus({ code: "malformed", text: `there is a CNAME beside the ${what}` }) : undefined;
}

function judgeDsSet(dsSet: RRset, parent: SecureZone, { rules, budget }: Terms): Delegation | Distrust {
  const verification = verifyRrset(dsSet, parent.keys, rules.now, budget);
  if (verification.kind === "failed") return bogus(...verification.reasons);
  const ds = dsSet.rdatas.map(decodeDs).flatMap((one) => (isMalformed(one) ? [] : [one]));
  return { kind: "signed", ds, ttlSeconds: verification.rrset.ttl };
}

/** The keys of zone `name`, when one that `vouchers` speak for has signed them all (RFC 4035 §5.2, §5.3.1). */
function* judgeKeys(
  message: Message,
  name: DomainName,
  vouchers: Vouchers,
  rules: Rules,
): Judging<Extract<Trust, { kind: "secure" }> | Distrust> {
  const dnskeys = rrsetsOf(message.answer).find((rrset) => rrset.name === name && rrset.type === RR_TYPE.DNSKEY);
  if (dnskeys === undefined)
    return bogus({ code: "key-missing", text: `${displayName(name)} has no DNSKEY records, though its parent says so` });
  const refusal = contradiction(message, dnskeys);
  if (refusal !== undefined) return refusal;
  const keys = detachedRdata(dnskeys.rdatas)
    .map((rdata) => zoneKey(name, rdata, rules.algorithms))
    .flatMap((key) => (isMalformed(key) ? [] : [key]));
  const { now, algorithms, requireAllAlgorithms } = rules;
  const terms = { now, algorithms, requireAllAlgorithms, budget: new WorkBudget(rules.budget) };
  const authenticated = authenticateKeys(dnskeys, keys, vouchers, terms);
  if (authenticated.kind === "failed") return bogus(...authenticated.reasons);
  return { kind: "secure", zone: { name, keys }, ttlSeconds: authenticated.rrset.ttl };
}
