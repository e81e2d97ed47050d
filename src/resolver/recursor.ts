import type { Clock, Random } from "../clock.ts";
import { CLASS_IN, type Question, RR_TYPE } from "../dns/message.ts";
import { type DomainName, displayName, isWithin, ROOT } from "../dns/name.ts";
import { RCODE } from "./authoritativeResponse.ts";
import { TtlCache } from "./cache.ts";
import { type Delegation, DelegationCache } from "./delegation.ts";
import type { AddressPolicy } from "./nameserverAddress.ts";
import { NameserverAddresses, type Undertaking } from "./nameserverAddresses.ts";
import { minimisedNames } from "./qnameMinimisation.ts";
import { RECURSOR_LIMITS, type RecursorLimits, WorkBudget } from "./recursorLimits.ts";
import { IANA_ROOT_SERVERS, type RootServer } from "./rootHints.ts";
import { ServerQueries } from "./serverQuery.ts";
import { ServerSelection } from "./serverSelection.ts";
import type { AskOptions, Source, SourceAnswer } from "./source.ts";
import type { ServerAddress, Transport } from "./transport.ts";
import { type ZoneAnswer, ZoneQuery } from "./zoneQuery.ts";
import { zoneServers } from "./zoneServers.ts";

/** A zone whose servers are configured, not learned. */
export type ConfiguredZone = { zone: DomainName; servers: readonly [ServerAddress, ...ServerAddress[]] };

export type RecursorOptions = {
  transport: Transport;
  clock: Clock;
  random: Random;
  /** Default: IANA's. */
  rootHints?: readonly RootServer[];
  limits?: Partial<RecursorLimits>;
  /** RFC 9156; default true. */
  qnameMinimisation?: boolean;
  /** Default true, both. */
  ipv4?: boolean;
  ipv6?: boolean;
  /** Whether queries may go to learned addresses on this machine; default false. */
  allowLoopback?: boolean;
  /** Ports of server addresses that are not 53, for laboratories. */
  ports?: ReadonlyMap<string, number>;
  /** Whether glue for names outside the delegated zone is used only after a look-up of these names failed; default false. */
  verifySiblingGlue?: boolean;
  /** Zones that recursive servers are asked for (RD=1), as for what is private. */
  forwardZones?: readonly ConfiguredZone[];
  /** Zones whose authoritative servers are configured. */
  stubZones?: readonly ConfiguredZone[];
};

const MAX_BOUNDARIES = 50_000;
/** How long "here begins no zone" is believed: it only spares queries, and the next query for the name finds a new zone anyway. */
const NO_CUT_SECONDS = 600;
/** A referral this fresh is not asked for again when the servers it named do not answer. */
const MIN_AGE_OF_OUTDATED_SECONDS = 30;
const NOBODY: ReadonlySet<string> = new Set();

/**
 * Resolves names by iteration from the root (RFC 1034 §5.3.3): asks the servers of the closest known zone, follows their referrals
 * downward, and returns the first message that is an answer, scrubbed to what the answering zone may say of the question. Nothing is
 * validated here. Alias targets are not followed. Every way of not getting an answer is `failed`, never absence.
 */
export function createRecursor(options: RecursorOptions): Source {
  return new Recursor(options);
}

class Recursor implements Source {
  readonly #limits: RecursorLimits;
  readonly #policy: AddressPolicy;
  readonly #monotonic: () => number;
  readonly #minimise: boolean;
  readonly #selection: ServerSelection;
  readonly #queries: ServerQueries;
  readonly #delegations: DelegationCache;
  readonly #addresses: NameserverAddresses;
  readonly #noCut: TtlCache<true>;
  readonly #servers: { random: Random; ports: ReadonlyMap<string, number>; verifySiblingGlue: boolean };
  readonly #underway = new Map<string, Promise<SourceAnswer>>();

  constructor(options: RecursorOptions) {
    const { clock, random } = options;
    const monotonic = () => clock.monotonic();
    this.#monotonic = monotonic;
    this.#limits = { ...RECURSOR_LIMITS, ...options.limits };
    this.#minimise = options.qnameMinimisation ?? true;
    const { ipv4 = true, ipv6 = true, allowLoopback = false } = options;
    this.#policy = { ipv4, ipv6, allowLoopback };
    this.#selection = new ServerSelection(clock, random);
    this.#queries = new ServerQueries(options.transport, this.#selection);
    const ports = options.ports ?? new Map();
    this.#servers = { random, ports, verifySiblingGlue: options.verifySiblingGlue ?? false };
    this.#delegations = new DelegationCache(configuredDelegations(options, this.#policy), monotonic);
    this.#noCut = new TtlCache(MAX_BOUNDARIES, monotonic);
    this.#addresses = new NameserverAddresses({
      policy: this.#policy,
      limits: this.#limits,
      monotonic,
      resolve: (name, type, undertaking) => this.#resolve(name, type, undertaking, NOBODY),
    });
  }

  ask(name: DomainName, type: number, options: AskOptions = {}): Promise<SourceAnswer> {
    const avoid = options.avoid ?? NOBODY;
    const undertaking = () => ({
      budget: new WorkBudget(this.#limits, this.#monotonic),
      depth: 0,
      expanding: new Set<DomainName>(),
    });
    if (avoid.size > 0) return this.#resolve(name, type, undertaking(), avoid);
    // Only whole questions share an answer; look-ups within them never wait for another question, so that none can wait for itself.
    const key = `${type} ${name}`;
    const underway = this.#underway.get(key);
    if (underway !== undefined) return underway;
    const answer = this.#resolve(name, type, undertaking(), NOBODY).finally(() => this.#underway.delete(key));
    this.#underway.set(key, answer);
    return answer;
  }

  async #resolve(name: DomainName, type: number, undertaking: Undertaking, avoid: ReadonlySet<string>): Promise<SourceAnswer> {
    if (type === RR_TYPE.DS) {
      const known = this.#delegations.dsAnswer(name, [{ name, type, class: CLASS_IN }]);
      if (known !== undefined && !avoid.has(known.from)) return { kind: "message", ...known };
    }
    const start = this.#delegations.closest(name, type);
    const first = await this.#iterate({ name, type, undertaking, avoid }, start);
    if (first.kind === "message" || undertaking.budget.exhausted !== undefined) return first;
    // What was known of the zone may be outdated: its parent is asked anew, once.
    if (!this.#delegations.forgetOlder(start.zone, MIN_AGE_OF_OUTDATED_SECONDS)) return first;
    const again = await this.#iterate({ name, type, undertaking, avoid }, this.#delegations.closest(name, type));
    return again.kind === "message" ? again : first;
  }

  /** Goes down from `start` until an answer comes. */
  async #iterate(wanted: Wanted, start: Delegation): Promise<SourceAnswer> {
    const { name } = wanted;
    let delegation = start;
    let steps = this.#namesToAsk(name, delegation);
    for (let referrals = 0; referrals <= this.#limits.referralsPerName; ) {
      const exhausted = wanted.undertaking.budget.exhausted;
      if (exhausted !== undefined) return { kind: "failed", reason: exhausted };
      const step = steps.shift() ?? name;
      const isFinal = step === name;
      const answer = await this.#askZone(
        delegation,
        isFinal ? wanted : { ...wanted, name: step, type: RR_TYPE.A, avoid: NOBODY },
      );
      if (answer.kind === "referral") {
        delegation = this.#delegations.learn(answer.referral, answer.from, delegation);
        steps = steps.filter((later) => later !== delegation.zone && isWithin(later, delegation.zone));
        if (!isFinal && delegation.zone !== step) steps.unshift(step);
        referrals += 1;
      } else if (isFinal) {
        // DS is answered above a cut as well as where there is none.
        const tellsOfCut = answer.kind === "answer" && answer.message.rcode === RCODE.NOERROR && wanted.type !== RR_TYPE.DS;
        if (tellsOfCut) this.#rememberNoCut(name, delegation);
        if (answer.kind === "failed") return { kind: "failed", reason: answer.reason };
        return { kind: "message", message: answer.message, from: answer.from };
      } else if (answer.kind === "answer" && answer.message.rcode === RCODE.NOERROR) {
        this.#rememberNoCut(step, delegation);
      } else if (answer.kind === "failed" && answer.silent) {
        return { kind: "failed", reason: answer.reason };
      } else {
        // RFC 9156 §3 (6d), (6e): servers that are wrong about empty non-terminals, or fail on what is minimised: the whole name.
        steps = [];
      }
    }
    return { kind: "failed", reason: `more than ${this.#limits.referralsPerName} referrals on the way to ${displayName(name)}` };
  }

  #namesToAsk(name: DomainName, delegation: Delegation): DomainName[] {
    const forwarded = delegation.kind === "configured" && delegation.recursionDesired;
    if (!this.#minimise || forwarded) return [];
    return minimisedNames(name, delegation.zone).filter((step) => step === name || this.#noCut.get(step) === undefined);
  }

  #rememberNoCut(name: DomainName, delegation: Delegation): void {
    if (name !== delegation.zone) this.#noCut.set(name, true, NO_CUT_SECONDS);
  }

  #askZone(delegation: Delegation, wanted: Wanted): Promise<ZoneAnswer> {
    const { undertaking, avoid } = wanted;
    const question: Question = { name: wanted.name, type: wanted.type, class: CLASS_IN };
    const known = { delegations: this.#delegations, addresses: this.#addresses, selection: this.#selection };
    const servers = (isContent: () => boolean) =>
      zoneServers(delegation, undertaking, { ...this.#servers, ...known, limits: this.#limits }, isContent);
    const query = new ZoneQuery(
      { question, delegation, servers, avoid, undertaking },
      { queries: this.#queries, ...known, addresses: this.#policy, limits: this.#limits },
    );
    return query.answer();
  }
}

type Wanted = { name: DomainName; type: number; undertaking: Undertaking; avoid: ReadonlySet<string> };

function configuredDelegations(options: RecursorOptions, policy: AddressPolicy): Delegation[] {
  const configured = (entry: ConfiguredZone, recursionDesired: boolean): Delegation => ({
    kind: "configured",
    zone: entry.zone,
    addresses: entry.servers,
    recursionDesired,
  });
  const hints = (options.rootHints ?? IANA_ROOT_SERVERS).flatMap((server) => server.addresses);
  const usable = hints.filter((address) => (address.includes(":") ? policy.ipv6 : policy.ipv4));
  const addresses = usable.map((address) => ({ address, port: options.ports?.get(address) ?? 53 }));
  return [
    { kind: "configured", zone: ROOT, addresses, recursionDesired: false },
    ...(options.stubZones ?? []).map((entry) => configured(entry, false)),
    ...(options.forwardZones ?? []).map((entry) => configured(entry, true)),
  ];
}
