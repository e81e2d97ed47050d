import { base32hex } from "../dns/base32hex.ts";
import { decodeNsec, decodeNsec3, NSEC3_OPT_OUT, NSEC3_SHA1, type TypeBitmap } from "../dns/dnssecRdata.ts";
import { isMalformed, type Message, RR_TYPE } from "../dns/message.ts";
import {
  compareCanonical,
  type DomainName,
  displayName,
  isWithin,
  labelCount,
  labelsOf,
  parentOf,
  suffixOf,
  wildcardOf,
} from "../dns/name.ts";
import { typeName } from "../dns/rdataText.ts";
import { type RRset, rrsetsOf } from "../dns/rrset.ts";
import { nsec3Hash } from "../dnssec/nsec3.ts";

/**
 * What one NSEC or NSEC3 record of an answer says about the name that was asked for (RFC 4035 §5.4, RFC 5155 §8): the types that exist at a name,
 * or that a name does not exist. The verdict is the validator's; this only says in words what it rests on.
 */
export type DenialFact = { record: "NSEC" | "NSEC3"; owner: DomainName; says: readonly string[] };

/** Iterations that are computed for words. */
const MAX_ITERATIONS = 500;
const MAX_RECORDS = 8;

/** The denial records beside an answer to a question about `asked`. */
export function denialFacts(message: Message, asked: DomainName): readonly DenialFact[] {
  return rrsetsOf(message.authority)
    .filter(({ type }) => type === RR_TYPE.NSEC || type === RR_TYPE.NSEC3)
    .slice(0, MAX_RECORDS)
    .flatMap((rrset) => (rrset.type === RR_TYPE.NSEC ? nsecFact(rrset, asked) : nsec3Fact(rrset, asked)));
}

/** The name, its ancestors, and the wildcards that could stand in for it. */
function candidates(asked: DomainName): readonly DomainName[] {
  const ancestors = Array.from({ length: labelCount(asked) }, (_, i) => suffixOf(asked, labelCount(asked) - i));
  return ancestors.flatMap((name) => {
    const parent = parentOf(name);
    return parent === undefined ? [name] : [name, wildcardOf(parent)];
  });
}

function typesText(types: TypeBitmap): string {
  return [...types].map(typeName).join(" ");
}

function nsecFact({ name: owner, rdatas }: RRset, asked: DomainName): readonly DenialFact[] {
  const nsec = rdatas[0] === undefined ? undefined : decodeNsec(rdatas[0]);
  if (nsec === undefined || isMalformed(nsec)) return [];
  const says: string[] = [];
  for (const candidate of candidates(asked)) {
    if (candidate === owner) says.push(`${displayName(candidate)} has only: ${typesText(nsec.types)}`);
    else if (isCovered(candidate, owner, nsec.next)) says.push(`there is no ${displayName(candidate)}`);
  }
  return [{ record: "NSEC", owner, says }];
}

/** RFC 4034 §4.1.1: between owner and next name; the last one's next is the apex. */
function isCovered(name: DomainName, owner: DomainName, next: DomainName): boolean {
  if (compareCanonical(owner, name) >= 0 || isWithin(next, name)) return false;
  return compareCanonical(name, next) < 0 || (compareCanonical(next, owner) <= 0 && isWithin(name, next));
}

function nsec3Fact({ name: owner, rdatas }: RRset, asked: DomainName): readonly DenialFact[] {
  const nsec3 = rdatas[0] === undefined ? undefined : decodeNsec3(rdatas[0]);
  if (nsec3 === undefined || isMalformed(nsec3)) return [];
  if (nsec3.hashAlgorithm !== NSEC3_SHA1 || nsec3.iterations > MAX_ITERATIONS) return [{ record: "NSEC3", owner, says: [] }];
  const from = labelsOf(owner)[0] ?? "";
  const to = base32hex(nsec3.nextHash);
  const zone = parentOf(owner) ?? owner;
  const says: string[] = [];
  for (const candidate of candidates(asked).filter((name) => isWithin(name, zone))) {
    const hash = base32hex(nsec3Hash(candidate, nsec3.salt, nsec3.iterations));
    const covered = from < to ? from < hash && hash < to : hash > from || hash < to;
    if (hash === from) says.push(`${displayName(candidate)} has only: ${typesText(nsec3.types)}`);
    else if (covered) {
      const doubt = (nsec3.flags & NSEC3_OPT_OUT) === 0 ? "" : ", unless as an unsigned delegation (opt-out)";
      says.push(`there is no ${displayName(candidate)}${doubt}`);
    }
  }
  return [{ record: "NSEC3", owner, says }];
}
