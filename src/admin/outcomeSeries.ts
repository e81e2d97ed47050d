import type { DaneOutcome } from "../policy/disposition.ts";
import type { DeliveryRecord } from "./deliveryRing.ts";

/** The outcomes of DANE in six groups that a picture can tell apart, in the order in which it stacks them. */
export const OUTCOME_GROUPS = ["authenticated", "partly", "not-demanded", "refused", "dns", "not-tried"] as const;
export type OutcomeGroup = (typeof OUTCOME_GROUPS)[number];

export const GROUP_WORDS: Readonly<Record<OutcomeGroup, string>> = {
  authenticated: "authenticated by DANE",
  partly: "DANE in part: no signed MX, or no usable record",
  "not-demanded": "DANE not demanded: no TLSA, no DNSSEC, or an exception",
  refused: "kept back: certificate, STARTTLS or handshake",
  dns: "kept back: DNSSEC or DNS failed",
  "not-tried": "no session with a host",
};

export function outcomeGroup(outcome: DaneOutcome): OutcomeGroup {
  switch (outcome) {
    case "authenticated":
      return "authenticated";
    case "halfdane":
    case "unusable":
      return "partly";
    case "insecure":
    case "no-tlsa":
    case "address-literal":
    case "exempt":
      return "not-demanded";
    case "mismatch":
    case "starttls-missing":
    case "handshake-failed":
      return "refused";
    case "bogus":
    case "lookup-failed":
      return "dns";
    case "not-tried":
      return "not-tried";
    default:
      return outcome satisfies never;
  }
}

export type OutcomeCounts = Record<OutcomeGroup, number>;
/** `minute`: minutes since the epoch. */
export type OutcomeMinute = { minute: number; counts: OutcomeCounts; delivered: number };

const MINUTE_MILLISECONDS = 60_000;
/** Six hours. */
export const SERIES_MINUTES = 360;

export function noOutcomes(): OutcomeCounts {
  return { authenticated: 0, partly: 0, "not-demanded": 0, refused: 0, dns: 0, "not-tried": 0 };
}

/** What became of this process's attempts, a recipient each, minute by minute; what is older than SERIES_MINUTES is forgotten. */
export class OutcomeSeries {
  readonly #minutes = new Map<number, OutcomeMinute>();

  add({ at, dane, outcome }: Pick<DeliveryRecord, "at" | "dane" | "outcome">): void {
    const minute = minuteOf(at);
    const known = this.#minutes.get(minute) ?? { minute, counts: noOutcomes(), delivered: 0 };
    known.counts[outcomeGroup(dane)] += 1;
    if (outcome === "delivered") known.delivered += 1;
    this.#minutes.set(minute, known);
    // The clock may be set: whatever minutes there are, there are not more than these, and those that came first go first.
    const [oldest] = this.#minutes.keys();
    if (this.#minutes.size > SERIES_MINUTES && oldest !== undefined) this.#minutes.delete(oldest);
  }

  /** Forgets everything but what others have counted: each of `counted` is one process's minutes. */
  replace(counted: readonly (readonly OutcomeMinute[])[]): void {
    this.#minutes.clear();
    for (const { minute, counts, delivered } of counted.flat()) {
      const sum = this.#minutes.get(minute) ?? { minute, counts: noOutcomes(), delivered: 0 };
      for (const group of OUTCOME_GROUPS) sum.counts[group] += counts[group];
      sum.delivered += delivered;
      this.#minutes.set(minute, sum);
    }
  }

  /** The last `minutes`, that of `now` included, where there was anything. */
  since(now: number, minutes = SERIES_MINUTES): readonly OutcomeMinute[] {
    const last = minuteOf(now);
    return [...this.#minutes.values()].filter(({ minute }) => minute > last - minutes && minute <= last);
  }
}

export function minuteOf(milliseconds: number): number {
  return Math.floor(milliseconds / MINUTE_MILLISECONDS);
}
