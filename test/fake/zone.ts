import { CLASS_IN, type Message, type ResourceRecord, RR_TYPE } from "../../src/dns/message.ts";
import {
  type DomainName,
  isName,
  isWithin,
  labelCount,
  labelsOf,
  name,
  nameToWire,
  parentOf,
  parseName,
  suffixOf,
  wildcardOf,
} from "../../src/dns/name.ts";
import { decodeTarget } from "../../src/dns/rdata.ts";
import type { Source, SourceAnswer } from "../../src/resolver/source.ts";
import { type DenialChain, nsec3Chain, nsecChain, type Owner } from "./denialChain.ts";
import { record, response } from "./dnsWire.ts";
import { dnskeyRecord, dsRecord, type SigningKey, signingKey, signRrset, type Window } from "./signer.ts";

/**
 * Zones in memory, signed or not, that answer as one recursor would that passes everything on: alias chains joined, each hop with its
 * signatures and proofs, DS answered by the parent. Whatever the validator must refuse is made by `tamper`.
 */

export type ZoneDefinition = {
  name: string;
  /** As in zone files, names absolute. SOA, NS, DNSKEY and delegations to the other zones are added where missing. */
  records?: readonly string[];
  /** All sign everything, unless some are marked as secure entry points and others not: then those sign the DNSKEY RRset and these the rest. */
  keys?: readonly SigningKey[];
  /** No keys, no signatures, no proofs. */
  unsigned?: boolean;
  /** Signed, but the parent has no DS. */
  island?: boolean;
  denial?: "nsec" | "nsec3" | "nsec3-opt-out";
  nsec3?: { salt?: string; iterations?: number };
  window?: Window;
};

/** The moment that the default signature window lies around: 2026-01-01T00:00:00Z. */
export const FAKE_NOW = 1_767_225_600;
export const FAKE_WINDOW: Window = { inception: FAKE_NOW - 86_400, expiration: FAKE_NOW + 14 * 86_400 };

const MAX_HOPS = 12;
const TTL = 3600;
const NXDOMAIN = 3;

export type Tamper = (message: Message, name: DomainName, type: number) => Message | "fail";

export type FakeDns = {
  source: Source;
  /** DS records of the root's keys. */
  anchors: readonly ResourceRecord[];
  answer: (name: DomainName, type: number) => Message;
  zone: (name: string) => Zone;
  /** The zone with this apex. */
  zoneAt: (apex: DomainName) => Zone | undefined;
  /** Every question that came to `source`, in order. */
  asked: { name: DomainName; type: number }[];
};

export function fakeDns(definitions: readonly ZoneDefinition[], tamper: Tamper = (message) => message): FakeDns {
  const zones = definitions.map((definition) => new Zone(definition)).sort((a, b) => labelCount(b.apex) - labelCount(a.apex));
  const byApex: ZoneTable = new Map(zones.map((zone) => [zone.apex, zone]));
  for (const zone of zones) enclosing(byApex, parentOf(zone.apex))?.delegate(zone);
  const root = byApex.get(name("."));
  const asked: { name: DomainName; type: number }[] = [];
  const answer = (asName: DomainName, type: number): Message => answerQuestion(byApex, asName, type);
  const ask = (asName: DomainName, type: number): Promise<SourceAnswer> => {
    asked.push({ name: asName, type });
    const message = tamper(answer(asName, type), asName, type);
    return Promise.resolve(message === "fail" ? { kind: "failed", reason: "SERVFAIL" } : { kind: "message", message });
  };
  const zone = (zoneName: string): Zone => {
    const found = byApex.get(name(zoneName));
    if (found === undefined) throw new Error(`no zone ${zoneName}`);
    return found;
  };
  return {
    source: { ask },
    anchors: (root?.keys ?? []).map((key) => dsRecord(name("."), key)),
    answer,
    zone,
    zoneAt: (apex) => byApex.get(apex),
    asked,
  };
}

type ZoneTable = ReadonlyMap<DomainName, Zone>;

/** The innermost zone that `of` lies in. */
function enclosing(zones: ZoneTable, of: DomainName | undefined): Zone | undefined {
  for (let at = of; at !== undefined; at = parentOf(at)) {
    const zone = zones.get(at);
    if (zone !== undefined) return zone;
  }
  return undefined;
}

function answerQuestion(zones: ZoneTable, asked: DomainName, type: number): Message {
  const answer: ResourceRecord[] = [];
  const authority: ResourceRecord[] = [];
  let rcode = 0;
  let target: DomainName | undefined = asked;
  for (let hop = 0; target !== undefined && hop < MAX_HOPS; hop += 1) {
    const current: DomainName = target;
    const parentSide = type === RR_TYPE.DS && current !== ".";
    const zone = enclosing(zones, parentSide ? parentOf(current) : current);
    if (zone === undefined) return response({ rcode: 2 });
    const step = zone.step(current, type);
    answer.push(...step.answer);
    authority.push(...step.authority);
    rcode = step.rcode;
    target = step.next;
  }
  const questions = [{ name: asked, type, class: CLASS_IN }];
  return response({ questions, rcode, answer, authority });
}

type Step = { answer: ResourceRecord[]; authority: ResourceRecord[]; rcode: number; next?: DomainName };

export class Zone {
  readonly apex: DomainName;
  readonly keys: readonly SigningKey[];
  readonly #definition: ZoneDefinition;
  readonly #rrsets = new Map<DomainName, Map<number, ResourceRecord[]>>();
  readonly #signatures = new Map<string, ResourceRecord[]>();
  /** Made when they are needed; gone when a record is added. */
  #names: ReadonlySet<DomainName> | undefined;
  #denials: DenialChain | undefined;

  constructor(definition: ZoneDefinition) {
    this.#definition = definition;
    this.apex = name(definition.name);
    this.keys = definition.unsigned === true ? [] : (definition.keys ?? [signingKey({ seed: definition.name })]);
    for (const text of definition.records ?? []) this.add(record(text));
    const under = this.apex === "." ? "" : this.apex;
    if (this.rrset(this.apex, RR_TYPE.SOA).length === 0)
      this.add(record(`${this.apex} SOA ns.${under} hostmaster.${under} 1 7200 3600 1209600 300`));
    if (this.rrset(this.apex, RR_TYPE.NS).length === 0) this.add(record(`${this.apex} NS ns.${under}`));
    for (const key of this.keys) this.add(dnskeyRecord(this.apex, key));
  }

  add(one: ResourceRecord): void {
    this.#names = undefined;
    this.#denials = undefined;
    const types = this.#rrsets.get(one.name) ?? new Map<number, ResourceRecord[]>();
    this.#rrsets.set(one.name, types);
    types.set(one.type, [...(types.get(one.type) ?? []), one]);
  }

  /** Adds NS and, where the child is signed and no island, DS. */
  delegate(child: Zone): void {
    if (this.rrset(child.apex, RR_TYPE.NS).length === 0) this.add(record(`${child.apex} NS ns.${child.apex}`));
    if (child.#definition.island === true) return;
    for (const key of child.#entryKeys()) this.add(dsRecord(child.apex, key));
  }

  rrset(owner: DomainName, type: number): readonly ResourceRecord[] {
    return this.#rrsets.get(owner)?.get(type) ?? [];
  }

  /** The RRset with its signatures; as if expanded from a wildcard when another `owner` is given. */
  signed(owner: DomainName, type: number, as = owner): ResourceRecord[] {
    const rrset = this.rrset(owner, type);
    return [...rrset, ...this.sign(rrset)].map((one) => ({ ...one, name: as }));
  }

  sign(rrset: readonly ResourceRecord[]): ResourceRecord[] {
    const [first] = rrset;
    if (first === undefined) return [];
    const id = `${first.type} ${first.name}`;
    const keys = first.type === RR_TYPE.DNSKEY ? this.#entryKeys() : this.#zoneKeys();
    const window = this.#definition.window ?? FAKE_WINDOW;
    const signatures = this.#signatures.get(id) ?? keys.map((key) => signRrset(rrset, key, this.apex, window));
    this.#signatures.set(id, signatures);
    return signatures;
  }

  #entryKeys(): readonly SigningKey[] {
    const entries = this.keys.filter((key) => (key.dnskey.readUInt16BE(0) & 1) === 1);
    return entries.length === 0 ? this.keys : entries;
  }

  #zoneKeys(): readonly SigningKey[] {
    const others = this.keys.filter((key) => (key.dnskey.readUInt16BE(0) & 1) === 0);
    return others.length === 0 ? this.keys : others;
  }

  /** What this zone contributes to the answer for `asked`: its records, or an alias to follow, or a proof that there is nothing. */
  step(asked: DomainName, type: number): Step {
    const dname = this.#ancestors(asked).find((ancestor) => this.rrset(ancestor, RR_TYPE.DNAME).length > 0);
    if (dname !== undefined) return this.#viaDname(dname, asked);
    if (this.#exists(asked)) return this.#at(asked, asked, type, []);
    const encloser = this.#ancestors(asked).find((ancestor) => this.#exists(ancestor)) ?? this.apex;
    const wildcard = wildcardOf(encloser);
    const nextCloser = suffixOf(asked, labelCount(encloser) + 1);
    const chain = this.#chain();
    if (this.#exists(wildcard)) return this.#at(wildcard, asked, type, this.#signedProof(chain.expansion(asked, nextCloser)));
    const proof = this.#signedProof([...chain.absence(asked), ...chain.cover(wildcard)]);
    return { answer: [], authority: [...this.#soa(), ...proof], rcode: NXDOMAIN };
  }

  #at(owner: DomainName, asked: DomainName, type: number, expansion: ResourceRecord[]): Step {
    if (this.rrset(owner, type).length > 0) return { answer: this.signed(owner, type, asked), authority: expansion, rcode: 0 };
    const [alias] = this.rrset(owner, RR_TYPE.CNAME);
    if (alias !== undefined) {
      const next = decodeTarget(alias.rdata);
      if (typeof next !== "string") throw new Error(next.reason);
      return { answer: this.signed(owner, RR_TYPE.CNAME, asked), authority: expansion, rcode: 0, next };
    }
    const chain = this.#chain();
    const match = chain.match(owner);
    const existence = match.length > 0 ? match : chain.absence(owner);
    const proof = this.#signedProof(owner === asked ? existence : [...chain.absence(asked), ...existence]);
    return { answer: [], authority: [...this.#soa(), ...proof], rcode: 0 };
  }

  #viaDname(owner: DomainName, asked: DomainName): Step {
    const [dname] = this.rrset(owner, RR_TYPE.DNAME);
    const target = dname === undefined ? undefined : decodeTarget(dname.rdata);
    if (typeof target !== "string") throw new Error(`DNAME of ${owner}`);
    const prefix = labelsOf(asked).slice(0, labelCount(asked) - labelCount(owner));
    const next = parseName(`${prefix.join(".")}.${target === "." ? "" : target}`);
    if (!isName(next)) return { answer: this.signed(owner, RR_TYPE.DNAME), authority: [], rcode: 6 };
    const cname = { name: asked, type: RR_TYPE.CNAME, class: CLASS_IN, ttl: TTL, rdata: nameToWire(next) };
    return { answer: [...this.signed(owner, RR_TYPE.DNAME), cname], authority: [], rcode: 0, next };
  }

  #soa(): ResourceRecord[] {
    return this.signed(this.apex, RR_TYPE.SOA);
  }

  /** Proper ancestors within the zone, longest first. */
  #ancestors(of: DomainName): DomainName[] {
    const ancestors: DomainName[] = [];
    for (let up = parentOf(of); up !== undefined && isWithin(up, this.apex); up = parentOf(up)) ancestors.push(up);
    return ancestors;
  }

  #exists(owner: DomainName): boolean {
    this.#names ??= new Set([...this.#rrsets.keys()].flatMap((one) => [one, ...this.#ancestors(one)]));
    return this.#names.has(owner);
  }

  #isCut(owner: DomainName): boolean {
    return owner !== this.apex && this.rrset(owner, RR_TYPE.NS).length > 0;
  }

  /** Names that have authoritative data, and delegation points; not what is below these or below a DNAME. */
  #owners(): Owner[] {
    const hides = (ancestor: DomainName): boolean => this.#isCut(ancestor) || this.rrset(ancestor, RR_TYPE.DNAME).length > 0;
    const shown = [...this.#rrsets].filter(([owner]) => !this.#ancestors(owner).some(hides));
    return shown.map(([owner, types]) => {
      const atCut = (type: number): boolean => type === RR_TYPE.NS || type === RR_TYPE.DS;
      return { name: owner, types: [...types.keys()].filter((type) => !this.#isCut(owner) || atCut(type)) };
    });
  }

  #chain(): DenialChain {
    this.#denials ??= this.#makeChain();
    return this.#denials;
  }

  #makeChain(): DenialChain {
    if (this.keys.length === 0) return { match: () => [], cover: () => [], absence: () => [], expansion: () => [] };
    const { denial = "nsec", nsec3 = {} } = this.#definition;
    const owners = this.#owners();
    if (denial === "nsec") return nsecChain(this.apex, owners);
    const optOut = denial === "nsec3-opt-out";
    const kept = owners.filter(({ name: owner, types }) => !optOut || !this.#isCut(owner) || types.includes(RR_TYPE.DS));
    const names = new Set(kept.flatMap((owner) => [owner.name, ...this.#ancestors(owner.name)]));
    const withNonTerminals = [...names].map((one) => kept.find((owner) => owner.name === one) ?? { name: one, types: [] });
    const parameters = { salt: Buffer.from(nsec3.salt ?? "", "hex"), iterations: nsec3.iterations ?? 0, flags: optOut ? 1 : 0 };
    return nsec3Chain(this.apex, withNonTerminals, parameters);
  }

  /** Each record once, with its signatures. */
  #signedProof(proof: readonly ResourceRecord[]): ResourceRecord[] {
    const distinct = new Map(proof.map((one) => [one.name, one]));
    return [...distinct.values()].flatMap((one) => [one, ...this.sign([one])]);
  }
}
