/**
 * What one answer may cost before it is judged bogus (CVE-2023-50387 "KeyTrap", CVE-2023-50868 "NSEC3 exhaustion"). Operations are
 * counted, not time, so that the verdict does not depend on the machine. One budget per answer, shared by all that judges it.
 */
export const MAX_SIGNATURE_CHECKS_PER_RRSET = 8;
/** RRSIG records that are looked at for one RRset; a zone with two algorithms in the middle of a rollover of each has four. */
export const MAX_SIGNATURES_PER_RRSET = 32;
/** What is hashed for one check: an RRset of a message of 64 KB, with its owner before every record. */
export const MAX_SIGNED_OCTETS = 131_072;
/** Checks that failed; what succeeded is honest work. */
export const MAX_FAILED_SIGNATURE_CHECKS = 16;
/** All checks: a hostile zone can also sign a thousand records properly. A chain of eleven wildcard aliases needs less than 30. */
export const MAX_SIGNATURE_CHECKS = 32;
export const MAX_DS_MISMATCHES = 4;
export const MAX_NSEC3_HASHES = 128;
/**
 * Hashes at the highest iteration count that is still computed; with fewer iterations it may be more, up to MAX_NSEC3_HASHES. Enough for a
 * denial 20 labels deep behind a chain of aliases.
 */
export const MAX_NSEC3_HASHES_AT_LIMIT = 32;
export const NSEC3_HASHES_BEFORE_YIELD = 8;

/** What the answers of one look-up, or those about one zone's keys, may cost together. */
export type SharedLimits = { signatureChecks: number; costlySignatureChecks: number; nsec3Answers: number };
/**
 * An answer that does not hold is asked for again, and aliases lead from one to the next: all of them together may not cost much more than
 * one. A chain of twelve aliases, each out of a wildcard and in an answer of its own, needs 40 checks. A check with a costly algorithm
 * (P-384) takes 0.7 ms, any other 0.1 to 0.3.
 */
export const LOOKUP_LIMITS: SharedLimits = { signatureChecks: 48, costlySignatureChecks: 16, nsec3Answers: 4 };
/** DS and DNSKEY: an honest zone needs 2 checks, or 6 where there is no DS; and each answer may come from a second server. */
export const ZONE_LIMITS: SharedLimits = { signatureChecks: 24, costlySignatureChecks: 8, nsec3Answers: 2 };

/** In checks of the usual cost. */
const COSTLY_CHECK_COST = 4;

/** What is left for all answers that one question leads to. */
export class SharedBudget {
  readonly #limits: SharedLimits;
  #signatureChecks = 0;
  #costlySignatureChecks = 0;
  #nsec3Rounds = 0;

  constructor(limits: SharedLimits) {
    this.#limits = limits;
  }

  /** Checks that were made, a costly one counted as what it costs. */
  get cost(): number {
    return this.#signatureChecks + (COSTLY_CHECK_COST - 1) * this.#costlySignatureChecks;
  }

  /** The limit that one more check would exceed, in words; undefined when it may be made. */
  takeSignatureCheck(cost: "usual" | "high"): string | undefined {
    const { signatureChecks, costlySignatureChecks } = this.#limits;
    if (this.#signatureChecks >= signatureChecks) return `${signatureChecks} signature checks for one question`;
    if (cost === "high" && this.#costlySignatureChecks >= costlySignatureChecks)
      return `${costlySignatureChecks} signature checks with a costly algorithm for one question`;
    this.#signatureChecks += 1;
    if (cost === "high") this.#costlySignatureChecks += 1;
    return undefined;
  }

  /** The same for rounds of NSEC3 hashing, of which one answer may have `roundsPerAnswer`. */
  takeNsec3Rounds(rounds: number, roundsPerAnswer: number): string | undefined {
    const maxRounds = this.#limits.nsec3Answers * roundsPerAnswer;
    if (this.#nsec3Rounds + rounds > maxRounds) return `${maxRounds} rounds of NSEC3 hashing for one question`;
    this.#nsec3Rounds += rounds;
    return undefined;
  }
}

export class WorkBudget {
  readonly #shared: SharedBudget;
  #signatureChecks = 0;
  #failedSignatureChecks = 0;
  #dsMismatches = 0;
  #nsec3Hashes = 0;
  #nsec3Rounds = 0;
  #hashesSinceYield = 0;
  #exhausted: string | undefined;

  constructor(shared = new SharedBudget(LOOKUP_LIMITS)) {
    this.#shared = shared;
  }

  /** Which limit was reached, in words; undefined while there is something left. Once reached, the answer is bogus. */
  get exhausted(): string | undefined {
    return this.#exhausted;
  }

  get signatureChecks(): number {
    return this.#signatureChecks;
  }

  get nsec3Hashes(): number {
    return this.#nsec3Hashes;
  }

  /** Whether one more signature may be checked; counts it as failed until `signatureHeld` says otherwise. */
  takeSignatureCheck(cost: "usual" | "high" = "usual"): boolean {
    if (this.#failedSignatureChecks >= MAX_FAILED_SIGNATURE_CHECKS) {
      return this.#exhaust(`${MAX_FAILED_SIGNATURE_CHECKS} failed signature checks`);
    }
    if (this.#signatureChecks >= MAX_SIGNATURE_CHECKS) return this.#exhaust(`${MAX_SIGNATURE_CHECKS} signature checks`);
    const spent = this.#shared.takeSignatureCheck(cost);
    if (spent !== undefined) return this.#exhaust(spent);
    this.#signatureChecks += 1;
    this.#failedSignatureChecks += 1;
    return true;
  }

  signatureHeld(): void {
    this.#failedSignatureChecks -= 1;
  }

  /** Whether the search among DS and DNSKEY records may go on after one more pair whose digest did not match. */
  takeDsMismatch(): boolean {
    if (this.#dsMismatches >= MAX_DS_MISMATCHES) return this.#exhaust(`${MAX_DS_MISMATCHES} DS digests that did not match`);
    this.#dsMismatches += 1;
    return true;
  }

  /** Whether one more NSEC3 hash of so many iterations may be computed, where at most `maxIterations` are computed at all. */
  takeNsec3Hash(iterations: number, maxIterations: number): boolean {
    const maxRounds = MAX_NSEC3_HASHES_AT_LIMIT * (maxIterations + 1);
    if (this.#nsec3Hashes >= MAX_NSEC3_HASHES) return this.#exhaust(`${MAX_NSEC3_HASHES} NSEC3 hashes`);
    if (this.#nsec3Rounds + iterations + 1 > maxRounds) return this.#exhaust(`${maxRounds} rounds of NSEC3 hashing`);
    const spent = this.#shared.takeNsec3Rounds(iterations + 1, maxRounds);
    if (spent !== undefined) return this.#exhaust(spent);
    this.#nsec3Hashes += 1;
    this.#nsec3Rounds += iterations + 1;
    this.#hashesSinceYield += 1;
    return true;
  }

  /** Whether the caller should let others run before it goes on; asking clears it. */
  takeYield(): boolean {
    if (this.#hashesSinceYield < NSEC3_HASHES_BEFORE_YIELD) return false;
    this.#hashesSinceYield = 0;
    return true;
  }

  #exhaust(limit: string): false {
    this.#exhausted ??= limit;
    return false;
  }
}
