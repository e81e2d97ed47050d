import { type Message, RR_TYPE } from "../dns/message.ts";
import { type DomainName, displayName, isWithin } from "../dns/name.ts";
import { typeName } from "../dns/rdataText.ts";
import { type RRset, rrsetsOf } from "../dns/rrset.ts";
import type { Denial, DenialProofs, DsDenial, Pausing } from "./denialProof.ts";
import { bogus, type Distrust, type Judging, type Rules, type SecureZone, type Trust } from "./evidence.ts";
import { nsecProofs } from "./nsec.ts";
import { nsec3Proofs } from "./nsec3.ts";
import { type RrsetVerification, verifyRrset, type WildcardExpansion } from "./rrsig.ts";
import type { Reason, ReasonChain } from "./securityStatus.ts";
import { WorkBudget } from "./workBudget.ts";

/** The terms of one message: the rules, what its judgement may still cost, and what was found out about it already. */
export type Terms = {
  rules: Rules;
  budget: WorkBudget;
  /** The RRsets of its authority section. */
  authority: readonly RRset[];
  /** Of these, by the zone whose keys were tried. */
  verifications: Map<RRset, Map<DomainName, RrsetVerification>>;
  denials: Map<DomainName, ZoneDenials>;
  /** The secure zones that something in the message was judged by. */
  zones: Map<DomainName, SecureZone>;
};

export function termsOf(message: Pick<Message, "authority">, rules: Rules): Terms {
  const budget = new WorkBudget(rules.budget);
  return {
    rules,
    budget,
    authority: rrsetsOf(message.authority),
    verifications: new Map(),
    denials: new Map(),
    zones: new Map(),
  };
}

/** Whether an RRset of an authority section was signed by `zone`; checked once, however often it is asked. */
export function verifiedBeside(rrset: RRset, zone: SecureZone, terms: Terms): RrsetVerification {
  const byZone = terms.verifications.get(rrset) ?? new Map<DomainName, RrsetVerification>();
  terms.verifications.set(rrset, byZone);
  const known = byZone.get(zone.name);
  if (known !== undefined) return known;
  const verification = verifyRrset(rrset, zone.keys, terms.rules.now, terms.budget);
  byZone.set(zone.name, verification);
  return verification;
}

/**
 * RRsets of NSEC or NSEC3 records of one zone that are verified in one message. A denial needs three at most; a joined message has those
 * of several hops.
 */
export const MAX_DENIAL_RRSETS = 16;

/** The proofs of `zone` in a message; verified once, however often they are needed for it. */
export function* zoneDenials(zone: SecureZone, terms: Terms): Judging<ZoneDenials> {
  const known = terms.denials.get(zone.name);
  if (known !== undefined) return known;
  const verified: RRset[] = [];
  const failures: Reason[] = [];
  const denying = terms.authority.filter(({ name, type }) => {
    return (type === RR_TYPE.NSEC || type === RR_TYPE.NSEC3) && isWithin(name, zone.name);
  });
  for (const rrset of denying.slice(0, MAX_DENIAL_RRSETS)) {
    const verification = verifiedBeside(rrset, zone, terms);
    if (verification.kind === "verified") verified.push(verification.rrset);
    else failures.push(...verification.reasons);
    yield { kind: "pause" };
  }
  const denials = new ZoneDenials(zone, verified, failures, terms);
  terms.denials.set(zone.name, denials);
  return denials;
}

/**
 * Proofs of non-existence out of the authority section of a message: its NSEC and NSEC3 records, each verified with the keys of the one
 * zone that is asked about. A record of another zone, or one whose signature does not hold, proves nothing.
 */
export class ZoneDenials {
  readonly #nsec: DenialProofs<"immediate">;
  readonly #nsec3: DenialProofs<"pausing">;
  readonly #failures: readonly Reason[];
  /** Whether any of the proofs is by NSEC3. */
  readonly usesNsec3: boolean;

  constructor(zone: SecureZone, verified: readonly RRset[], failures: readonly Reason[], terms: Terms) {
    const { rules, budget } = terms;
    this.#failures = failures;
    this.usesNsec3 = verified.some((rrset) => rrset.type === RR_TYPE.NSEC3);
    this.#nsec = nsecProofs(zone.name, verified);
    this.#nsec3 = nsec3Proofs(zone.name, verified, rules.nsec3Iterations, budget);
  }

  *nameError(name: DomainName): Pausing<Denial> {
    const what = `that ${displayName(name)} does not exist`;
    return yield* this.#either(this.#nsec.nameError(name), () => this.#nsec3.nameError(name), what);
  }

  /** Not for DS, see `noDs`. */
  *noData(name: DomainName, type: number): Pausing<Denial> {
    const what = `that ${displayName(name)} has no ${typeName(type)}`;
    return yield* this.#either(this.#nsec.noData(name, type), () => this.#nsec3.noData(name, type), what);
  }

  *noCloserMatch(name: DomainName, expansion: WildcardExpansion): Pausing<Denial> {
    const what = `that nothing is closer to ${displayName(name)}`;
    return yield* this.#either(this.#nsec.noCloserMatch(name, expansion), () => this.#nsec3.noCloserMatch(name, expansion), what);
  }

  *noDs(name: DomainName): Pausing<DsDenial> {
    return yield* this.#either(this.#nsec.noDs(name), () => this.#nsec3.noDs(name), `that ${displayName(name)} has no DS`);
  }

  /** A zone has NSEC or NSEC3; while it changes from one to the other an answer may show both. */
  *#either<T extends { kind: string }>(
    byNsec: T | NotProved,
    byNsec3: () => Pausing<T | NotProved>,
    what: string,
  ): Pausing<T | NotProved> {
    if (!isNotProved(byNsec)) return byNsec;
    const result = yield* byNsec3();
    if (!isNotProved(result)) return result;
    // What stands last is what an operator should look at: a signature that does not hold before what is missing because of it.
    const missing = this.usesNsec3 ? result.reasons : byNsec.reasons;
    const [code, causes] =
      this.#failures.length > 0 ? (["denial-invalid", this.#failures] as const) : (["denial-missing", missing] as const);
    return { kind: "notProved", reasons: [{ code, text: `it is not proved ${what}` }, ...causes] };
  }
}

type NotProved = { kind: "notProved"; reasons: ReasonChain };

function isNotProved<T extends { kind: string }>(result: T | NotProved): result is NotProved {
  return result.kind === "notProved";
}

/** What is at a name where no signed zone begins. */
export type UnsignedCut = Extract<Trust, { kind: "insecure" | "interior" }>;

/** What the answer to a DS question that has no DS records says about the cut at `name` (RFC 4035 §5.2). */
export function* cutWithoutDs(name: DomainName, parent: SecureZone, terms: Terms): Judging<UnsignedCut | Distrust> {
  const denials = yield* zoneDenials(parent, terms);
  const denial = yield* denials.noDs(name);
  const stray = denial.kind === "notProved" ? undefined : strayDenial(parent, terms);
  if (stray !== undefined) return bogus(...stray);
  switch (denial.kind) {
    case "unsignedDelegation": {
      const text = `${displayName(parent.name)} delegates ${displayName(name)} without a DS record`;
      return { kind: "insecure", reasons: [{ code: "no-ds", text }], ttlSeconds: denial.ttlSeconds };
    }
    case "noCut":
      return { kind: "interior", empty: denial.empty, ttlSeconds: denial.ttlSeconds };
    case "insecure":
      return { kind: "insecure", reasons: denial.reasons, ttlSeconds: denial.ttlSeconds };
    case "notProved":
      return bogus(...denial.reasons);
    default:
      return denial satisfies never;
  }
}

/** Why not every denial in an answer about a cut is the parent's, needed or not: what opens a cut must be beyond doubt. */
function strayDenial(parent: SecureZone, terms: Terms): ReasonChain | undefined {
  for (const rrset of terms.authority) {
    if (rrset.type !== RR_TYPE.NSEC && rrset.type !== RR_TYPE.NSEC3) continue;
    const verification = verifiedBeside(rrset, parent, terms);
    if (verification.kind === "verified") continue;
    const text = `the ${typeName(rrset.type)} of ${displayName(rrset.name)} beside the denial of DS is not authentic`;
    return [{ code: "denial-invalid", text }, ...verification.reasons];
  }
  return undefined;
}
