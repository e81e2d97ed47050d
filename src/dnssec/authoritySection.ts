import { decodeRrsig } from "../dns/dnssecRdata.ts";
import { isMalformed, type Message, type ResourceRecord, RR_TYPE } from "../dns/message.ts";
import { type DomainName, displayName } from "../dns/name.ts";
import { typeName } from "../dns/rdataText.ts";
import type { RRset } from "../dns/rrset.ts";
import { type Terms, verifiedBeside } from "./denial.ts";
import { bogus, type Distrust, type Judging, type SecureZone } from "./evidence.ts";
import type { ReasonChain } from "./securityStatus.ts";

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

/** What one message is to the look-up. `extent`: whether the look-up goes on after it, else the status of the whole. */
export type Standing = { isAliased: boolean; extent: "goes on" | "secure" | "insecure" };

/** Of no meaning in an authority section, and of no use to anybody: left aside. */
const UNUSED: ReadonlySet<number> = new Set([RR_TYPE.A, RR_TYPE.AAAA, RR_TYPE.CNAME, RR_TYPE.DNAME]);

/** Judges the authority section of `message`, and what is still open `before` it. */
export function* judgeBeside(message: Message, standing: Standing, before: Beside, terms: Terms): Judging<Beside | Distrust> {
  const zones = new Map([...before.zones, ...terms.zones]);
  // In an answer without aliases one zone speaks: where that one is secure, all is its own, even under opt-out.
  const isOwn = !standing.isAliased && terms.zones.size > 0;
  const orphan = isOwn ? orphanIn(message.authority) : undefined;
  if (orphan !== undefined) {
    const text = `there is a signature of the ${typeName(coveredType(orphan))} of ${displayName(orphan.name)}, but no such record`;
    return bogus({ code: "denial-invalid", text });
  }
  const own = spoken(message, zones, terms);
  const open: RRset[] = [];
  for (const rrset of [...before.open, ...own]) {
    const zone = speakingZone(rrset, zones);
    const verification = zone === undefined ? undefined : verifiedBeside(rrset, zone, terms);
    if (verification?.kind === "failed") return notAuthentic(rrset, verification.reasons);
    if (verification === undefined) open.push(rrset);
    else yield { kind: "pause" };
  }
  const refused = standing.extent === "secure" ? open[0] : open.find((rrset) => isOwn && own.includes(rrset));
  return refused === undefined ? { kind: "beside", zones, open } : notAuthentic(refused, []);
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
