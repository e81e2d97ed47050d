import type { Ds } from "../dns/dnssecRdata.ts";
import { type DomainName, displayName, nameToWire } from "../dns/name.ts";
import type { RRset } from "../dns/rrset.ts";
import type { AlgorithmTable } from "./algorithm.ts";
import { verifyRrset, type ZoneKey } from "./rrsig.ts";
import type { Reason, ReasonChain } from "./securityStatus.ts";
import type { WorkBudget } from "./workBudget.ts";

/**
 * Authentication of a DNSKEY RRset by the DS records of the parent, or by trust anchors (RFC 4035 §5.2).
 *
 * Entry key: a key that a DS record (or an anchor) vouches for; it must have signed the DNSKEY RRset.
 */

const DIGEST_SHA1 = 1;

/**
 * The DS records that count: of supported algorithm and digest. SHA-1 is left aside where the set has anything better (RFC 4509 §3).
 * None: the delegation is as if it were unsigned (RFC 4035 §5.2).
 */
export function usableDs(ds: readonly Ds[], table: AlgorithmTable): readonly Ds[] {
  const usable = ds.filter((one) => table.signatures.has(one.algorithm) && table.digests.has(one.digestType));
  const better = usable.filter((one) => one.digestType !== DIGEST_SHA1);
  return better.length > 0 ? better : usable;
}

/** Whether `key` is the one that `ds` is the digest of (RFC 4034 §5.1.4). */
export function isDigestOf(ds: Ds, key: ZoneKey, table: AlgorithmTable): boolean {
  const digest = table.digests.get(ds.digestType);
  return digest?.digest(Buffer.concat([nameToWire(key.zone), key.rdata])).equals(ds.digest) === true;
}

/** What vouches for keys of a zone: usable DS records, and keys that are trust anchors themselves. */
export type Vouchers = { ds: readonly Ds[]; keys: readonly Buffer[] };
type Terms = { now: number; algorithms: AlgorithmTable; budget: WorkBudget; requireAllAlgorithms: boolean };
type Authentication = { kind: "authenticated"; rrset: RRset } | { kind: "failed"; reasons: ReasonChain };

/**
 * Whether the DNSKEY RRset is signed by an entry key. RFC 6840 §5.11: one path is enough; with `requireAllAlgorithms` there must be one
 * for each algorithm that is vouched for.
 */
export function authenticateKeys(dnskeys: RRset, keys: readonly ZoneKey[], vouchers: Vouchers, terms: Terms): Authentication {
  const causes: Reason[] = [];
  const entries = new Set(keys.filter((key) => vouchers.keys.some((rdata) => rdata.equals(key.rdata))));
  for (const ds of vouchers.ds) {
    const entry = entryKey(ds, keys, terms, causes);
    if (entry !== undefined) entries.add(entry);
  }
  const vouched = [...vouchers.ds, ...keys.filter((key) => vouchers.keys.some((rdata) => rdata.equals(key.rdata)))];
  const algorithms = [...new Set(vouched.map((one) => one.algorithm))];
  const paths = terms.requireAllAlgorithms
    ? algorithms.map((one) => [...entries].filter((key) => key.algorithm === one))
    : [[...entries]];
  let result: Authentication = unvouched(dnskeys.name, causes);
  for (const path of paths) {
    const verification =
      path.length === 0 ? unvouched(dnskeys.name, causes) : verifyRrset(dnskeys, path, terms.now, terms.budget);
    if (verification.kind === "failed") return verification;
    result = { kind: "authenticated", rrset: verification.rrset };
  }
  return result;
}

/** The key that `ds` is the digest of; what was found instead goes to `causes`. */
function entryKey(ds: Ds, keys: readonly ZoneKey[], terms: Terms, causes: Reason[]): ZoneKey | undefined {
  const what = `the DS record for key ${ds.keyTag} (algorithm ${ds.algorithm})`;
  const candidates = keys.filter((key) => key.keyTag === ds.keyTag && key.algorithm === ds.algorithm);
  if (candidates.length === 0) causes.push({ code: "ds-mismatch", text: `${what} has no DNSKEY` });
  for (const key of candidates) {
    if (terms.budget.exhausted !== undefined) return undefined;
    if (isDigestOf(ds, key, terms.algorithms)) return key;
    causes.push({ code: "ds-mismatch", text: `${what} is not the digest of the DNSKEY with that tag` });
    if (!terms.budget.takeDsMismatch())
      causes.push({ code: "work-limit", text: `the limit of ${terms.budget.exhausted} was reached` });
  }
  return undefined;
}

function unvouched(zone: DomainName, causes: readonly Reason[]): { kind: "failed"; reasons: ReasonChain } {
  const code = causes.at(-1)?.code ?? "ds-mismatch";
  return { kind: "failed", reasons: [{ code, text: `no DNSKEY of ${displayName(zone)} is vouched for` }, ...causes] };
}
