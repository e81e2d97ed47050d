import { decodeRrsig } from "../dns/dnssecRdata.ts";
import { isMalformed, type Message, type ResourceRecord, RR_TYPE } from "../dns/message.ts";
import { type DomainName, displayName } from "../dns/name.ts";
import { typeName } from "../dns/rdataText.ts";
import type { RRset } from "../dns/rrset.ts";
import { type Terms, verifiedBeside } from "./denial.ts";
import { bogus, type Distrust, type Judging, type SecureZone } from "./evidence.ts";
import type { ReasonChain } from "./securityStatus.ts";
import { discord } from "./signedRrset.ts";

/**
 * What stands in the authority sections of the messages of one look-up. An answer is secure when all RRsets of its answer and authority
 * sections are authentic (RFC 4035 §3.2.3), not only those that a proof needs: where one does not hold, somebody else wrote in the message.
 *
 * Speaking zone: a secure zone that something in the messages was judged by. A message with aliases may hold the authority sections of
 * several zones, and the one that signed an RRset may speak only in a later message: until then the RRset stays open.
 */
export type Beside = {
  kind: "beside";
  zones: ReadonlyMap<DomainName, SecureZone>;
  open: readonly RRset[];
};

export const NOTHING_BESIDE: Beside = { kind: "beside", zones: new Map(), open: [] };

/** What the last message is to the look-up: who speaks in it, and the status of the whole. */
export type Standing = { speaker: "one zone" | "any"; status: "secure" | "insecure" };

/** Of no meaning in an authority section, and of no use to anybody: left aside. */
const UNUSED: ReadonlySet<number> = new Set([RR_TYPE.A, RR_TYPE.AAAA, RR_TYPE.CNAME, RR_TYPE.DNAME]);

/** After a message that is not the last: its denials stay open. The rest is said anew by the message that follows. */
export function deferred(before: Beside, { zones, authority }: Terms): Beside {
  const denials = authority.filter(({ type }) => type === RR_TYPE.NSEC || type === RR_TYPE.NSEC3);
  return { kind: "beside", zones: new Map([...before.zones, ...zones]), open: [...before.open, ...denials] };
}

/** After the last message: its authority section, and what is still open `before` it. */
export function* judgeBeside(message: Message, standing: Standing, before: Beside, terms: Terms): Judging<Beside | Distrust> {
  const zones = new Map([...before.zones, ...terms.zones]);
  // Where the one zone that speaks is secure, all is its own, even under opt-out.
  const isOwn = standing.speaker === "one zone" && terms.zones.size > 0;
  const orphan = isOwn ? orphanIn(message.authority) : undefined;
  if (orphan !== undefined) {
    const text = `there is a signature of the ${typeName(coveredType(orphan))} of ${displayName(orphan.name)}, but no such record`;
    return bogus({ code: "denial-invalid", text });
  }
  const own = spoken(message, zones, terms);
  // What an earlier message said is of no interest where this one says it anew.
  const earlier = before.open.filter(({ name, type }) => !own.some((one) => one.name === name && one.type === type));
  for (const rrset of [...earlier, ...own]) {
    const zone = speakingZone(rrset, zones);
    const doubt = discord(rrset);
    if (zone !== undefined && doubt !== undefined) return notAuthentic(rrset, [doubt]);
    const verification = zone === undefined ? undefined : verifiedBeside(rrset, zone, terms);
    if (verification?.kind === "failed") return notAuthentic(rrset, verification.reasons);
    const mustHold = standing.status === "secure" || (isOwn && own.includes(rrset));
    if (verification === undefined && mustHold) return notAuthentic(rrset, []);
    yield { kind: "pause" };
  }
  return { kind: "beside", zones, open: [] };
}

/**
 * The RRsets that must be authentic. Name servers may be missing, and nothing rests on them: forwarders add them as they have them in
 * their caches, without signatures or from the zone above. Signed ones beside a proof must hold all the same.
 */
function spoken(message: Message, zones: Beside["zones"], { authority }: Terms): readonly RRset[] {
  const used = authority.filter(({ type }) => !UNUSED.has(type));
  const isProof = message.answer.length > 0 && used.some(({ type }) => type !== RR_TYPE.NS);
  return used.filter((rrset) => rrset.type !== RR_TYPE.NS || (isProof && speakingZone(rrset, zones) !== undefined));
}

function notAuthentic({ name, type }: RRset, reasons: readonly [] | ReasonChain): Distrust {
  const text = `the ${typeName(type)} of ${displayName(name)} beside the answer is not authentic`;
  return bogus({ code: "denial-invalid", text }, ...reasons);
}

/** A signature without the records that it covers. */
function orphanIn(authority: readonly ResourceRecord[]): ResourceRecord | undefined {
  const covered = new Set(authority.flatMap(({ name, type }) => (type === RR_TYPE.RRSIG ? [] : [`${type} ${name}`])));
  return authority.find((record) => record.type === RR_TYPE.RRSIG && !covered.has(`${coveredType(record)} ${record.name}`));
}

/** The type that an RRSIG record covers, or the record's own. */
function coveredType({ type, rdata }: ResourceRecord): number {
  return type === RR_TYPE.RRSIG && rdata.length >= 2 ? rdata.readUInt16BE(0) : type;
}

function speakingZone(rrset: RRset, zones: Beside["zones"]): SecureZone | undefined {
  for (const record of rrset.signatures) {
    const rrsig = decodeRrsig(record.rdata);
    const zone = isMalformed(rrsig) ? undefined : zones.get(rrsig.signer);
    if (zone !== undefined) return zone;
  }
  return undefined;
}
