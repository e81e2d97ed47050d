import { isMalformed, type Message, RR_TYPE } from "../dns/message.ts";
import { type DomainName, displayName, isWithin } from "../dns/name.ts";
import { decodeSoa } from "../dns/rdata.ts";
import { trustFor, zoneSideOf } from "./chainOfTrust.ts";
import { type Terms, type ZoneDenials, zoneDenials } from "./denial.ts";
import type { Denial, DsDenial, Pausing } from "./denialProof.ts";
import { bogus, type Distrust, type Judging } from "./evidence.ts";
import { type Grade, insecure, secure } from "./grade.ts";

/**
 * The judgement of an answer without records (RFC 2308 §2): no such name, or no such type.
 *
 * In a secure zone the proof decides, not the RCODE: an RCODE is not signed. NXDOMAIN stands only with a proof that the name does not
 * exist; where the proof shows an existing name without the type, the answer is "no data" whatever the RCODE (RFC 6840 §4.3, RFC 8020).
 */
export type NegativeAnswer = { kind: "nodata" | "nxdomain"; grade: Grade };

export const RCODE_NXDOMAIN = 3;

export function* judgeNegative(
  message: Message,
  name: DomainName,
  type: number,
  terms: Terms,
): Judging<NegativeAnswer | Distrust> {
  const owner = zoneSideOf(name, type);
  const claimed = message.rcode === RCODE_NXDOMAIN ? "nxdomain" : "nodata";
  const ttlLimit = negativeTtl(message, name);
  const signatures = message.authority.filter((record) => record.type === RR_TYPE.RRSIG);
  const trust = yield* trustFor(owner, signatures, terms.rules);
  if (trust.kind === "insecure") return { kind: claimed, grade: insecure(trust.reasons, ttlLimit) };
  if (trust.kind !== "secure") return trust;
  terms.zones.set(trust.zone.name, trust.zone);
  if (message.answer.length > 0 && !isJoined(message)) {
    return bogus({
      code: "malformed",
      text: `the answer section has records, but none of them answers for ${displayName(name)}`,
    });
  }
  const denials = yield* zoneDenials(trust.zone, terms);
  const nameError = claimed === "nxdomain" ? yield* denials.nameError(name) : undefined;
  if (nameError !== undefined && nameError.kind !== "notProved") return { kind: "nxdomain", grade: gradeOf(nameError, ttlLimit) };
  const noData = yield* type === RR_TYPE.DS ? dsNoData(denials, name) : denials.noData(name, type);
  if (noData.kind === "notProved") return bogus(...(nameError ?? noData).reasons);
  // Where the RCODE claims more than is proved, only a proof by NSEC corrects it: servers of such zones have always got the RCODE of empty
  // non-terminals wrong. With NSEC3 it is somebody else's doing.
  if (nameError !== undefined && denials.usesNsec3) return bogus(...nameError.reasons);
  return { kind: "nodata", grade: gradeOf(noData, ttlLimit) };
}

/** Whether the answer section tells of an alias. */
function isJoined({ answer }: Message): boolean {
  return answer.some((record) => record.type === RR_TYPE.CNAME || record.type === RR_TYPE.DNAME);
}

/** For the chain of trust it is enough that there is no delegation; "no data" says besides that the name, or a wildcard for it, exists. */
function* dsNoData(denials: ZoneDenials, name: DomainName): Pausing<Denial | DsDenial> {
  const noDs = yield* denials.noDs(name);
  return noDs.kind === "noCut" ? yield* denials.noData(name, RR_TYPE.DS) : noDs;
}

function gradeOf(denial: Exclude<Denial | DsDenial, { kind: "notProved" }>, ttlLimit: number): Grade {
  const ttlSeconds = Math.min(denial.ttlSeconds, ttlLimit);
  return denial.kind === "insecure" ? insecure(denial.reasons, ttlSeconds) : secure(ttlSeconds);
}

/** RFC 2308 §5: the lesser of the SOA's TTL and its MINIMUM; without an SOA the answer is not kept. It only ever shortens a proof's TTL. */
function negativeTtl(message: Message, name: DomainName): number {
  const soa = message.authority.find((record) => record.type === RR_TYPE.SOA && isWithin(name, record.name));
  const data = soa === undefined ? undefined : decodeSoa(soa.rdata);
  return soa === undefined || data === undefined || isMalformed(data) ? 0 : Math.min(soa.ttl, data.minimum);
}
