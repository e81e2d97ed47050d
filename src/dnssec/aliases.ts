import { isMalformed, type Message, RR_TYPE } from "../dns/message.ts";
import { type DomainName, displayName, isName, isWithin, labelCount, labelsOf, prefixed } from "../dns/name.ts";
import { decodeTarget } from "../dns/rdata.ts";
import type { RRset } from "../dns/rrset.ts";
import { bogus, type Distrust, indeterminate } from "./evidence.ts";

/**
 * CNAME (RFC 1034 §3.6.2) and DNAME (RFC 6672): what an answer says that a name stands for. An error at any hop is an error of the whole,
 * an insecure hop makes what follows insecure (RFC 7672 §2.1.3).
 *
 * Synthesized CNAME: the one that a server derives from a DNAME (RFC 6672 §3.1). It is never signed; the DNAME is, and proves it.
 */

export type AliasClaim =
  /** `rrset` is what must be validated. `dname` where the alias was derived from one. */
  | { kind: "alias"; rrset: RRset; target: DomainName; dname?: { owner: DomainName; target: DomainName } }
  | { kind: "none" }
  | Distrust;

/** What `answer`, the RRsets of the answer section of `message`, says that `name` is an alias of; not yet validated. */
export function aliasOf(name: DomainName, answer: readonly RRset[], message: Pick<Message, "answer">): AliasClaim {
  const cname = answer.find((rrset) => rrset.type === RR_TYPE.CNAME && rrset.name === name);
  const dname = dnameAbove(name, answer);
  if (dname === undefined) return cname === undefined ? { kind: "none" } : throughCname(cname);
  // RFC 6672 §2.4: below a DNAME is nothing, so a CNAME there is what the DNAME makes (§5.3.1), also where somebody has signed it. In which
  // order they stand is of no meaning; some caches put every CNAME first.
  if (isRepeated(dname, message)) {
    return bogus({ code: "malformed", text: `the DNAME of ${displayName(dname.name)} is there more than once` });
  }
  const claim = throughDname(name, dname);
  if (claim.kind !== "alias" || cname === undefined) return claim;
  const synthesized = throughCname(cname);
  if (synthesized.kind !== "alias") return synthesized;
  if (synthesized.target === claim.target) return claim;
  const text = `the CNAME of ${displayName(name)} is not what the DNAME of ${displayName(dname.name)} makes of it`;
  return bogus({ code: "dname-synthesis", text });
}

/**
 * There is one DNAME at a name (RFC 6672 §2.4), and an RRset is sent once (RFC 2181 §5.5); Unbound refuses what says it twice. After the first
 * CNAME it may be there again: where a chain leads through the same DNAME another time, some recursors put it there.
 */
function isRepeated(dname: RRset, { answer }: Pick<Message, "answer">): boolean {
  const firstAlias = answer.findIndex((record) => record.type === RR_TYPE.CNAME);
  const before = firstAlias === -1 ? answer : answer.slice(0, firstAlias);
  return before.filter((record) => record.type === RR_TYPE.DNAME && record.name === dname.name).length > 1;
}

/** A DNAME does not redirect its own owner (RFC 6672 §2.3). Below it there is nothing (§2.4), so above a name there is one at most. */
function dnameAbove(name: DomainName, answer: readonly RRset[]): RRset | undefined {
  return answer.find((rrset) => rrset.type === RR_TYPE.DNAME && rrset.name !== name && isWithin(name, rrset.name));
}

function onlyTarget(rrset: RRset): DomainName | Distrust {
  const [rdata, ...more] = rrset.rdatas;
  const what = `${rrset.type === RR_TYPE.CNAME ? "CNAME" : "DNAME"} of ${displayName(rrset.name)}`;
  // RFC 2181 §10.1, RFC 6672 §2.4: there is at most one.
  if (rdata === undefined || more.length > 0) return bogus({ code: "malformed", text: `there is more than one ${what}` });
  const target = decodeTarget(rdata);
  return isMalformed(target) ? bogus({ code: "malformed", text: `the ${what} is malformed (${target.reason})` }) : target;
}

function throughCname(rrset: RRset): AliasClaim {
  const target = onlyTarget(rrset);
  return typeof target === "string" ? { kind: "alias", rrset, target } : target;
}

/** RFC 6672 §2.2: the owner's part of the name is replaced by the target. */
function throughDname(name: DomainName, rrset: RRset): AliasClaim {
  const dnameTarget = onlyTarget(rrset);
  if (typeof dnameTarget !== "string") return dnameTarget;
  const kept = labelsOf(name).slice(0, labelCount(name) - labelCount(rrset.name));
  const target = prefixed(kept, dnameTarget);
  if (isName(target)) return { kind: "alias", rrset, target, dname: { owner: rrset.name, target: dnameTarget } };
  // RFC 6672 §2.2: a server says YXDOMAIN. There is no such name, yet neither was its absence shown; nor can it be asked for.
  const text = `the DNAME of ${displayName(rrset.name)} makes a name that is too long of ${displayName(name)}`;
  return { ...indeterminate({ code: "dname-synthesis", text }), fault: "zone" };
}
