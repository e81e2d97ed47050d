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
/**
 * What one look-up may have judged of zones that nothing is known of: signed zones, and signature checks for them. A hostile tree is as deep as its
 * owner likes; what was found out is kept, so that a second look-up gets further.
 */
export const MAX_NEW_ZONES = 32;
export const MAX_NEW_ZONE_CHECKS = 128;
/** How often the keys of a zone are asked for again because something is signed by a key that they lack. */
export const KEY_REFRESH_SECONDS = 60;
const KEY_REFRESH_ENTRIES = 1000;
const TOO_MANY = `more than ${MAX_QUESTIONS} questions would be needed`;

function beyondLimit(text: string): Evidence {
  const reasons = [{ code: "work-limit" as const, text }] as const;
  return { kind: "trust", trust: { kind: "indeterminate", reasons, fault: "message", ttlSeconds: 0 } };
}

/** What one look-up may still ask and have judged, and the zones that it went by. */
type Allowance = { questions: number; newZones: number; newZoneChecks: number; trail: Visit[] };
type ZoneNeeded = Extract<Needed, { kind: "cut" | "anchor" }>;
type Visit = { needed: ZoneNeeded; trust: Trust; isRemembered: boolean };

function allowance(questions: number): Allowance {
  return { questions, newZones: MAX_NEW_ZONES, newZoneChecks: MAX_NEW_ZONE_CHECKS, trail: [] };
}

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
  /** Zones whose keys were asked for again a short while ago. */
  readonly #refreshed: TtlCache<true>;
  #anchors: TrustAnchors;

  constructor(options: ValidatorOptions) {
    this.#options = options;
    this.#verifier = new Verifier();
    const memory = { maxOctets: TRUST_CACHE_OCTETS, octetsOf };
    this.#trust = new TtlCache(options.trustCacheEntries, () => options.clock.monotonic(), memory);
    this.#refreshed = new TtlCache(KEY_REFRESH_ENTRIES, () => options.clock.monotonic());
    this.#anchors = anchorsOf(options);
  }

  /** Those in force now; another object when they have changed. */
  get anchors(): TrustAnchors {
    return anchorsOf(this.#options);
  }

  get trustCounts(): { entries: number; hits: number; misses: number } {
    return this.#trust.counts;
  }

  /** Judges (name, type) afresh; only zones' keys come out of a cache. Never rejects for what a server did. */
  async lookup(name: DomainName, type: number): Promise<Resolution<ResourceRecord>> {
    const judged = this.#judge(name, type);
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

  async #judge(name: DomainName, type: number): Promise<Resolution<ResourceRecord>> {
    const rules = this.#rules();
    const left = allowance(MAX_QUESTIONS);
    const run = () => this.#verifier.run(judgeAnswer(name, type, rules), (needed) => this.#provide(needed, rules, left));
    const resolution = await run();
    return (await this.#keysChanged(resolution, left, rules)) ? await run() : resolution;
  }

  /**
   * Whether an answer is bogus because a zone has other keys than we remember, as after an emergency rollover: what is remembered of a
   * zone is proved anew when something is signed by a key that it lacks, but not more often than the bound allows. Only proof replaces it.
   */
  async #keysChanged(resolution: Resolution<unknown>, { trail }: Allowance, rules: Rules): Promise<boolean> {
    if (resolution.status !== "bogus") return false;
    const lacking = new Set(resolution.reasons.flatMap(({ code, zone }) => (code === "key-unknown" && zone ? [zone] : [])));
    let changed = false;
    for (const { needed, trust, isRemembered } of trail) {
      if (!isRemembered || trust.kind !== "secure" || !lacking.delete(needed.name)) continue;
      if (this.#refreshed.get(needed.name) !== undefined) continue;
      this.#refreshed.set(needed.name, true, KEY_REFRESH_SECONDS);
      const proved = await this.#prove(needed, rules, (now) => isOther(now, trust));
      changed ||= isOther(proved.trust, trust);
    }
    if (changed) for (const { needed, trust } of trail) if (trust.kind === "bogus") this.#trust.delete(keyOf(needed));
    return changed;
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

  async #provide(needed: EvidenceNeeded, rules: Rules, left: Allowance): Promise<Evidence> {
    const evidence = needed.kind === "message" ? await this.#ask(needed, left) : await this.#trustIn(needed, rules, left);
    this.#options.onEvidence?.(needed, evidence);
    return evidence;
  }

  async #ask({ name, type, avoid }: Extract<Needed, { kind: "message" }>, left: Allowance): Promise<Evidence> {
    if (left.questions <= 0) return { kind: "failed", reason: TOO_MANY };
    left.questions -= 1;
    if (avoid.size > 0) return await this.#options.source.ask(name, type, { avoid });
    return await this.#flight(`message ${type} ${name}`, () => this.#options.source.ask(name, type));
  }

  async #trustIn(needed: ZoneNeeded, rules: Rules, left: Allowance): Promise<Evidence> {
    const known = this.#trust.get(keyOf(needed));
    if (known !== undefined) {
      left.trail.push({ needed, trust: known.value, isRemembered: true });
      return { kind: "trust", trust: known.value };
    }
    if (left.questions <= 0) return beyondLimit(TOO_MANY);
    if (left.newZones <= 0 || left.newZoneChecks <= 0) return beyondLimit("too many zones would have to be judged");
    left.questions -= QUESTIONS_PER_ZONE;
    const { trust, cost } = await this.#prove(needed, rules, () => true);
    left.newZoneChecks -= cost;
    if (trust.kind === "secure") left.newZones -= 1;
    left.trail.push({ needed, trust, isRemembered: false });
    return { kind: "trust", trust };
  }

  /** What is proved about a zone, afresh; remembered where `isKept` says so. `cost`: checks of signatures, 0 where another look-up made them. */
  async #prove(needed: ZoneNeeded, rules: Rules, isKept: (trust: Trust) => boolean): Promise<{ trust: Trust; cost: number }> {
    let cost = 0;
    const evidence = await this.#flight(keyOf(needed), async () => {
      // With questions and a budget of its own: what is remembered for all must not depend on what one look-up had left.
      const own = allowance(MAX_QUESTIONS_PER_ZONE);
      const budget = new SharedBudget(ZONE_LIMITS);
      const ownRules = { ...rules, budget };
      const judging = needed.kind === "cut" ? judgeCut(needed.name, needed.parent, ownRules) : judgeAnchor(needed.name, ownRules);
      const trust = await this.#verifier.run(judging, (inner) => this.#provide(inner, ownRules, own));
      if (rules.anchors === this.#anchors && isKept(trust)) this.#trust.set(keyOf(needed), trust, trust.ttlSeconds);
      cost = budget.cost;
      return { kind: "trust", trust };
    });
    if (evidence.kind !== "trust") throw new Error("a flight for a zone brought something else");
    return { trust: evidence.trust, cost };
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

function keyOf({ kind, name }: ZoneNeeded): string {
  return `${kind} ${name}`;
}

/** Whether `now` is proof of something else than the keys that were known `before`. */
function isOther(now: Trust, before: Extract<Trust, { kind: "secure" }>): boolean {
  if (now.kind === "insecure") return true;
  return now.kind === "secure" && now.zone.keys.some((key) => !before.zone.keys.some((known) => known.rdata.equals(key.rdata)));
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
