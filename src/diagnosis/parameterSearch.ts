import { matchCertificate } from "../dane/certificateMatch.ts";
import { CERT, DANE_EE, DANE_TA, FULL, SHA2_256, SHA2_512, SPKI, type Tlsa, usableRecords } from "../dane/tlsa.ts";
import type { DomainName } from "../dns/name.ts";

/**
 * A record whose data are right and whose numbers are wrong: all usages, selectors and matching types that mail knows are tried over the whole
 * chain, by the same matching that deliveries use.
 */
export type PresentedChain = { chain: readonly Buffer[]; identifiers: readonly DomainName[]; now: number };

/** The record with parameters under which it authenticates the server, the selector and matching type changed the least; undefined: none. */
export function matchingParameters(record: Tlsa, presented: PresentedChain): Tlsa | undefined {
  const candidates = [DANE_EE, DANE_TA].flatMap((usage) =>
    [SPKI, CERT].flatMap((selector) =>
      [SHA2_256, SHA2_512, FULL].map((matchingType) => ({ usage, selector, matchingType, data: record.data })),
    ),
  );
  const changes = (candidate: Tlsa): number =>
    Number(candidate.usage !== record.usage) +
    Number(candidate.selector !== record.selector) +
    Number(candidate.matchingType !== record.matchingType);
  const matching = candidates.filter((candidate) => changes(candidate) > 0 && authenticates(candidate, presented));
  return matching.sort((a, b) => changes(a) - changes(b))[0];
}

function authenticates(candidate: Tlsa, { chain, identifiers, now }: PresentedChain): boolean {
  const { usable } = usableRecords([candidate]);
  return usable.length > 0 && matchCertificate({ records: usable, chain, identifiers, now }).kind === "match";
}

/** The parameters that differ, in words: "selector 0 instead of 1". */
export function changedParameters(record: Tlsa, right: Tlsa): string {
  const parts = (["usage", "selector", "matchingType"] as const).flatMap((field) =>
    record[field] === right[field]
      ? []
      : [`${field === "matchingType" ? "matching type" : field} ${right[field]} instead of ${record[field]}`],
  );
  return parts.join(", ");
}
