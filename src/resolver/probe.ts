import { decodeRrsig } from "../dns/dnssecRdata.ts";
import { isMalformed, type Message, type ResourceRecord, RR_TYPE } from "../dns/message.ts";
import { type DomainName, displayName, isWithin } from "../dns/name.ts";
import { reasonText } from "../dnssec/securityStatus.ts";
import { upstreamLabel } from "./forwarder.ts";
import type { Source, SourceAnswer } from "./source.ts";
import { EDNS_UDP_PAYLOAD_SIZE, type ExchangeResult, type ServerAddress, type Transport } from "./transport.ts";
import { Validator, type ValidatorOptions } from "./validator.ts";

/**
 * Whether DNSSEC works here and now: that what is signed well is found secure, *and* that what is signed badly is found bogus. A validator
 * that calls everything secure passes half of that. And of each upstream: what it passes on, in words that say what to do.
 */

export type ValidationProbe = { kind: "validating" } | { kind: "notValidating"; reason: string };

export type ProbeNames = {
  /** A zone with a trust anchor above it; its SOA is what is asked. */
  zone: DomainName;
  /** Names that are known to be signed well and badly, instead of the zone's SOA and its tampered copy. Their addresses are asked for. */
  good?: DomainName;
  bad?: DomainName;
};

/** Runs both halves with caches of its own: what was validated a minute ago says nothing about now. */
export async function probeValidation(options: ValidatorOptions, names: ProbeNames): Promise<ValidationProbe> {
  const good = names.good === undefined ? { name: names.zone, type: RR_TYPE.SOA } : { name: names.good, type: RR_TYPE.A };
  const bad = names.bad === undefined ? { name: names.zone, type: RR_TYPE.SOA } : { name: names.bad, type: RR_TYPE.A };
  const badSource = names.bad === undefined ? tampered(options.source, names.zone) : options.source;
  const holds = await new Validator(options).lookup(good.name, good.type);
  if (holds.status !== "secure") {
    const why = holds.reasons === undefined ? "" : `: ${reasonText(holds.reasons)}`;
    return { kind: "notValidating", reason: `${displayName(good.name)}, which is signed, was found ${holds.status}${why}` };
  }
  const fails = await new Validator({ ...options, source: badSource }).lookup(bad.name, bad.type);
  if (fails.status === "bogus") return { kind: "validating" };
  return { kind: "notValidating", reason: `${displayName(bad.name)}, whose signature is wrong, was found ${fails.status}` };
}

/** The source with one bit of the SOA's signatures wrong. */
function tampered(source: Source, zone: DomainName): Source {
  return {
    ask: async (name, type, options): Promise<SourceAnswer> => {
      const answer = await source.ask(name, type, options);
      if (answer.kind !== "message" || name !== zone || type !== RR_TYPE.SOA) return answer;
      return { ...answer, message: { ...answer.message, answer: answer.message.answer.map(withBitFlipped) } };
    },
  };
}

function withBitFlipped(record: ResourceRecord): ResourceRecord {
  if (record.type !== RR_TYPE.RRSIG || record.rdata.length === 0) return record;
  const rdata = Buffer.from(record.rdata);
  const last = rdata.length - 1;
  rdata.writeUInt8(rdata.readUInt8(last) ^ 1, last);
  return { ...record, rdata };
}

/** What of DNSSEC does not pass through an upstream. `passes`: everything that validation needs. */
export type UpstreamReport = { upstream: ServerAddress; verdict: string } & (
  | { kind: "passes" }
  | { kind: "lacks"; missing: "answer" | "edns" | "signatures" | "denials" | "bigAnswers" }
);

/** Small enough that the DNSKEY RRset of the root, and of practically every zone, does not fit: the answer must come by TCP. */
const SMALL_UDP_PAYLOAD_SIZE = 512;
const REMEDY = "use resolver.mode recursive, or an upstream that passes DNSSEC";

/** Asks one upstream what validation will ask of it: a signature, a denial, and an answer that is too big for a datagram. */
export async function probeUpstream(
  upstream: ServerAddress,
  terms: { transport: Transport; zone: DomainName; timeoutMilliseconds: number },
): Promise<UpstreamReport> {
  const { zone } = terms;
  const who = `upstream ${upstreamLabel(upstream)}`;
  const ask = (type: number, udpPayloadSize = EDNS_UDP_PAYLOAD_SIZE): Promise<ExchangeResult> => {
    const query = { name: zone, type, recursionDesired: true, checkingDisabled: true, edns: { udpPayloadSize, dnssecOk: true } };
    return terms.transport.exchange(upstream, query, terms.timeoutMilliseconds);
  };
  const lacks = (missing: Extract<UpstreamReport, { kind: "lacks" }>["missing"], text: string): UpstreamReport => {
    return { upstream, kind: "lacks", missing, verdict: `${who} ${text}: ${REMEDY}` };
  };
  const soa = await ask(RR_TYPE.SOA);
  if (soa.kind !== "response") return lacks("answer", `does not answer (${failureText(soa)})`);
  if (soa.message.rcode !== 0 && soa.message.edns === undefined) return lacks("edns", "does not speak EDNS");
  if (soa.message.rcode !== 0) return lacks("answer", `answers RCODE ${soa.message.rcode} to the SOA of ${displayName(zone)}`);
  if (soa.message.edns === undefined) return lacks("edns", "does not speak EDNS, without which there is no DNSSEC");
  if (!hasSignature(soa.message.answer, RR_TYPE.SOA)) return lacks("signatures", "strips RRSIG records");
  // There is no TLSA at a zone's apex, so this must be denied with proof.
  const denial = await ask(RR_TYPE.TLSA);
  if (denial.kind !== "response") return lacks("answer", `does not answer (${failureText(denial)})`);
  const { authority } = denial.message;
  const denies = (type: number) => authority.some((record) => record.type === type && isWithin(record.name, zone));
  const proved = [RR_TYPE.NSEC, RR_TYPE.NSEC3].some((type) => denies(type) && hasSignature(authority, type));
  if (!proved) return lacks("denials", "strips NSEC and NSEC3 records, without which the absence of TLSA cannot be proved");
  const big = await ask(RR_TYPE.DNSKEY, SMALL_UDP_PAYLOAD_SIZE);
  if (big.kind !== "response" || !hasSignature(big.message.answer, RR_TYPE.DNSKEY)) {
    const why = big.kind === "response" ? "without its signature" : failureText(big);
    return lacks("bigAnswers", `does not give answers that are too big for a datagram (DNSKEY by TCP: ${why})`);
  }
  return { upstream, kind: "passes", verdict: `${who} passes all that DNSSEC validation needs` };
}

function hasSignature(records: Message["answer"], type: number): boolean {
  return records.some((record) => {
    if (record.type !== RR_TYPE.RRSIG) return false;
    const rrsig = decodeRrsig(record.rdata);
    return !isMalformed(rrsig) && rrsig.typeCovered === type;
  });
}

function failureText(result: Exclude<ExchangeResult, { kind: "response" }>): string {
  return result.kind === "timeout" ? "no answer in time" : result.reason;
}
