import type { Ds } from "../dns/dnssecRdata.ts";
import { CLASS_IN, type Message } from "../dns/message.ts";
import type { DomainName } from "../dns/name.ts";
import type { AlgorithmTable } from "./algorithm.ts";
import type { Nsec3IterationLimits } from "./nsec3.ts";
import type { ZoneKey } from "./rrsig.ts";
import type { ReasonChain } from "./securityStatus.ts";
import type { SharedBudget } from "./workBudget.ts";

/**
 * Evidence first, judgement after. A judgement is a generator without I/O: it yields what it still needs to know, is resumed with it, and
 * returns what follows. Whoever drives it decides where evidence comes from (network, cache, a flight that another look-up began).
 *
 * Anchor: keys that are trusted by configuration (RFC 4033 §2). Cut: a name that is the apex of a delegated zone (RFC 2181 §6).
 * Trust: what is proved about one name on the way down from an anchor.
 */

/** A zone whose DNSKEY RRset is authenticated. `keys` are all of the RRset's. */
export type SecureZone = { name: DomainName; keys: readonly ZoneKey[] };

/** How long, in seconds, what was proved holds: the least TTL of the records it rests on, never beyond their signatures. */
type Lasting = { ttlSeconds: number };

/** A judgement that found no usable answer. `fault`: in the message, of which another server may have a better one, or in a zone above. */
export type Distrust = { kind: "bogus" | "indeterminate"; reasons: ReasonChain; fault: "message" | "zone" };

export type Trust =
  /** The name is the apex of a zone with authenticated keys. */
  | ({ kind: "secure"; zone: SecureZone } & Lasting)
  /** Proved that no chain of signatures leads into the name and what is below. */
  | ({ kind: "insecure"; reasons: ReasonChain } & Lasting)
  /** Proved that there is no cut at the name: it belongs to the zone above. `empty`: nor is there any name below it. */
  | ({ kind: "interior"; empty: boolean } & Lasting)
  | (Distrust & Lasting);

export type Needed =
  /** The answer to a question; not from the servers in `avoid`, whose answer did not validate. */
  | { kind: "message"; name: DomainName; type: number; avoid: ReadonlySet<string> }
  /** What is proved about `name`, which is one label below a name that belongs to `parent`. */
  | { kind: "cut"; name: DomainName; parent: SecureZone }
  /** The keys of the zone `name`, for which there is a trust anchor. */
  | { kind: "anchor"; name: DomainName }
  /** Nothing: some computing was done, and others may have their turn before the next. */
  | { kind: "pause" };

export type Evidence =
  | { kind: "message"; message: Message; from?: string }
  | { kind: "failed"; reason: string }
  | { kind: "trust"; trust: Trust }
  | { kind: "paused" };

export type Judging<T> = Generator<Needed, T, Evidence>;

/** Keys of one zone that are trusted by configuration: their digests, or DNSKEY RDATA (RFC 4035 §4.4). */
export type TrustAnchor = { ds: readonly Ds[]; keys: readonly Buffer[] };
export type TrustAnchors = ReadonlyMap<DomainName, TrustAnchor>;

/** What a judgement goes by; the same for all judgements of one look-up. */
export type Rules = {
  /** Seconds since the epoch: the moment at which signatures must be valid. */
  now: number;
  anchors: TrustAnchors;
  /** Negative trust anchors (RFC 7646). */
  insecureZones: ReadonlySet<DomainName>;
  algorithms: AlgorithmTable;
  nsec3Iterations: Nsec3IterationLimits;
  /** Every algorithm of a DS RRset must have signed the keys. RFC 6840 §5.11 says that validators should not insist. */
  requireAllAlgorithms: boolean;
  /** What all answers may cost together; when not given, each may cost what a look-up may. */
  budget?: SharedBudget;
};

/** How often a question is asked again of other servers when an answer did not validate. */
const MAX_RETRIES = 3;

/**
 * Asks (name, type) and judges the message; when it does not hold, another server may have a better one. Returns the first judgement that
 * is not distrust, else the last.
 */
export function* judgeMessage<T extends { kind: string }>(
  name: DomainName,
  type: number,
  judge: (message: Message) => Judging<T | Distrust>,
): Judging<T | Distrust> {
  const avoid = new Set<string>();
  let distrust: Distrust | undefined;
  for (let attempt = 0; attempt <= MAX_RETRIES; attempt += 1) {
    const evidence = yield { kind: "message", name, type, avoid };
    if (evidence.kind === "trust" || evidence.kind === "paused")
      throw new Error(`a message was needed, ${evidence.kind} was given`);
    if (evidence.kind === "failed") return distrust ?? indeterminate({ code: "lookup-failed", text: evidence.reason });
    const judged = yield* judge(evidence.message);
    const unfit = isDistrust(judged) ? judged : unfitness(evidence.message);
    if (unfit === undefined) return judged;
    distrust = unfit;
    if (unfit.fault === "zone" || evidence.from === undefined || avoid.has(evidence.from)) return distrust;
    avoid.add(evidence.from);
  }
  return distrust ?? indeterminate({ code: "lookup-failed", text: "nobody answered" });
}

const RCODES_OF_ANSWERS: readonly number[] = [0, 3];

/** Why a message answers nothing, whatever else it says: an RCODE of failure, or records of another class than was asked for. */
function unfitness(message: Message): Distrust | undefined {
  if (!RCODES_OF_ANSWERS.includes(message.rcode)) {
    return indeterminate({ code: "lookup-failed", text: `the answer has RCODE ${message.rcode}` });
  }
  const isForeign = [...message.answer, ...message.authority].some((record) => record.class !== CLASS_IN);
  return isForeign
    ? indeterminate({ code: "malformed", text: "the answer has records of a class that was not asked for" })
    : undefined;
}

export function* needTrust(needed: Extract<Needed, { kind: "cut" | "anchor" }>): Judging<Trust> {
  const evidence = yield needed;
  if (evidence.kind !== "trust") throw new Error("trust was needed, something else was given");
  return evidence.trust;
}

export function isDistrust<T extends { kind: string }>(judged: T | Distrust): judged is Distrust {
  return judged.kind === "bogus" || judged.kind === "indeterminate";
}

export function bogus(...reasons: ReasonChain): Distrust {
  return { kind: "bogus", reasons, fault: "message" };
}

export function indeterminate(...reasons: ReasonChain): Distrust {
  return { kind: "indeterminate", reasons, fault: "message" };
}
