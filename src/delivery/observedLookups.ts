import { type ChainLink, type ChainRules, chainOf, type KeyFact, keysOfZone } from "../diagnosis/chainLink.ts";
import { type DenialFact, denialFacts } from "../diagnosis/denialFact.ts";
import type { EvidenceLog } from "../diagnosis/evidenceLog.ts";
import type { LookupObservation } from "../diagnosis/observation.ts";
import { type SignatureFact, signatureFacts } from "../diagnosis/signatureFact.ts";
import { dsLines } from "../diagnosis/zoneLine.ts";
import { isMalformed, type Message, RR_TYPE } from "../dns/message.ts";
import type { DomainName } from "../dns/name.ts";
import { decodeTarget, type LookupType, type RecordData } from "../dns/rdata.ts";
import { rrsetsOf } from "../dns/rrset.ts";
import type { Resolution } from "../dnssec/securityStatus.ts";
import type { Resolver, ValidatingResolver } from "../resolver/resolver.ts";

type Made = { name: DomainName; type: LookupType; resolution: Resolution<unknown> };

/** A resolver that remembers what it was asked, and can say of each look-up what its verdict rests on. */
export class ObservedLookups implements Resolver {
  readonly #resolver: ValidatingResolver;
  readonly #log: EvidenceLog;
  readonly #rules: ChainRules;
  #made: Made[] = [];

  /** `log` hears the evidence of `resolver`. */
  constructor(resolver: ValidatingResolver, log: EvidenceLog, rules: ChainRules) {
    this.#resolver = resolver;
    this.#log = log;
    this.#rules = rules;
  }

  async resolve<T extends LookupType>(name: DomainName, type: T): Promise<Resolution<RecordData[T]>> {
    const resolution = await this.#resolver.resolve(name, type);
    this.#made.push({ name, type, resolution });
    return resolution;
  }

  /** The look-ups since this was asked last, with their evidence. */
  async take(): Promise<readonly LookupObservation[]> {
    const made = this.#made;
    this.#made = [];
    const observed: LookupObservation[] = [];
    for (const one of made) observed.push(await this.#describe(one));
    return observed;
  }

  /** The names of the domain's name servers: whose hands its DNS is in. Empty where there is no answer. */
  async nameServers(zone: DomainName): Promise<readonly string[]> {
    const found = await this.#resolver.lookup(zone, RR_TYPE.NS);
    if (!("records" in found)) return [];
    return found.records.flatMap(({ rdata }) => {
      const target = decodeTarget(rdata);
      return isMalformed(target) ? [] : [target];
    });
  }

  async #describe({ name, type, resolution }: Made): Promise<LookupObservation> {
    const chain = this.#chain(name, resolution);
    const unvouchedKeys = resolution.status === "insecure" ? await this.#unvouchedKeys(chain) : undefined;
    return {
      name,
      type,
      resolution,
      signatures: this.#signatures(name, RR_TYPE[type]),
      denial: this.#denial(name, RR_TYPE[type], resolution),
      chain,
      ...(unvouchedKeys === undefined ? {} : { unvouchedKeys }),
    };
  }

  /** Of the names that an answer leads through, the chain of the first that does not hold; else that of the last. */
  #chain(name: DomainName, resolution: Resolution<unknown>): readonly ChainLink[] {
    const aliases = "aliases" in resolution ? resolution.aliases : [];
    const chains = [name, ...aliases.map(({ target }) => target)].map((one) => chainOf(one, this.#log, this.#rules));
    return chains.find((links) => links.some(({ status }) => status !== "secure")) ?? chains.at(-1) ?? [];
  }

  #signatures(name: DomainName, type: number): readonly SignatureFact[] {
    const { algorithms, now } = this.#rules;
    const sets = rrsetsOf(this.#log.message(name, type)?.answer ?? []);
    const [set] = sets.filter((one) => one.name === name && (one.type === type || one.type === RR_TYPE.CNAME));
    return signatureFacts(
      set ?? { name, type, ttl: 0, rdatas: [], signatures: [] },
      (zone) => keysOfZone(zone, this.#log, algorithms),
      now,
    );
  }

  #denial(name: DomainName, type: number, resolution: Resolution<unknown>): readonly DenialFact[] {
    const end = "name" in resolution ? resolution.name : name;
    const absent = !("answer" in resolution) || resolution.answer !== "records";
    const message: Message | undefined = this.#log.message(end, type) ?? this.#log.message(name, type);
    return absent && message !== undefined ? denialFacts(message, end) : [];
  }

  /** The keys of a zone to which no DS leads: those that do sign it (RFC 4035 §5.2). */
  async #unvouchedKeys(chain: readonly ChainLink[]): Promise<LookupObservation["unvouchedKeys"]> {
    const end = chain.find(({ status }) => status !== "secure");
    if (end === undefined || end.status !== "insecure" || end.ds.length > 0) return undefined;
    const { zone } = end;
    await this.#resolver.lookup(zone, RR_TYPE.DNSKEY);
    const link = chainOf(zone, this.#log, this.#rules).find((one) => one.zone === zone);
    if (link === undefined) return undefined;
    const signing = link.keySignatures.filter(({ verdict }) => verdict.kind === "holds").map(({ keyTag }) => keyTag);
    const keys: readonly KeyFact[] = link.keys.filter(({ keyTag }) => signing.includes(keyTag));
    return { zone, lines: dsLines(zone, keys) };
  }
}
