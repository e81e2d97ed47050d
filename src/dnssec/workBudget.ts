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

export class WorkBudget {
  #signatureChecks = 0;
  #failedSignatureChecks = 0;
  #dsMismatches = 0;
  #nsec3Hashes = 0;
  #nsec3Rounds = 0;
  #hashesSinceYield = 0;
  #exhausted: string | undefined;

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
  takeSignatureCheck(): boolean {
    if (this.#failedSignatureChecks >= MAX_FAILED_SIGNATURE_CHECKS) {
      return this.#exhaust(`${MAX_FAILED_SIGNATURE_CHECKS} failed signature checks`);
    }
    if (this.#signatureChecks >= MAX_SIGNATURE_CHECKS) return this.#exhaust(`${MAX_SIGNATURE_CHECKS} signature checks`);
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
