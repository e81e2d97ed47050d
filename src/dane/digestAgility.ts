import { FULL, SHA2_256, SHA2_512, type Tlsa } from "./tlsa.ts";

/** Matching types that are digests, strongest first. */
export const DIGEST_ORDER: readonly number[] = [SHA2_512, SHA2_256];

/**
 * Digest algorithm agility (RFC 7671 §9, RFC 7672 §5): of the usable records with the same usage and selector only those with the strongest
 * digest count, and those with matching type Full(0). `passedOver` are the rest. A digest that is not in `order` is weaker than all that are.
 */
export function strongestRecords(
  records: readonly Tlsa[],
  order: readonly number[],
): { considered: readonly Tlsa[]; passedOver: readonly Tlsa[] } {
  const rank = (record: Tlsa): number => {
    const place = order.indexOf(record.matchingType);
    return place < 0 ? order.length : place;
  };
  const best = new Map<string, number>();
  for (const record of records) {
    if (record.matchingType === FULL) continue;
    const group = groupOf(record);
    best.set(group, Math.min(best.get(group) ?? order.length, rank(record)));
  }
  const counts = (record: Tlsa): boolean => record.matchingType === FULL || rank(record) === best.get(groupOf(record));
  return { considered: records.filter(counts), passedOver: records.filter((record) => !counts(record)) };
}

function groupOf(record: Tlsa): string {
  return `${record.usage} ${record.selector}`;
}
