import { DNSKEY_FLAG, keyTagOf } from "../dns/dnssecRdata.ts";
import { isMalformed } from "../dns/message.ts";
import { type DomainName, isWithin } from "../dns/name.ts";
import type { RRset } from "../dns/rrset.ts";
import type { AlgorithmTable } from "./algorithm.ts";
import { isDigestOf } from "./delegationSigner.ts";
import type { TrustAnchor, TrustAnchors } from "./evidence.ts";
import { mayVerify, type RrsetVerification, verifyRrset, type ZoneKey, zoneKey } from "./rrsig.ts";
import { WorkBudget } from "./workBudget.ts";

/**
 * Automated updates of trust anchors (RFC 5011): what is seen of the keys of a trust point, and which of them are trusted.
 *
 * Trust point: a zone that anchors are configured for. SEP key: a DNSKEY with the secure entry point flag, one that may become an anchor.
 *
 *   Start --NewKey--> AddPend --AddTime--> Valid <--KeyPres/KeyRem--> Missing --RevBit--> Revoked --RemTime--> Removed
 *                     AddPend --KeyRem--> Start    Valid --RevBit--> Revoked
 *
 * Start is a key that is not in the list. Valid and Missing keys are anchors. What is configured is an anchor from the beginning, seen or
 * not, until it is revoked: nobody's absence takes trust away. Nothing leads back from Revoked and Removed. A key that is revoked before it
 * was trusted is forgotten like one that went away, as the table of §4 has it; that a stolen key can make such keys must not fill the list.
 */

/** RFC 5011 §2.4.1, §2.4.2. */
export const ADD_HOLD_DOWN_SECONDS = 30 * 86_400;
export const REMOVE_HOLD_DOWN_SECONDS = 30 * 86_400;
/** Keys of one trust point that are followed. §2.4.3 asks for five at least; the root has had three in sixteen years. */
export const MAX_FOLLOWED_KEYS = 32;

/** DNSKEY RDATA as base64, its REVOKE bit cleared: one identity for a key before and after its revocation. */
export type KeyIdentity = string;

export type FollowedKey = { key: KeyIdentity } & (
  | {
      state: "addPend";
      /** Seconds since the epoch; then the key is accepted the next time that it is seen. */
      acceptAt: number;
      /** The anchors that signed the RRset in which the key was first seen. */
      validatedBy: readonly KeyIdentity[];
    }
  | { state: "valid" | "missing" | "removed" }
  | {
      state: "revoked";
      /** Seconds since the epoch, in a validated RRset. */
      lastSeen: number;
    }
);

export type TrustPoint = { zone: DomainName; configured: TrustAnchor; keys: readonly FollowedKey[] };

export type KeyEvent = { keyTag: number; from: "start" | FollowedKey["state"]; to: "start" | FollowedKey["state"] };

export type Observation = {
  point: TrustPoint;
  events: readonly KeyEvent[];
  /** What the next queries go by; undefined when no anchor has signed the RRset, so that it says nothing but revocations. */
  validated: { originalTtl: number; untilExpiration: number } | undefined;
};

type Terms = { now: number; algorithms: AlgorithmTable };
type SeenKey = { zoneKey: ZoneKey; identity: KeyIdentity; revoked: boolean };
type Verified = Extract<RrsetVerification, { kind: "verified" }>;

/** What a DNSKEY RRset of the trust point, however it was got, changes at `now` (seconds since the epoch). */
export function observe(point: TrustPoint, dnskeys: RRset, { now, algorithms }: Terms): Observation {
  const terms = { now, algorithms };
  const seen = dnskeys.rdatas.flatMap((rdata) => seenKey(point.zone, rdata, algorithms));
  const selfSigned = ({ zoneKey: key }: SeenKey): boolean => verifiedBy(key, dnskeys, now) !== undefined;
  // §2.1: a revocation needs no other anchor's consent, and an RRset that a revoked key alone has signed says nothing else.
  const revoked = seen.filter((key) => key.revoked && isAnchor(point, key.identity, algorithms) && selfSigned(key));
  const afterRevocation = { ...point, keys: withRevoked(point.keys, revoked, now) };
  const validators = seen
    .filter((key) => !key.revoked && isAnchor(afterRevocation, key.identity, algorithms))
    .slice(0, MAX_FOLLOWED_KEYS)
    .flatMap((key) => {
      const verification = verifiedBy(key.zoneKey, dnskeys, now);
      return verification === undefined ? [] : [{ identity: key.identity, verification }];
    });
  if (validators.length === 0) {
    return { point: afterRevocation, events: eventsBetween(point.keys, afterRevocation.keys), validated: undefined };
  }
  const originalTtl = Math.max(...validators.map(({ verification }) => verification.originalTtl));
  const untilExpiration = Math.min(...validators.map(({ verification }) => verification.expiration - now));
  const validatedBy = validators.map(({ identity }) => identity);
  const kept = afterRevocation.keys.flatMap((key) => next(key, seen, afterRevocation, now));
  const acceptAt = now + Math.max(ADD_HOLD_DOWN_SECONDS, originalTtl);
  const keys = withNewKeys({ ...point, keys: kept }, seen, { acceptAt, validatedBy }, terms);
  return {
    point: { ...point, keys },
    events: eventsBetween(point.keys, keys),
    validated: { originalTtl, untilExpiration },
  };
}

function seenKey(zone: DomainName, rdata: Buffer, algorithms: AlgorithmTable): SeenKey[] {
  const key = zoneKey(zone, rdata, algorithms);
  if (isMalformed(key)) return [];
  const revoked = (key.flags & DNSKEY_FLAG.revoke) !== 0;
  // To verify its own revocation is all that a revoked key may do (§2.1), and what this copy is for.
  const verifying = revoked ? { ...key, flags: key.flags & ~DNSKEY_FLAG.revoke } : key;
  return [{ zoneKey: verifying, identity: identityOf(rdata), revoked }];
}

/** Of DNSKEY RDATA, revoked or not. */
export function identityOf(rdata: Buffer): KeyIdentity {
  return unrevoked(rdata).toString("base64");
}

function unrevoked(rdata: Buffer): Buffer {
  const copy = Buffer.from(rdata);
  if (copy.length >= 2) copy.writeUInt16BE(copy.readUInt16BE(0) & ~DNSKEY_FLAG.revoke, 0);
  return copy;
}

function verifiedBy(key: ZoneKey, dnskeys: RRset, now: number): Verified | undefined {
  const verification = verifyRrset(dnskeys, [key], now, new WorkBudget());
  return verification.kind === "verified" ? verification : undefined;
}

function isEntryPoint({ zoneKey: key }: SeenKey): boolean {
  const flags = DNSKEY_FLAG.zone | DNSKEY_FLAG.secureEntryPoint;
  return (key.flags & flags) === flags && mayVerify(key) && key.imported().kind === "key";
}

function isDefunct(point: TrustPoint, identity: KeyIdentity): boolean {
  return point.keys.some((one) => one.key === identity && (one.state === "revoked" || one.state === "removed"));
}

function isConfigured(point: TrustPoint, identity: KeyIdentity, algorithms: AlgorithmTable): boolean {
  const { ds, keys } = point.configured;
  if (keys.some((rdata) => identityOf(rdata) === identity)) return true;
  const key = zoneKey(point.zone, Buffer.from(identity, "base64"), algorithms);
  if (isMalformed(key)) return false;
  return ds.some((one) => one.keyTag === key.keyTag && one.algorithm === key.algorithm && isDigestOf(one, key, algorithms));
}

function isAnchor(point: TrustPoint, identity: KeyIdentity, algorithms: AlgorithmTable): boolean {
  const followed = point.keys.find((one) => one.key === identity);
  if (followed === undefined) return isConfigured(point, identity, algorithms);
  return followed.state === "valid" || followed.state === "missing";
}

function withRevoked(keys: readonly FollowedKey[], revoked: readonly SeenKey[], now: number): readonly FollowedKey[] {
  const others = keys.filter((one) => !revoked.some((key) => key.identity === one.key));
  return [...others, ...revoked.map((key): FollowedKey => ({ key: key.identity, state: "revoked", lastSeen: now }))];
}

/** The state table (§4) for a key that is followed, when a validated RRset is seen; [] is Start. */
function next(key: FollowedKey, seen: readonly SeenKey[], point: TrustPoint, now: number): readonly FollowedKey[] {
  const present = seen.some((one) => !one.revoked && one.identity === key.key);
  switch (key.state) {
    case "addPend": {
      // §2.2: when all the keys that spoke for it have turned out bad, the time begins anew.
      const vouched = key.validatedBy.some((one) => !isDefunct(point, one));
      if (!present || !vouched) return [];
      return now >= key.acceptAt ? [{ key: key.key, state: "valid" }] : [key];
    }
    case "valid":
    case "missing":
      return [{ key: key.key, state: present ? "valid" : "missing" }];
    case "revoked":
      if (seen.some((one) => one.identity === key.key)) return [{ ...key, lastSeen: now }];
      return now - key.lastSeen >= REMOVE_HOLD_DOWN_SECONDS ? [{ key: key.key, state: "removed" }] : [key];
    case "removed":
      return [key];
    default:
      return key satisfies never;
  }
}

/** NewKey (§4.1). What is configured waits for nothing; a key that cannot be verified with here is of no use as an anchor. */
function withNewKeys(
  point: TrustPoint,
  seen: readonly SeenKey[],
  pending: { acceptAt: number; validatedBy: readonly KeyIdentity[] },
  terms: Terms,
): readonly FollowedKey[] {
  const keys = [...point.keys];
  for (const key of seen) {
    if (keys.length >= MAX_FOLLOWED_KEYS) break;
    if (key.revoked || keys.some((one) => one.key === key.identity)) continue;
    if (isConfigured(point, key.identity, terms.algorithms)) keys.push({ key: key.identity, state: "valid" });
    else if (isEntryPoint(key)) keys.push({ key: key.identity, state: "addPend", ...pending });
  }
  return keys;
}

function eventsBetween(before: readonly FollowedKey[], after: readonly FollowedKey[]): readonly KeyEvent[] {
  const identities = new Set([...before, ...after].map((one) => one.key));
  return [...identities].flatMap((identity) => {
    const from = before.find((one) => one.key === identity)?.state ?? "start";
    const to = after.find((one) => one.key === identity)?.state ?? "start";
    return from === to ? [] : [{ keyTag: keyTagOf(Buffer.from(identity, "base64")), from, to }];
  });
}

/**
 * The anchors that are trusted now. A trust point whose anchors are all revoked is deleted (§5): names below it are judged by the anchor
 * above. Where there is none above, RFC 5011 has them insecure; here the empty anchor stays, and nothing below it can be shown to be
 * secure or insecure: one stolen key must not switch DNSSEC off for all destinations.
 */
export function anchorsInForce(points: readonly TrustPoint[], algorithms: AlgorithmTable): TrustAnchors {
  const anchors = points.map((point) => ({ zone: point.zone, anchor: anchorInForce(point, algorithms) }));
  const living = anchors.filter(({ anchor }) => anchor.ds.length + anchor.keys.length > 0);
  const kept = anchors.filter((one) => {
    return living.includes(one) || !living.some(({ zone }) => isWithin(one.zone, zone));
  });
  return new Map(kept.map(({ zone, anchor }) => [zone, anchor]));
}

function anchorInForce(point: TrustPoint, algorithms: AlgorithmTable): TrustAnchor {
  const { configured, keys } = point;
  const defunct = keys
    .filter((one) => one.state === "revoked" || one.state === "removed")
    .flatMap((one) => seenKey(point.zone, Buffer.from(one.key, "base64"), algorithms));
  const trusted = keys.filter((one) => one.state === "valid" || one.state === "missing").map((one) => one.key);
  const own = configured.keys.map(identityOf).filter((identity) => !isDefunct(point, identity));
  return {
    ds: configured.ds.filter((one) => !defunct.some(({ zoneKey: key }) => isDigestOf(one, key, algorithms))),
    keys: [...new Set([...own, ...trusted])].map((identity) => Buffer.from(identity, "base64")),
  };
}
