import type { Clock } from "../clock.ts";
import type { ResourceRecord } from "../dns/message.ts";
import { type DomainName, displayName } from "../dns/name.ts";
import { typeName } from "../dns/rdataText.ts";
import type { AlgorithmTable } from "../dnssec/algorithm.ts";
import { judgeAnswer } from "../dnssec/answer.ts";
import { judgeAnchor, judgeCut } from "../dnssec/chainOfTrust.ts";
import type { Evidence, Needed, Rules, Trust, TrustAnchors } from "../dnssec/evidence.ts";
import type { Nsec3IterationLimits } from "../dnssec/nsec3.ts";
import type { Resolution } from "../dnssec/securityStatus.ts";
import { LOOKUP_LIMITS, SharedBudget, ZONE_LIMITS } from "../dnssec/workBudget.ts";
import { TtlCache } from "./cache.ts";
import type { Source } from "./source.ts";
import { Verifier } from "./verifier.ts";

/** RFC 9276 §3.2, with the values that validators have settled on. */
export const NSEC3_ITERATIONS: Nsec3IterationLimits = { insecureAbove: 100, bogusAbove: 500 };
/** Questions that one look-up may cause: alias targets with a hundred labels would otherwise cost a hundred DS questions each. */
export const MAX_QUESTIONS = 120;
/** Room for the keys of 15,000 zones of the usual size. */
export const TRUST_CACHE_OCTETS = 96 * 2 ** 20;
/** DS and DNSKEY. */
const QUESTIONS_PER_ZONE = 2;
/** Both, with what is asked of other servers when an answer does not validate. */
const MAX_QUESTIONS_PER_ZONE = 8;
const TOO_MANY = `more than ${MAX_QUESTIONS} questions would be needed`;
const TOO_MANY_QUESTIONS: Trust = {
  kind: "indeterminate",
  reasons: [{ code: "work-limit", text: TOO_MANY }],
  fault: "message",
  ttlSeconds: 0,
};

export type ValidatorOptions = {
  source: Source;
  /** Or what gives them, where they change while look-ups go on (RFC 5011). */
  anchors: TrustAnchors | (() => TrustAnchors);
  algorithms: AlgorithmTable;
  clock: Clock;
  /** For one look-up with all its questions. */
  timeoutSeconds: number;
  /** Zones whose keys (or lack of them) are remembered. */
  trustCacheEntries: number;
  insecureZones?: ReadonlySet<DomainName>;
  nsec3Iterations?: Nsec3IterationLimits;
  requireAllAlgorithms?: boolean;
  /** Hears what each question was answered with, and what was proved about each zone: for whoever explains a verdict. */
  onEvidence?: (needed: EvidenceNeeded, evidence: Evidence) => void;
};

export type EvidenceNeeded = Exclude<Needed, { kind: "pause" }>;

/**
 * Drives the judgements of dnssec/ with evidence from a source. What is proved about zones is kept for its TTL and shared by all look-ups;
 * of equal questions that are under way at the same time only one is asked. What the source itself claims of an answer (AD) is not looked
 * at (RFC 7672 §2.1.1).
 */
export class Validator {
  readonly #options: ValidatorOptions;
  readonly #verifier: Verifier;
  readonly #trust: TtlCache<Trust>;
  readonly #flights = new Map<string, Promise<Evidence>>();
  #anchors: TrustAnchors;

  constructor(options: ValidatorOptions) {
    this.#options = options;
    this.#verifier = new Verifier();
    const memory = { maxOctets: TRUST_CACHE_OCTETS, octetsOf };
    this.#trust = new TtlCache(options.trustCacheEntries, () => options.clock.monotonic(), memory);
    this.#anchors = anchorsOf(options);
  }

  get trustCounts(): { entries: number; hits: number; misses: number } {
    return this.#trust.counts;
  }

  /** Judges (name, type) afresh; only zones' keys come out of a cache. Never rejects for what a server did. */
  async lookup(name: DomainName, type: number): Promise<Resolution<ResourceRecord>> {
    const rules = this.#rules();
    const questions = { left: MAX_QUESTIONS };
    const judged = this.#verifier.run(judgeAnswer(name, type, rules), (needed) => this.#provide(needed, rules, questions));
    let timer: NodeJS.Timeout | undefined;
    const seconds = this.#options.timeoutSeconds;
    const late = new Promise<Resolution<ResourceRecord>>((resolve) => {
      timer = setTimeout(() => {
        const text = `the ${typeName(type)} of ${displayName(name)} could not be looked up within ${seconds} seconds`;
        resolve({ status: "indeterminate", reasons: [{ code: "lookup-failed", text }], ede: EDE_NO_REACHABLE_AUTHORITY });
      }, seconds * 1000);
    });
    return await Promise.race([judged, late]).finally(() => clearTimeout(timer));
  }

  #rules(): Rules {
    const { algorithms, insecureZones, nsec3Iterations, requireAllAlgorithms, clock } = this.#options;
    const anchors = anchorsOf(this.#options);
    // RFC 5011 §2.1: a revocation is immediate; what a key was trusted for before it is proved anew.
    if (anchors !== this.#anchors) this.#trust.clear();
    this.#anchors = anchors;
    return {
      now: Math.floor(clock.now() / 1000),
      anchors,
      algorithms,
      insecureZones: insecureZones ?? new Set(),
      nsec3Iterations: nsec3Iterations ?? NSEC3_ITERATIONS,
      requireAllAlgorithms: requireAllAlgorithms ?? false,
      budget: new SharedBudget(LOOKUP_LIMITS),
    };
  }

  async #provide(needed: EvidenceNeeded, rules: Rules, questions: { left: number }): Promise<Evidence> {
    const evidence = await this.#gather(needed, rules, questions);
    this.#options.onEvidence?.(needed, evidence);
    return evidence;
  }

  async #gather(needed: EvidenceNeeded, rules: Rules, questions: { left: number }): Promise<Evidence> {
    if (needed.kind === "message") {
      if (questions.left <= 0) return { kind: "failed", reason: TOO_MANY };
      questions.left -= 1;
      const { name, type, avoid } = needed;
      if (avoid.size > 0) return await this.#options.source.ask(name, type, { avoid });
      return await this.#flight(`message ${type} ${name}`, () => this.#options.source.ask(name, type));
    }
    const key = `${needed.kind} ${needed.name}`;
    const known = this.#trust.get(key);
    if (known !== undefined) return { kind: "trust", trust: known.value };
    if (questions.left <= 0) return { kind: "trust", trust: TOO_MANY_QUESTIONS };
    questions.left -= QUESTIONS_PER_ZONE;
    return await this.#flight(key, async () => {
      // With questions and a budget of its own: what is remembered for all must not depend on what one look-up had left.
      const own = { left: MAX_QUESTIONS_PER_ZONE };
      const ownRules = { ...rules, budget: new SharedBudget(ZONE_LIMITS) };
      const judging = needed.kind === "cut" ? judgeCut(needed.name, needed.parent, ownRules) : judgeAnchor(needed.name, ownRules);
      const trust = await this.#verifier.run(judging, (inner) => this.#provide(inner, ownRules, own));
      if (rules.anchors === this.#anchors) this.#trust.set(key, trust, trust.ttlSeconds);
      return { kind: "trust", trust };
    });
  }

  /** The one that is under way for `key`, or a new one. A flight waits for network only, never for another flight of the same kind. */
  #flight(key: string, begin: () => Promise<Evidence>): Promise<Evidence> {
    const underWay = this.#flights.get(key);
    if (underWay !== undefined) return underWay;
    const flight = begin().finally(() => this.#flights.delete(key));
    this.#flights.set(key, flight);
    return flight;
  }
}

/** An imported key with what OpenSSL keeps of it; RSA takes most. */
const KEY_OCTETS = 3000;
const TRUST_OCTETS = 400;

function octetsOf(trust: Trust): number {
  if (trust.kind === "secure") return trust.zone.keys.reduce((sum, key) => sum + KEY_OCTETS + key.rdata.length, TRUST_OCTETS);
  if (trust.kind === "interior") return TRUST_OCTETS;
  return trust.reasons.reduce((sum, reason) => sum + TRUST_OCTETS + 2 * reason.text.length, TRUST_OCTETS);
}

function anchorsOf({ anchors }: ValidatorOptions): TrustAnchors {
  return typeof anchors === "function" ? anchors() : anchors;
}

const EDE_NO_REACHABLE_AUTHORITY = 22;
