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

  /** The addresses of one name server; [] when they cannot be found out. An alias is not followed (RFC 2181 §10.3). */
  async lookUp(nameserver: DomainName, undertaking: Undertaking): Promise<readonly string[]> {
    const remembered = this.remembered(nameserver);
    if (remembered !== undefined) return remembered;
    if (undertaking.depth >= this.#limits.nameserverLookupDepth || !undertaking.budget.spendLookup()) return [];
    const types = [...(this.#policy.ipv4 ? [RR_TYPE.A] : []), ...(this.#policy.ipv6 ? [RR_TYPE.AAAA] : [])];
    const below = { ...undertaking, depth: undertaking.depth + 1 };
    const answers = await Promise.all(types.map((type) => this.#resolve(nameserver, type, below)));
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
