import { type ResourceRecord, RR_TYPE } from "../dns/message.ts";
import type { DomainName } from "../dns/name.ts";
import { TtlCache } from "./cache.ts";
import { type AddressPolicy, nameserverAddress } from "./nameserverAddress.ts";
import type { RecursorLimits, WorkBudget } from "./recursorLimits.ts";
import type { SourceAnswer } from "./source.ts";

/** One question with all that has to be found out for it. */
export type Undertaking = {
  budget: WorkBudget;
  /** 0 for the question itself, 1 for the address of a name server it needs, and so on. */
  depth: number;
  /** Zones whose servers' addresses are being looked up on the way here: to need one of them again is a circle. */
  expanding: ReadonlySet<DomainName>;
};

export type Resolve = (name: DomainName, type: number, undertaking: Undertaking) => Promise<SourceAnswer>;

const MAX_NAMESERVERS = 20_000;
/** A look-up that failed is not repeated for so long: a zone whose servers lead in a circle costs its queries once (RFC 9520 §3.2). */
const FAILURE_SECONDS = 10;
/** For a server that has no address at all. */
const ABSENCE_SECONDS = 60;
const MIN_TTL_SECONDS = 5;
const FAILED: SourceAnswer = { kind: "failed", reason: "the look-up broke off" };

/** Looks up and remembers the addresses of name servers, from the zones that these names belong to. */
export class NameserverAddresses {
  readonly #policy: AddressPolicy;
  readonly #limits: RecursorLimits;
  readonly #resolve: Resolve;
  readonly #known: TtlCache<readonly string[]>;

  constructor(options: { policy: AddressPolicy; limits: RecursorLimits; resolve: Resolve; monotonic: () => number }) {
    this.#policy = options.policy;
    this.#limits = options.limits;
    this.#resolve = options.resolve;
    this.#known = new TtlCache(MAX_NAMESERVERS, options.monotonic);
  }

  /** What an earlier look-up gave; undefined when there is none to speak of, [] when it found nothing. */
  remembered(nameserver: DomainName): readonly string[] | undefined {
    return this.#known.get(nameserver)?.value;
  }

  /**
   * The addresses of one name server: first those of the family that is found sooner, then all; [] when they cannot be found out. Some
   * servers never answer for one of the families, and that must not cost the question its time. An alias is not followed (RFC 2181 §10.3).
   */
  async *lookUp(nameserver: DomainName, undertaking: Undertaking): AsyncGenerator<readonly string[], void, undefined> {
    const remembered = this.remembered(nameserver);
    if (remembered !== undefined) return yield remembered;
    const types = [...(this.#policy.ipv4 ? [RR_TYPE.A] : []), ...(this.#policy.ipv6 ? [RR_TYPE.AAAA] : [])];
    if (types.length === 0 || undertaking.depth >= this.#limits.nameserverLookupDepth || !undertaking.budget.spendLookup())
      return;
    const below = { ...undertaking, depth: undertaking.depth + 1 };
    const answers = types.map((type) => this.#resolve(nameserver, type, below));
    const all = Promise.allSettled(answers).then((settled) => {
      const known = settled.map((one) => (one.status === "fulfilled" ? one.value : FAILED));
      return this.#remember(nameserver, known, types);
    });
    const sooner = answers.map(async (answer, i) => {
      const found = this.#usable(addressRecords(await answer, nameserver, types[i]));
      return found.length > 0 ? found : await all;
    });
    const first = await Promise.race(sooner);
    if (this.remembered(nameserver) === undefined) this.#known.set(nameserver, first, MIN_TTL_SECONDS);
    yield first;
    yield await all;
  }

  #remember(nameserver: DomainName, answers: readonly SourceAnswer[], types: readonly number[]): readonly string[] {
    const records = answers.flatMap((answer, i) => addressRecords(answer, nameserver, types[i]));
    const addresses = this.#usable(records);
    const failed = answers.some((answer) => answer.kind === "failed");
    const ttl = Math.max(MIN_TTL_SECONDS, Math.min(...records.map((record) => record.ttl)));
    this.#known.set(nameserver, addresses, addresses.length > 0 ? ttl : failed ? FAILURE_SECONDS : ABSENCE_SECONDS);
    return addresses;
  }

  #usable(records: readonly ResourceRecord[]): string[] {
    const addresses = new Set<string>();
    for (const record of records) {
      const address = nameserverAddress(record, this.#policy);
      if (address !== undefined && addresses.size < this.#limits.addressesPerNameserver) addresses.add(address);
    }
    return [...addresses];
  }
}

function addressRecords(answer: SourceAnswer, nameserver: DomainName, type: number | undefined): readonly ResourceRecord[] {
  if (answer.kind === "failed") return [];
  return answer.message.answer.filter((record) => record.name === nameserver && record.type === type);
}
