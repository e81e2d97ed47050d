import { type HostState, type Rollover, type RolloverKind, riskOf, rolloversOf } from "./rollover.ts";

/** What the history of hosts adds to a survey: rollovers by kind, those that senders noticed, and hosts whose next renewal will break them. */
export type RolloverSurvey = {
  hosts: number;
  totals: Readonly<Record<RolloverKind, number>>;
  /** The last ones with a window in which senders failed. */
  failures: readonly HostRollover[];
  atRisk: readonly { host: string; explanation: string }[];
};

export type HostRollover = Rollover & { host: string };

/** The longest lists that are kept of a survey. */
const MAX_LISTED = 1000;
/** A host that nobody has looked at for so long is not said to be at risk. */
const RECENT_MILLISECONDS = 7 * 86_400_000;

/** A certificate that comes to several addresses of a host is one rollover: the first. */
export function hostRollovers(byAddress: ReadonlyMap<string, readonly HostState[]>): readonly Rollover[] {
  const all = [...byAddress.values()].flatMap(rolloversOf).sort((a, b) => a.at - b.at);
  const first = new Map<string, Rollover>();
  for (const rollover of all) if (!first.has(rollover.certificate)) first.set(rollover.certificate, rollover);
  return [...first.values()];
}

/** Adds up hosts one by one. */
export class RolloverCount {
  readonly #now: number;
  #hosts = 0;
  readonly #totals: Record<RolloverKind, number> = {
    correct: 0,
    "early-retirement": 0,
    "late-introduction": 0,
    "no-introduction": 0,
    "ca-rollover": 0,
    "keep-key": 0,
  };
  #failures: HostRollover[] = [];
  readonly #atRisk: { host: string; explanation: string }[] = [];

  constructor(now: number) {
    this.#now = now;
  }

  add(host: string, byAddress: ReadonlyMap<string, readonly HostState[]>): void {
    this.#hosts += 1;
    for (const rollover of hostRollovers(byAddress)) {
      this.#totals[rollover.kind] += 1;
      if (rollover.windows.length > 0) this.#failures.push({ ...rollover, host });
    }
    if (this.#failures.length > 2 * MAX_LISTED) this.#failures = latest(this.#failures);
    const risk = [...byAddress.values()]
      .flatMap((states) => lastSeenOf(states) ?? [])
      .filter(({ lastSeen }) => lastSeen >= this.#now - RECENT_MILLISECONDS)
      .flatMap((state) => riskOf(host, state, this.#now) ?? [])[0];
    if (risk !== undefined && this.#atRisk.length < MAX_LISTED) this.#atRisk.push({ host, explanation: risk.explanation });
  }

  result(): RolloverSurvey {
    return { hosts: this.#hosts, totals: { ...this.#totals }, failures: latest(this.#failures), atRisk: [...this.#atRisk] };
  }
}

function lastSeenOf(states: readonly HostState[]): HostState | undefined {
  return states.reduce<HostState | undefined>(
    (last, one) => (last === undefined || one.lastSeen >= last.lastSeen ? one : last),
    undefined,
  );
}

function latest(failures: readonly HostRollover[]): HostRollover[] {
  return [...failures].sort((a, b) => b.at - a.at).slice(0, MAX_LISTED);
}
