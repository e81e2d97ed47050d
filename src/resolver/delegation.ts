import { type Message, type ResourceRecord, RR_TYPE } from "../dns/message.ts";
import { type DomainName, isWithin, parentOf } from "../dns/name.ts";
import { detachedRecords } from "../dns/rrset.ts";
import { MAX_TTL_SECONDS, TtlCache } from "./cache.ts";
import type { Nameserver, Referral } from "./referral.ts";
import type { ServerAddress } from "./transport.ts";

/**
 * Which servers serve a zone, as far as the recursor knows.
 *
 * learned: from a referral of the parent. The parent's word counts until its TTL ends and is then asked for again; neither what the child
 * says of itself nor what is delegated below it prolongs it, so a withdrawn delegation ends with all its subdomains (no ghost domains).
 * child side: names of servers that the zone itself lists beyond those of the parent; only asked when the parent's all fail.
 * configured: root hints and stub zones (asked as authoritative servers) or forward zones (asked with RD=1); these never end.
 */
export type Delegation =
  /** `until`: on the monotonic clock, in milliseconds. */
  | { kind: "learned"; zone: DomainName; nameservers: readonly Nameserver[]; until: number }
  | { kind: "configured"; zone: DomainName; addresses: readonly ServerAddress[]; recursionDesired: boolean };

type Learned = { delegation: Delegation & { kind: "learned" }; referral: Referral; from: string; at: number };

/** About 1 KB each as a rule, 16 KB and more when a zone does its worst. */
const MAX_DELEGATIONS = 20_000;
const MAX_DELEGATION_OCTETS = 32 * 2 ** 20;
const DELEGATION_OCTETS = 500;
/** Of a name server without its names, or of a record without its data. */
const PART_OCTETS = 200;
const ADDRESS_OCTETS = 50;
/** A TTL of zero is for the question in progress only; this much keeps its follow-up questions from starting at the parent each time. */
const MIN_TTL_SECONDS = 1;

export class DelegationCache {
  readonly #configured: ReadonlyMap<DomainName, Delegation>;
  readonly #learned: TtlCache<Learned>;
  readonly #childSide: TtlCache<readonly DomainName[]>;
  readonly #monotonic: () => number;

  constructor(configured: readonly Delegation[], monotonic: () => number) {
    this.#configured = new Map(configured.map((delegation) => [delegation.zone, delegation]));
    this.#learned = new TtlCache(MAX_DELEGATIONS, monotonic, { maxOctets: MAX_DELEGATION_OCTETS, octetsOf });
    this.#childSide = new TtlCache(MAX_DELEGATIONS, monotonic);
    this.#monotonic = monotonic;
  }

  /** The delegation with most labels that leads to `name`; for type DS the one above it (RFC 4035 §3.1.4.1). */
  closest(name: DomainName, type: number): Delegation {
    let zone: DomainName | undefined = type === RR_TYPE.DS ? (parentOf(name) ?? name) : name;
    for (; zone !== undefined; zone = parentOf(zone)) {
      const found = this.#configured.get(zone) ?? this.#learned.get(zone)?.value.delegation;
      if (found !== undefined) return found;
    }
    throw new Error("no delegation of the root is configured");
  }

  /**
   * What a server of the zone `above` referred to. It ends with the delegation of `above` at the latest: who had that zone could otherwise
   * stay, below it, for as long as he likes (CVE-2022-30698), also by an answer that comes when that has just ended (CVE-2022-30699).
   */
  learn(referral: Referral, from: string, above: Delegation): Delegation {
    const { zone, nameservers } = referral;
    const at = this.#monotonic();
    const ttlSeconds = Math.min(MAX_TTL_SECONDS, Math.max(MIN_TTL_SECONDS, referral.ttlSeconds));
    const until = Math.min(at + ttlSeconds * 1000, above.kind === "learned" ? above.until : Number.POSITIVE_INFINITY);
    const delegation = { kind: "learned", zone, nameservers, until } as const;
    const kept = { ...referral, cutProof: detachedRecords(referral.cutProof) };
    this.#learned.set(zone, { delegation, referral: kept, from, at }, (until - at) / 1000);
    return delegation;
  }

  /** Forgets a learned delegation of that age; false when there is none to forget. */
  forgetOlder(zone: DomainName, ageSeconds: number): boolean {
    const known = this.#learned.get(zone)?.value;
    if (known === undefined || this.#monotonic() - known.at < ageSeconds * 1000) return false;
    this.#learned.delete(zone);
    return true;
  }

  /** Keeps names that the zone's own servers give for it; none within the zone: they could not be reached without it. */
  learnChildSide(zone: DomainName, names: readonly DomainName[]): void {
    const known = this.#learned.get(zone);
    const outside = names.filter((name) => !isWithin(name, zone));
    if (known !== undefined && outside.length > 0) this.#childSide.set(zone, outside, known.ttlSeconds);
  }

  childSide(zone: DomainName): readonly DomainName[] {
    return this.#childSide.get(zone)?.value ?? [];
  }

  /** Glue that parents gave for a server in delegations it lies in: for when its own zone does not tell the address. */
  glueOf(nameserver: DomainName): readonly string[] {
    for (let zone: DomainName | undefined = nameserver; zone !== undefined; zone = parentOf(zone)) {
      const servers = this.#learned.get(zone)?.value.delegation.nameservers ?? [];
      const glue = servers.find((server) => server.name === nameserver)?.glue ?? [];
      if (glue.length > 0) return glue;
    }
    return [];
  }

  /**
   * The answer to a DS question as far as the referral to `zone` held it: the DS records, or the denial. Saves one query for each zone cut.
   * It is evidence like any other: unvalidated. Where it does not hold, the server that referred may still answer the question itself:
   * `from` names the referral, not the server.
   */
  dsAnswer(zone: DomainName, question: Message["questions"]): { message: Message; from: string } | undefined {
    const known = this.#learned.get(zone)?.value;
    if (known === undefined || known.referral.cutProof.length === 0) return undefined;
    const age = Math.ceil((this.#monotonic() - known.at) / 1000);
    const records = known.referral.cutProof.map((record) => ({ ...record, ttl: Math.max(0, record.ttl - age) }));
    const isDs = records.some((record) => record.type === RR_TYPE.DS);
    return { message: parentMessage(question, isDs ? records : [], isDs ? [] : records), from: `referral by ${known.from}` };
  }
}

function octetsOf({ delegation, referral }: Learned): number {
  const servers = delegation.nameservers.reduce(
    (sum, { name, glue }) => sum + PART_OCTETS + name.length + ADDRESS_OCTETS * glue.length,
    0,
  );
  const proof = referral.cutProof.reduce((sum, { name, rdata }) => sum + PART_OCTETS + name.length + rdata.length, 0);
  return DELEGATION_OCTETS + servers + proof;
}

function parentMessage(questions: Message["questions"], answer: ResourceRecord[], authority: ResourceRecord[]): Message {
  return {
    id: 0,
    response: true,
    opcode: 0,
    authoritative: true,
    truncated: false,
    recursionDesired: false,
    recursionAvailable: false,
    authenticData: false,
    checkingDisabled: false,
    rcode: 0,
    questions,
    answer,
    authority,
    additional: [],
  };
}
