import { isMalformed, type ResourceRecord, RR_TYPE } from "../dns/message.ts";
import { type DomainName, displayName } from "../dns/name.ts";
import { decodeLookup, type LookupType, type RecordData } from "../dns/rdata.ts";
import { detachedRecords } from "../dns/rrset.ts";
import type { Resolution } from "../dnssec/securityStatus.ts";
import { TtlCache } from "./cache.ts";
import { Validator, type ValidatorOptions } from "./validator.ts";

/**
 * A validating look-up. Never rejects for anything that a server or the network did: that is `bogus` or `indeterminate`.
 * An answer that is malformed in any record of the asked type is `bogus` or `indeterminate`, never a shorter list.
 */
export interface Resolver {
  resolve<T extends LookupType>(name: DomainName, type: T): Promise<Resolution<RecordData[T]>>;
}

/** A look-up that was judged, not taken from the cache. */
export type Verdict = { name: DomainName; type: number; resolution: Resolution<ResourceRecord>; milliseconds: number };

export type ResolverOptions = ValidatorOptions & {
  /** Answers that are remembered. */
  cacheEntries: number;
  /** What they may take in memory; default CACHE_OCTETS. */
  cacheOctets?: number;
  onVerdict?: (verdict: Verdict) => void;
};

export type CacheCounts = { entries: number; hits: number; misses: number };

export interface ValidatingResolver extends Resolver {
  /** The records of any type as they are: for the probe and for conformance tests. */
  lookup(name: DomainName, type: number): Promise<Resolution<ResourceRecord>>;
  counts(): { answers: CacheCounts; trust: CacheCounts };
}

/** Room for 80,000 answers of the usual size, or for a thousand of the biggest that there are. */
export const CACHE_OCTETS = 64 * 2 ** 20;
/** RFC 2308 §5 asks for a bound of one to three hours on negative answers. */
const MAX_NEGATIVE_TTL_SECONDS = 3 * 3600;
/** RFC 4035 §4.7: how long an answer that does not hold is not asked for again. */
const BOGUS_TTL_SECONDS = 30;
/** RFC 2308 §7: the same where nothing was answered. Short: one lost packet is enough to get here. */
const FAILURE_TTL_SECONDS = 5;

/** Looks up, validates and remembers. */
export function createResolver(options: ResolverOptions): ValidatingResolver {
  const validator = new Validator(options);
  const memory = { maxOctets: options.cacheOctets ?? CACHE_OCTETS, octetsOf };
  const answers = new TtlCache<Resolution<ResourceRecord>>(options.cacheEntries, () => options.clock.monotonic(), memory);
  const flights = new Map<string, Promise<Resolution<ResourceRecord>>>();
  let { anchors } = validator;

  /** RFC 5011 §2.1: what a key was trusted for that is trusted no more, is proved anew. */
  function forgetWhereAnchorsChanged(): void {
    if (validator.anchors === anchors) return;
    anchors = validator.anchors;
    answers.clear();
    flights.clear();
  }

  async function judge(name: DomainName, type: number, key: string): Promise<Resolution<ResourceRecord>> {
    const began = options.clock.monotonic();
    const trusted = anchors;
    const resolution = await validator.lookup(name, type);
    if (validator.anchors === trusted) answers.set(key, detached(resolution), cacheSeconds(resolution));
    options.onVerdict?.({ name, type, resolution, milliseconds: options.clock.monotonic() - began });
    return resolution;
  }

  function lookup(name: DomainName, type: number): Promise<Resolution<ResourceRecord>> {
    forgetWhereAnchorsChanged();
    const key = `${type} ${name}`;
    const known = answers.get(key);
    if (known !== undefined) return Promise.resolve(remaining(known.value, known.ttlSeconds));
    const underWay = flights.get(key);
    if (underWay !== undefined) return underWay;
    const flight = judge(name, type, key).finally(() => {
      if (flights.get(key) === flight) flights.delete(key);
    });
    flights.set(key, flight);
    return flight;
  }

  async function resolve<T extends LookupType>(name: DomainName, type: T): Promise<Resolution<RecordData[T]>> {
    return decoded(name, type, await lookup(name, RR_TYPE[type]));
  }
  return { resolve, lookup, counts: () => ({ answers: answers.counts, trust: validator.trustCounts }) };
}

function cacheSeconds(resolution: Resolution<unknown>): number {
  switch (resolution.status) {
    case "bogus":
      return BOGUS_TTL_SECONDS;
    case "indeterminate":
      return FAILURE_TTL_SECONDS;
    case "secure":
    case "insecure":
      return resolution.answer === "records" ? resolution.ttlSeconds : Math.min(resolution.ttlSeconds, MAX_NEGATIVE_TTL_SECONDS);
    default:
      return resolution satisfies never;
  }
}

function remaining<R>(resolution: Resolution<R>, ttlSeconds: number): Resolution<R> {
  return resolution.status === "secure" || resolution.status === "insecure" ? { ...resolution, ttlSeconds } : resolution;
}

/** A copy that keeps nothing of the message in memory of which its records are slices. */
function detached(resolution: Resolution<ResourceRecord>): Resolution<ResourceRecord> {
  if (!("records" in resolution)) return resolution;
  const [first, ...more] = detachedRecords(resolution.records);
  return first === undefined ? resolution : { ...resolution, records: [first, ...more] };
}

/** Measured, rounded up: an answer with one short record takes 600 octets, each further record 200. */
const ANSWER_OCTETS = 400;
const RECORD_OCTETS = 200;

function octetsOf(resolution: Resolution<ResourceRecord>): number {
  const reasons = (resolution.reasons ?? []).reduce((sum, reason) => sum + RECORD_OCTETS + 2 * reason.text.length, 0);
  if (resolution.status === "bogus" || resolution.status === "indeterminate") return ANSWER_OCTETS + reasons;
  const aliases = resolution.aliases.reduce((sum, { name, target }) => sum + RECORD_OCTETS + name.length + target.length, 0);
  const records = "records" in resolution ? resolution.records : [];
  const data = records.reduce((sum, { name, rdata }) => sum + RECORD_OCTETS + name.length + rdata.length, 0);
  return ANSWER_OCTETS + reasons + aliases + data;
}

function decoded<T extends LookupType>(
  name: DomainName,
  type: T,
  resolution: Resolution<ResourceRecord>,
): Resolution<RecordData[T]> {
  if (!("records" in resolution)) return resolution;
  const records: RecordData[T][] = [];
  for (const record of resolution.records) {
    const data = decodeLookup(type, record.rdata);
    if (isMalformed(data)) {
      const text = `a ${type} record of ${displayName(name)} is malformed: ${data.reason}`;
      // Signed or not, a part of the answer is not the answer: what the missing record says is not known.
      return { status: "indeterminate", reasons: [{ code: "malformed", text }], ede: 0 };
    }
    records.push(data);
  }
  const [first, ...more] = records;
  if (first === undefined) throw new Error("an answer without records");
  return { ...resolution, records: [first, ...more] };
}
