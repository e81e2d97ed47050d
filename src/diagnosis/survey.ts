import type { FailureClass } from "./finding.ts";
import { type Management, managementOf, type Popularity, providerThreshold, topLevelDomain } from "./managingEntity.ts";
import { CAUSES, type Cause, ISSUER_KINDS, type IssuerKind, type SurveyHost, type SurveyRow } from "./surveyRow.ts";

/**
 * The tables of the studies of DANE in mail (USENIX Security 2020, "A Longitudinal and Comprehensive Study of the DANE Ecosystem in Email";
 * 2022, "Under the Hood of DANE Mismanagement in SMTP"), counted row by row.
 */

/** partly: some hosts have TLSA records, others none: an attacker leads mail to these. */
export type Deployment = "whole" | "partly" | "none" | "unknown";
/** Of a domain; what one host does wrong makes it incorrect. */
export type DomainState = SurveyHost["state"];

/** How the domain stands: whether TLSA records are deployed, whether they hold, and what it comes down to where they do not. */
export type DomainStanding = { deployment: Deployment; state: DomainState; cause?: Cause; class?: FailureClass };

export function standingOf({ hosts }: Pick<SurveyRow, "hosts">): DomainStanding {
  const withTlsa = hosts.filter(({ tlsa, state }) => tlsa.length > 0 || state === "incorrect");
  if (withTlsa.length === 0) {
    const unknown = hosts.length === 0 || hosts.some(({ state }) => state === "unknown");
    return unknown ? { deployment: "unknown", state: "unknown" } : { deployment: "none", state: "none" };
  }
  const deployment = withTlsa.length === hosts.length ? "whole" : "partly";
  const [wrong] = withTlsa.filter(({ state }) => state === "incorrect").sort((a, b) => order(a) - order(b));
  if (wrong !== undefined) {
    const { cause, class: name } = wrong;
    return {
      deployment,
      state: "incorrect",
      ...(cause === undefined ? {} : { cause }),
      ...(name === undefined ? {} : { class: name }),
    };
  }
  const states = withTlsa.map(({ state }) => state);
  const state = (["unknown", "halfdane", "correct"] as const).find((one) => states.includes(one)) ?? "unknown";
  return { deployment, state };
}

function order({ cause }: SurveyHost): number {
  return cause === undefined ? CAUSES.length : CAUSES.indexOf(cause);
}

/** Domains that have something in common. */
export type Group = { name: string; domains: number; deployed: number; states: Readonly<Record<DomainState, number>> };
export type HostLine = { host: string; domains: number; state: DomainState; cause?: Cause; class?: FailureClass };
export type Count = { name: string; count: number };

export type SurveyResult = {
  domains: number;
  deployment: Readonly<Record<Deployment, number>>;
  states: Readonly<Record<DomainState, number>>;
  /** Of the MX records. */
  dnssec: readonly Count[];
  sts: readonly Count[];
  tlsrpt: number;
  byTld: readonly Group[];
  /** Mail hosts with TLSA records, those of most domains first. */
  byHost: readonly HostLine[];
  byEntity: readonly Group[];
  causes: readonly Count[];
  classes: readonly Count[];
  /** "3 1 1": in how many hosts' records it occurs. */
  parameters: readonly Count[];
  /** Distinct hosts that DANE-EE authenticated, by who issued the certificate. */
  issuers: readonly Count[];
  /** From how many domains on an SLD counts as a provider's. */
  providerThreshold: number;
};

type MutableGroup = { domains: number; deployed: number; states: Record<DomainState, number> };

function noStates(): Record<DomainState, number> {
  return { none: 0, correct: 0, halfdane: 0, incorrect: 0, unknown: 0 };
}

/** Who runs the mail and the names of a domain, in words. */
export function entityOf(row: SurveyRow, popularity: Popularity, threshold: number): { mail: Management; names: Management } {
  const hosts = row.hosts.map(({ host }) => host);
  return {
    mail: managementOf(row.domain, hosts, popularity, threshold),
    names: managementOf(row.domain, row.nameServers, popularity, threshold),
  };
}

/** Counts rows; `popularity` has heard of all of them before. What it keeps grows with hosts and TLDs, not with domains. */
export class Survey {
  readonly #popularity: Popularity;
  readonly #threshold: number;
  #domains = 0;
  #tlsrpt = 0;
  readonly #deployment: Record<Deployment, number> = { whole: 0, partly: 0, none: 0, unknown: 0 };
  readonly #states = noStates();
  readonly #tlds = new Map<string, MutableGroup>();
  readonly #entities = new Map<string, MutableGroup>();
  readonly #hosts = new Map<string, { line: HostLine; host: SurveyHost }>();
  readonly #dnssec = new Map<string, number>();
  readonly #sts = new Map<string, number>();
  readonly #causes = new Map<string, number>();
  readonly #classes = new Map<string, number>();

  /** `domains`: how many there are in all. */
  constructor(popularity: Popularity, domains: number) {
    this.#popularity = popularity;
    this.#threshold = providerThreshold(domains);
  }

  get threshold(): number {
    return this.#threshold;
  }

  add(row: SurveyRow): void {
    const standing = standingOf(row);
    this.#domains += 1;
    this.#deployment[standing.deployment] += 1;
    this.#states[standing.state] += 1;
    if (row.tlsrpt === "yes") this.#tlsrpt += 1;
    count(this.#dnssec, row.dnssec);
    count(this.#sts, row.sts);
    if (standing.cause !== undefined) count(this.#causes, standing.cause);
    if (standing.class !== undefined) count(this.#classes, standing.class);
    join(this.#tlds, topLevelDomain(row.domain), standing);
    const { mail, names } = entityOf(row, this.#popularity, this.#threshold);
    join(this.#entities, `mail ${mail}, names ${names}`, standing);
    for (const host of row.hosts) this.#meet(host);
  }

  /** The state of a host is that of its certificate and records: of domains that lead there by signed MX records, where there are some. */
  #meet(host: SurveyHost): void {
    if (host.tlsa.length === 0) return;
    const { state, cause, class: name } = host;
    const known = this.#hosts.get(host.host);
    const domains = (known?.line.domains ?? 0) + 1;
    if (known !== undefined && rank(known.line.state) <= rank(state)) {
      known.line.domains = domains;
      return;
    }
    const told = { ...(cause === undefined ? {} : { cause }), ...(name === undefined ? {} : { class: name }) };
    this.#hosts.set(host.host, { line: { host: host.host, domains, state, ...told }, host });
  }

  result(): SurveyResult {
    const hosts = [...this.#hosts.values()];
    const parameters = new Map<string, number>();
    const issuers = new Map<string, number>(ISSUER_KINDS.map((kind: IssuerKind) => [kind, 0]));
    for (const { host } of hosts) {
      for (const one of new Set(host.tlsa)) count(parameters, one);
      if (host.issuer !== undefined) count(issuers, host.issuer);
    }
    return {
      domains: this.#domains,
      deployment: { ...this.#deployment },
      states: { ...this.#states },
      dnssec: ranked(this.#dnssec),
      sts: ranked(this.#sts),
      tlsrpt: this.#tlsrpt,
      byTld: groups(this.#tlds),
      byHost: hosts.map(({ line }) => line).sort((a, b) => b.domains - a.domains || compare(a.host, b.host)),
      byEntity: groups(this.#entities),
      causes: ranked(this.#causes),
      classes: ranked(this.#classes),
      parameters: ranked(parameters),
      issuers: ranked(issuers),
      providerThreshold: this.#threshold,
    };
  }
}

/** Of two sights of a host the one that says more. */
function rank(state: DomainState): number {
  return (["incorrect", "correct", "halfdane", "unknown", "none"] as const).indexOf(state);
}

function count(map: Map<string, number>, name: string): void {
  map.set(name, (map.get(name) ?? 0) + 1);
}

function join(map: Map<string, MutableGroup>, name: string, { deployment, state }: DomainStanding): void {
  const group = map.get(name) ?? { domains: 0, deployed: 0, states: noStates() };
  group.domains += 1;
  if (deployment === "whole" || deployment === "partly") group.deployed += 1;
  group.states[state] += 1;
  map.set(name, group);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function groups(map: ReadonlyMap<string, MutableGroup>): readonly Group[] {
  const all = [...map].map(([name, group]) => ({ name, ...group }));
  return all.sort((a, b) => b.domains - a.domains || compare(a.name, b.name));
}

function ranked(map: ReadonlyMap<string, number>): readonly Count[] {
  return [...map].map(([name, one]) => ({ name, count: one })).sort((a, b) => b.count - a.count || compare(a.name, b.name));
}
