import { type Ds, decodeDs } from "../dns/dnssecRdata.ts";
import { isMalformed, RR_TYPE } from "../dns/message.ts";
import { type DomainName, labelCount, suffixOf } from "../dns/name.ts";
import { type RRset, rrsetsOf } from "../dns/rrset.ts";
import type { AlgorithmTable } from "../dnssec/algorithm.ts";
import { isDigestOf } from "../dnssec/delegationSigner.ts";
import { mayVerify, type ZoneKey, zoneKey } from "../dnssec/rrsig.ts";
import type { ReasonChain } from "../dnssec/securityStatus.ts";
import { type DenialFact, denialFacts } from "./denialFact.ts";
import type { EvidenceLog } from "./evidenceLog.ts";
import { type SignatureFact, signatureFacts } from "./signatureFact.ts";

/**
 * The chain of trust to a name, zone by zone from the trust anchor (RFC 4035 §5), as the validator has gone it: what each parent publishes
 * (DS), what each zone is signed with (DNSKEY), and where the chain ends.
 */
export type ChainLink = {
  zone: DomainName;
  status: "secure" | "insecure" | "bogus" | "indeterminate";
  /** Empty for the trust anchor, and where the parent denies them. */
  ds: readonly DsFact[];
  dsSignatures: readonly SignatureFact[];
  /** How the parent proved that there is no DS. */
  denial: readonly DenialFact[];
  keys: readonly KeyFact[];
  keySignatures: readonly SignatureFact[];
  /** Why the chain ends here. */
  reasons?: ReasonChain;
};

/** `key`: whether the zone has the key that the DS record is the digest of. */
export type DsFact = { keyTag: number; algorithm: number; digestType: number; key: "present" | "missing" };
/** `role`: by the SEP flag (RFC 4034 §2.1.1), which is only what the zone calls it. */
export type KeyFact = { keyTag: number; algorithm: number; role: "entry" | "zone" | "revoked"; rdata: Buffer };

export type ChainRules = { now: number; algorithms: AlgorithmTable };

/** The links to `name`, outermost first; labels without a zone of their own are left out. */
export function chainOf(name: DomainName, log: EvidenceLog, rules: ChainRules): readonly ChainLink[] {
  const links: ChainLink[] = [];
  const keysOf = (zone: DomainName) => keysOfZone(zone, log, rules.algorithms);
  for (let labels = 0; labels <= labelCount(name); labels += 1) {
    const zone = suffixOf(name, labels);
    const trust = log.trust(zone);
    if (trust === undefined || trust.kind === "interior") continue;
    links.push({
      zone,
      status: trust.kind,
      ...linkFacts(zone, log, keysOf, rules),
      ...("reasons" in trust ? { reasons: trust.reasons } : {}),
    });
    if (trust.kind !== "secure") break;
  }
  return links;
}

type KeysOf = (zone: DomainName) => readonly ZoneKey[] | undefined;

function linkFacts(
  zone: DomainName,
  log: EvidenceLog,
  keysOf: KeysOf,
  { now, algorithms }: ChainRules,
): Pick<ChainLink, "ds" | "dsSignatures" | "denial" | "keys" | "keySignatures"> {
  const dsSet = rrsetIn(log, zone, RR_TYPE.DS);
  const dsMessage = log.message(zone, RR_TYPE.DS);
  const keySet = rrsetIn(log, zone, RR_TYPE.DNSKEY);
  const keys = keysOf(zone) ?? [];
  const digests = (dsSet?.rdatas ?? []).map(decodeDs).flatMap((ds) => (isMalformed(ds) ? [] : [ds]));
  return {
    ds: digests.map((ds) => dsFact(ds, keys, algorithms)),
    dsSignatures: dsSet === undefined ? [] : signatureFacts(dsSet, keysOf, now),
    denial: dsSet !== undefined || dsMessage === undefined ? [] : denialFacts(dsMessage, zone),
    keys: keys.map(keyFact),
    keySignatures: keySet === undefined ? [] : signatureFacts(keySet, keysOf, now),
  };
}

function rrsetIn(log: EvidenceLog, name: DomainName, type: number): RRset | undefined {
  const message = log.message(name, type);
  return rrsetsOf(message?.answer ?? []).find((rrset) => rrset.name === name && rrset.type === type);
}

/** The keys that a zone shows, authenticated or not; undefined where they were not asked for. */
export function keysOfZone(zone: DomainName, log: EvidenceLog, algorithms: AlgorithmTable): readonly ZoneKey[] | undefined {
  return rrsetIn(log, zone, RR_TYPE.DNSKEY)?.rdatas.flatMap((rdata) => {
    const key = zoneKey(zone, rdata, algorithms);
    return isMalformed(key) ? [] : [key];
  });
}

function dsFact(ds: Ds, keys: readonly ZoneKey[], algorithms: AlgorithmTable): DsFact {
  const { keyTag, algorithm, digestType } = ds;
  const present = keys.some((key) => key.keyTag === keyTag && key.algorithm === algorithm && isDigestOf(ds, key, algorithms));
  return { keyTag, algorithm, digestType, key: present ? "present" : "missing" };
}

function keyFact(key: ZoneKey): KeyFact {
  const { keyTag, algorithm, flags, rdata } = key;
  const role = !mayVerify(key) ? "revoked" : (flags & 1) === 1 ? "entry" : "zone";
  return { keyTag, algorithm, role, rdata };
}
