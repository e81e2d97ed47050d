import { type DomainName, labelCount, labelsOf, suffixOf } from "../dns/name.ts";

/** QNAME minimisation (RFC 9156): ask each zone for one label more than it is known for, and only the last one for the whole name. */

/** MAX_MINIMISE_COUNT of RFC 9156 §2.3: most steps on the way to one name, the last (the whole name) included. */
export const MAX_MINIMISE_COUNT = 10;
/** MINIMISE_ONE_LAB of RFC 9156 §2.3: so many first steps add a single label. */
export const MINIMISE_ONE_LAB = 4;

/**
 * The names to ask for on the way from `zone` (whose servers are known) to `name`; the last is `name` itself.
 * Long names skip labels, so that their number does not set the number of queries. Labels that begin with an underscore are no zone
 * boundaries (RFC 9156 §2.3), so none of the intermediate names begins with one.
 */
export function minimisedNames(name: DomainName, zone: DomainName): DomainName[] {
  const labels = labelsOf(name);
  const known = labelCount(zone);
  const names: DomainName[] = [];
  let exposed = known;
  for (const added of labelsPerStep(labels.length - known)) {
    exposed += added;
    const leftmost = labels[labels.length - exposed] ?? "";
    if (exposed < labels.length && !leftmost.startsWith("_")) names.push(suffixOf(name, exposed));
  }
  names.push(name);
  return names;
}

/** RFC 9156 §2.3: 18 hidden labels are exposed as 1,1,1,1,2,2,2,2,3,3. */
export function labelsPerStep(hidden: number): number[] {
  if (hidden <= MAX_MINIMISE_COUNT) return new Array<number>(Math.max(0, hidden)).fill(1);
  const rest = hidden - MINIMISE_ONE_LAB;
  const steps = MAX_MINIMISE_COUNT - MINIMISE_ONE_LAB;
  const each = Math.floor(rest / steps);
  const withOneMore = rest % steps;
  return [
    ...new Array<number>(MINIMISE_ONE_LAB).fill(1),
    ...new Array<number>(steps - withOneMore).fill(each),
    ...new Array<number>(withOneMore).fill(each + 1),
  ];
}
