/**
 * What one question to the recursor may cost. Who can choose names (every sender of mail can) can choose zones that answer with work:
 * long chains of referrals, name servers whose names lead to more name servers (NXNSAttack), circles (TsuNAME).
 * Each number here ends one of these; `queriesPerQuestion` ends them all.
 */
export type RecursorLimits = {
  /** Milliseconds for one question with everything under it. */
  questionMilliseconds: number;
  /** Queries sent for one question, those for the addresses of name servers included. */
  queriesPerQuestion: number;
  /** Referrals followed for one name. */
  referralsPerName: number;
  /** Look-ups of name servers' addresses that need look-ups themselves. */
  nameserverLookupDepth: number;
  /** Look-ups of name servers' addresses for one question. Zones that refer to each other every which way cost work without queries. */
  nameserverLookupsPerQuestion: number;
  /** Name servers whose addresses are looked up for one question to one zone (NXNSAttack: a referral may name any number). */
  nameserverLookupsPerZone: number;
  /** NS records kept of one referral, and child-side names kept beside them. */
  nameserversPerZone: number;
  /** Addresses kept of one name server. */
  addressesPerNameserver: number;
  /** Servers of one zone that are asked one question. */
  serversPerZone: number;
  /** More servers that are asked after an answer that is not authoritative, or came without EDNS. */
  secondOpinions: number;
  /** Servers that timed out and get a second, longer try when nobody answered. */
  repeatedTries: number;
};

export const RECURSOR_LIMITS: RecursorLimits = {
  questionMilliseconds: 8_000,
  queriesPerQuestion: 100,
  referralsPerName: 24,
  nameserverLookupDepth: 6,
  nameserverLookupsPerQuestion: 50,
  nameserverLookupsPerZone: 5,
  nameserversPerZone: 20,
  addressesPerNameserver: 8,
  serversPerZone: 16,
  secondOpinions: 2,
  repeatedTries: 3,
};

/** The queries and the time that are left of one question; shared by all look-ups that are made for it. */
export class WorkBudget {
  #queries: number;
  #lookups: number;
  readonly #deadline: number;
  readonly #monotonic: () => number;

  constructor(limits: RecursorLimits, monotonic: () => number) {
    this.#queries = limits.queriesPerQuestion;
    this.#lookups = limits.nameserverLookupsPerQuestion;
    this.#deadline = monotonic() + limits.questionMilliseconds;
    this.#monotonic = monotonic;
  }

  get millisecondsLeft(): number {
    return Math.max(0, this.#deadline - this.#monotonic());
  }

  /** Why no further query may be sent; undefined while one may. */
  get exhausted(): string | undefined {
    if (this.#queries <= 0) return "the limit of queries for one question is reached";
    if (this.millisecondsLeft === 0) return "the time for one question is over";
    return undefined;
  }

  spendQuery(): void {
    this.#queries -= 1;
  }

  /** Whether one more look-up of a name server's addresses may begin. */
  spendLookup(): boolean {
    this.#lookups -= 1;
    return this.#lookups >= 0;
  }
}
