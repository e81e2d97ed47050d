import { displayName, ROOT } from "../dns/name.ts";
import type { ChainLink } from "./chainLink.ts";
import type { DenialFact } from "./denialFact.ts";
import { wrapped } from "./lineWrap.ts";
import type { SignatureFact } from "./signatureFact.ts";

/** The chain of trust as lines, a zone each: what its parent says, what it is signed with, and until when. */

/** IANA's mnemonics of the algorithms in use. */
const ALGORITHMS: ReadonlyMap<number, string> = new Map([
  [5, "RSASHA1"],
  [7, "RSASHA1-NSEC3-SHA1"],
  [8, "RSASHA256"],
  [10, "RSASHA512"],
  [13, "ECDSAP256SHA256"],
  [14, "ECDSAP384SHA384"],
  [15, "ED25519"],
  [16, "ED448"],
]);

/** Its mnemonic. */
export function algorithm(number: number): string {
  return ALGORITHMS.get(number) ?? `algorithm ${number}`;
}

/** A UTC day; milliseconds since the epoch. */
export function day(milliseconds: number): string {
  return Number.isNaN(milliseconds) ? "unreadable" : new Date(milliseconds).toISOString().slice(0, 10);
}

export function chainLines(chain: readonly ChainLink[], now: number): readonly string[] {
  const width = Math.max(0, ...chain.map(({ zone }) => displayName(zone).length));
  return chain.flatMap((link) => [
    `    ${displayName(link.zone).padEnd(width)}  ${link.status.padEnd(8)}  ${linkText(link, now)}`,
    ...link.denial.flatMap((fact) => wrapped(denialText(fact), "      ")),
  ]);
}

function linkText({ zone, ds, keys, keySignatures, status }: ChainLink, now: number): string {
  const vouchers = ds.map(
    (one) => `DS ${one.keyTag} ${algorithm(one.algorithm)}${one.key === "present" ? "" : " (no such key)"}`,
  );
  const vouched = ds.map(({ keyTag }) => keyTag);
  const telling = keySignatures.filter(({ keyTag }) => vouched.includes(keyTag));
  const entries = (telling.length > 0 ? telling : keySignatures).map(
    (signature) => `key ${signature.keyTag} ${signatureText(signature, now)}`,
  );
  if (ds.length === 0 && (zone === ROOT || (keys.length > 0 && status === "secure")))
    return ["trust anchor", ...entries].join("; ");
  if (ds.length === 0 && keys.length === 0) return "no DS record in its parent zone, as that proves";
  if (ds.length === 0) return ["no DS in the parent zone", ...entries].join("; ");
  return [...vouchers, ...entries].join("; ");
}

export function signatureText({ expiration, inception, verdict }: SignatureFact, now: number): string {
  const [from, to] = [inception * 1000, expiration * 1000];
  if (now > to) return `signed until ${day(to)}: expired`;
  if (now < from) return `signed from ${day(from)} on: not valid yet`;
  return verdict.kind === "fails" ? `signed, but ${verdict.because}` : `signed until ${day(to)}`;
}

/** The first are those about the name itself. */
const MAX_STATEMENTS = 3;

export function denialText({ record, owner, says }: DenialFact): string {
  const proof = says.length === 0 ? "says nothing of this name" : `proves: ${says.slice(0, MAX_STATEMENTS).join("; ")}`;
  return `${record} ${displayName(owner)} ${proof}`;
}
