import { CLASS_IN, type Message, type Question, RR_TYPE } from "../dns/message.ts";
import { type DomainName, displayName, isWithin } from "../dns/name.ts";
import { nsRecords, referredZone } from "./referral.ts";
import { isSoaFor, scrubbed } from "./scrub.ts";

/**
 * What a server's response is, seen from the zone it was asked as a server of.
 *
 * answer: records, an alias, or "no such name" or "no such data" of a server that may say so. Without AA it is second rate: a server
 * that is delegated the zone and does not think itself authoritative may tell of old data. So is a denial that shows nothing: neither
 * an SOA record nor anything else beside it (RFC 2308 §2.1, §2.2 allow it, and broken servers say no more than that).
 * referral: NS records of a zone below, on the way to the name.
 * recursive: the answer of a cache (RA without AA), which must not have been asked without RD.
 * lame: the server does not serve this zone: it refuses, points upward or sideways, or answers from another zone.
 * ednsRefused: an error that a server without EDNS gives (RFC 6891 §7).
 * failure: says nothing about the name.
 */
export type AuthoritativeResponse =
  | { kind: "answer"; message: Message; authoritative: boolean }
  | { kind: "referral"; zone: DomainName }
  | { kind: "recursive" }
  | { kind: "lame"; reason: string }
  | { kind: "ednsRefused" }
  | { kind: "failure"; reason: string };

export type AskedAs = { zone: DomainName; recursionDesired: boolean; edns: boolean };

export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  YXDOMAIN: 6,
  NOTAUTH: 9,
  BADVERS: 16,
} as const;
const RCODE_WORDS: ReadonlyMap<number, string> = new Map(Object.entries(RCODE).map(([word, rcode]) => [rcode, word]));

/** Judges one response of a server that was asked `question` as a server of `asked.zone`. */
export function judgeResponse(message: Message, question: Question, asked: AskedAs): AuthoritativeResponse {
  const word = RCODE_WORDS.get(message.rcode) ?? `RCODE ${message.rcode}`;
  switch (message.rcode) {
    case RCODE.NOERROR:
    case RCODE.NXDOMAIN:
    case RCODE.YXDOMAIN:
      return judgeContent(message, question, asked);
    case RCODE.FORMERR:
    case RCODE.NOTIMP:
      // With an OPT record in it the error is about something else than EDNS (RFC 6891 §7).
      if (asked.edns && message.edns === undefined) return { kind: "ednsRefused" };
      return { kind: "failure", reason: word };
    case RCODE.BADVERS:
      return asked.edns ? { kind: "ednsRefused" } : { kind: "failure", reason: word };
    case RCODE.REFUSED:
    case RCODE.NOTAUTH:
      return { kind: "lame", reason: word };
    default:
      return { kind: "failure", reason: word };
  }
}

function judgeContent(message: Message, question: Question, asked: AskedAs): AuthoritativeResponse {
  const [repeated] = message.questions;
  if (repeated?.name !== question.name || repeated.type !== question.type || repeated.class !== question.class)
    return { kind: "failure", reason: "it answers another question" };
  // Left out, they would leave an answer that nobody gave.
  if ([...message.answer, ...message.authority].some((record) => record.class !== CLASS_IN))
    return { kind: "failure", reason: "it has records of a class that was not asked for" };
  const usable = scrubbed(message, question, asked.zone);
  const answer: AuthoritativeResponse =
    message.recursionAvailable && !message.authoritative && !asked.recursionDesired
      ? { kind: "recursive" }
      : { kind: "answer", message: usable, authoritative: message.authoritative || asked.recursionDesired };
  if (usable.answer.length > 0) return answer;
  if (message.rcode === RCODE.YXDOMAIN) return { kind: "failure", reason: "YXDOMAIN without a DNAME record" };
  const foreign = foreignSoa(message, question, asked.zone);
  if (foreign !== undefined) return foreign;
  if (usable.authority.some((record) => record.type === RR_TYPE.SOA)) return answer;
  const isBare = answer.kind === "answer" && message.authority.length === 0 && !asked.recursionDesired;
  const denial: AuthoritativeResponse = isBare ? { ...answer, authoritative: false } : answer;
  if (message.rcode === RCODE.NOERROR) return judgeNs(message, question, asked, denial);
  // RFC 2308 §2.1: SOA and NS records may be missing, but then authority may not; and other zones' NS records are another zone's word.
  const ownWord = nsRecords(message).every((record) => record.name === asked.zone);
  if (ownWord && (message.authoritative || asked.recursionDesired || answer.kind === "recursive")) return denial;
  return { kind: "lame", reason: "NXDOMAIN with neither authority nor SOA record" };
}

/** A negative answer from a zone above the one asked, or from the child where the parent was asked: the wrong zone's word. */
function foreignSoa(message: Message, question: Question, zone: DomainName): AuthoritativeResponse | undefined {
  const soas = message.authority.filter((record) => record.type === RR_TYPE.SOA && record.class === CLASS_IN);
  if (soas.some((soa) => isWithin(soa.name, zone) && isSoaFor(soa.name, question))) return undefined;
  const [soa] = soas;
  if (soa === undefined) return undefined;
  return { kind: "lame", reason: `it answers as ${displayName(soa.name)}, not as ${displayName(zone)}` };
}

/** NOERROR without answer and SOA: a referral, or NODATA of the poorer sort (RFC 2308 §2.2: with neither SOA nor NS records). */
function judgeNs(message: Message, question: Question, asked: AskedAs, nodata: AuthoritativeResponse): AuthoritativeResponse {
  const owners = new Set(nsRecords(message).map((record) => record.name));
  if (owners.size === 0) return nodata;
  const child = referredZone(message, question, asked.zone);
  if (child !== undefined && !asked.recursionDesired) return { kind: "referral", zone: child };
  if (owners.has(asked.zone)) {
    // With AA, or from a cache that was asked as one, it is the zone speaking of itself; else it is a server that has lost the zone.
    if (message.authoritative || message.recursionAvailable) return nodata;
    return { kind: "lame", reason: `it knows only the name servers of ${displayName(asked.zone)}, without authority` };
  }
  const [owner = asked.zone] = owners;
  return {
    kind: "lame",
    reason: `it refers to ${displayName(owner)}, which does not lead from ${displayName(asked.zone)} to the name`,
  };
}
