import type { TypeBitmap } from "../dns/dnssecRdata.ts";
import { RR_TYPE } from "../dns/message.ts";
import { type DomainName, ROOT } from "../dns/name.ts";
import type { WildcardExpansion } from "./rrsig.ts";
import type { ReasonChain } from "./securityStatus.ts";

/**
 * What NSEC (RFC 4035 §5.4) and NSEC3 (RFC 5155 §8) records can prove about names of their zone. `ttlSeconds` is the least TTL of
 * the records that a proof rests on.
 *
 * Insecure: it is proved that nothing can be proved, because an opt-out span may hide an unsigned delegation (RFC 5155 §9.2), or because
 * the zone asks for more hash iterations than are computed (RFC 9276 §3.2).
 */
export type Denial = { kind: "proved"; ttlSeconds: number } | Insecure | NotProved;
export type Insecure = { kind: "insecure"; ttlSeconds: number; reasons: ReasonChain };
export type NotProved = { kind: "notProved"; reasons: ReasonChain };

/** What the absence of a DS record means. */
export type DsDenial =
  /** The name is delegated (NS) and the delegation is not signed. */
  | { kind: "unsignedDelegation"; ttlSeconds: number }
  /** The name belongs to the zone itself. `empty`: the name does not exist, so there is no cut below it either (RFC 8020). */
  | { kind: "noCut"; empty: boolean; ttlSeconds: number }
  | Insecure
  | NotProved;

/** A computation that lets others run now and then: it yields a pause and goes on when resumed. */
export type Pausing<T> = Generator<{ kind: "pause" }, T, unknown>;

/** What can be asked of the records of one zone; `Pausing` where it costs hashes. */
export interface DenialProofs<Proof extends "immediate" | "pausing"> {
  /** The name does not exist and no wildcard stands in for it. */
  nameError(name: DomainName): Proving<Proof, Denial>;
  /** The name (or the wildcard that stands in for it) exists without this type and without CNAME. For any type but DS. */
  noData(name: DomainName, type: number): Proving<Proof, Denial>;
  /** The wildcard that an RRset was expanded from is the right one: nothing closer to the name exists (RFC 4035 §5.3.4). */
  noCloserMatch(name: DomainName, expansion: WildcardExpansion): Proving<Proof, Denial>;
  /** There is no DS record at the name. */
  noDs(name: DomainName): Proving<Proof, DsDenial>;
}

type Proving<Proof, T> = Proof extends "pausing" ? Pausing<T> : T;

/**
 * RFC 6840 §4.1: a record from the parent's side of a cut says nothing about what is at or below the cut (but for DS); a DNAME takes
 * away all that is below it.
 */
export function endsAuthority(types: TypeBitmap): boolean {
  return isDelegation(types) || types.has(RR_TYPE.DNAME);
}

export function isDelegation(types: TypeBitmap): boolean {
  return types.has(RR_TYPE.NS) && !types.has(RR_TYPE.SOA);
}

/** Whether a record for a name shows that the name has no `type`, at a place where its zone speaks for `type`. */
export function lacks(types: TypeBitmap, type: number): boolean {
  return !types.has(type) && !types.has(RR_TYPE.CNAME) && !isDelegation(types);
}

export function notProved(text: string): NotProved {
  return { kind: "notProved", reasons: [{ code: "denial-missing", text }] };
}

/** What a record that matches `name` and shows `types` there says about its DS (RFC 6840 §4.4, RFC 5155 §8.6, §8.9). */
export function withoutDs(name: DomainName, types: TypeBitmap, ttlSeconds: number): DsDenial {
  if (types.has(RR_TYPE.DS)) return notProved(`there is a DS record at ${name}`);
  // With SOA the record is that of the child, which does not know; the root is nobody's child.
  if (types.has(RR_TYPE.SOA) && name !== ROOT) return notProved(`the record of ${name} is from below the cut`);
  if (isDelegation(types) && types.has(RR_TYPE.CNAME)) return notProved("an alias is not delegated (RFC 2181 §10.1)");
  return isDelegation(types) ? { kind: "unsignedDelegation", ttlSeconds } : { kind: "noCut", empty: false, ttlSeconds };
}
