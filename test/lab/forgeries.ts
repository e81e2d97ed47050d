import { CLASS_IN, type Message, type ResourceRecord, RR_TYPE } from "../../src/dns/message.ts";
import { type DomainName, isName, nameToWire, parseName, rrsigLabelCount } from "../../src/dns/name.ts";
import { signingKey } from "../fake/signer.ts";
import { ancestorsOf, zoneAbove } from "./differentialWorld.ts";
import { keyFor, replaced, rrsigOf, type SignedSet, type Surroundings, setsOf, signedAnew, signedSets } from "./messageParts.ts";
import { type Labelled, type Mutation, namesAround } from "./mutations.ts";
import { relatedName } from "./rdataChanges.ts";

/** Lies that are made of other truths: answers, denials, wildcards and aliases of other names, and records of an attacker. */

const DENIALS: readonly number[] = [RR_TYPE.NSEC, RR_TYPE.NSEC3];

function isDenial(set: SignedSet): boolean {
  return set.records.some((one) => DENIALS.includes(one.type));
}

function flat(sets: readonly SignedSet[]): ResourceRecord[] {
  return sets.flatMap(({ records, signatures }) => [...records, ...signatures]);
}

function renamed(records: readonly ResourceRecord[], owner: DomainName): ResourceRecord[] {
  return records.map((one) => ({ ...one, name: owner }));
}

function address(owner: DomainName, octet = 66): ResourceRecord {
  return { name: owner, type: RR_TYPE.A, class: CLASS_IN, ttl: 300, rdata: Buffer.of(203, 0, 113, octet) };
}

function cname(owner: DomainName, target: DomainName): ResourceRecord {
  return { name: owner, type: RR_TYPE.CNAME, class: CLASS_IN, ttl: 300, rdata: nameToWire(target) };
}

/** RRsets of other answers, by what is wanted of them. */
function othersSets({ others }: Surroundings, wanted: (set: SignedSet) => boolean): SignedSet[] {
  return others.flatMap((message) => signedSets(message).filter(wanted));
}

function isWildcard(set: SignedSet): boolean {
  const owner = set.records[0]?.name;
  const labels = set.signatures.map(rrsigOf).find((one) => one !== undefined)?.labels;
  return owner !== undefined && labels !== undefined && labels < rrsigLabelCount(owner);
}

const SUBSTITUTION: readonly Mutation[] = [
  {
    label: "whole-other-answer",
    apply: (message, { others, draw }) => {
      const other = draw.pick(others);
      return other === undefined
        ? undefined
        : { ...message, rcode: other.rcode, answer: other.answer, authority: other.authority };
    },
  },
  {
    label: "other-answer-renamed",
    apply: (message, { others, draw, question }) => {
      const other = draw.pick(others.filter(({ answer }) => answer.length > 0));
      const [first] = other?.answer ?? [];
      if (other === undefined || first === undefined) return undefined;
      const answer = other.answer.map((one) => (one.name === first.name ? { ...one, name: question.name } : one));
      return { ...message, rcode: 0, answer, authority: draw.chance(0.5) ? other.authority : message.authority };
    },
  },
  {
    label: "negative-instead",
    apply: (message, { others, draw }) => {
      const other = draw.pick(others.filter(({ answer }) => answer.length === 0));
      return other === undefined ? undefined : { ...message, rcode: other.rcode, answer: [], authority: other.authority };
    },
  },
  {
    label: "forged-answer",
    apply: (message, { question }) => ({ ...message, rcode: 0, answer: [address(question.name)], authority: [] }),
  },
  {
    label: "wildcard-abuse",
    apply: (message, around) => {
      const { draw, question } = around;
      const set = draw.pick(othersSets(around, isWildcard));
      if (set === undefined) return undefined;
      const source = around.others.find((other) => set.records.every((one) => other.answer.includes(one)));
      const answer = renamed(flat([set]), question.name);
      const authority = draw.pick([source?.authority ?? [], message.authority, []]) ?? [];
      return { ...message, rcode: 0, answer, authority };
    },
  },
  {
    label: "wildcard-itself",
    apply: (message, around) => {
      const { draw, question } = around;
      const set = draw.pick(signedSets(message).filter((one) => one.section === "answer"));
      if (set === undefined) return undefined;
      // The set as if it came out of a wildcard above its name, properly signed; nothing proves that it may.
      const labels = 1 + draw.below(Math.max(1, rrsigLabelCount(question.name)));
      return replaced(message, set, signedAnew(set.records, set, around, { labels }));
    },
  },
  {
    label: "wildcard-literal",
    apply: (message, around) => {
      const set = around.draw.pick(signedSets(message).filter(isWildcard));
      const [first] = set?.records ?? [];
      const labels = set?.signatures.map(rrsigOf).find((one) => one !== undefined)?.labels ?? 0;
      const owner = first === undefined ? undefined : parseName(`*.${ancestorsOf(first.name).at(-labels) ?? ""}`);
      if (set === undefined || owner === undefined || !isName(owner)) return undefined;
      return replaced(message, set, renamed(flat([set]), owner));
    },
  },
];

const DENIAL: readonly Mutation[] = [
  {
    label: "denial-of-another",
    apply: (message, around) => {
      const other = around.draw.pick(around.others.filter((one) => setsOf(one).some(isDenial)));
      if (other === undefined || !setsOf(message).some(isDenial)) return undefined;
      const kept = flat(setsOf(message).filter((set) => set.section === "authority" && !isDenial(set)));
      return { ...message, authority: [...kept, ...flat(setsOf(other).filter(isDenial))] };
    },
  },
  {
    label: "denial-set-exchanged",
    apply: (message, around) => {
      const set = around.draw.pick(setsOf(message).filter(isDenial));
      const by = around.draw.pick(othersSets(around, isDenial));
      return set === undefined || by === undefined ? undefined : replaced(message, set, flat([by]));
    },
  },
  {
    label: "denials-of-many",
    apply: (message, around) => {
      const sets = around.draw.shuffled(othersSets(around, isDenial)).slice(0, 8);
      return { ...message, authority: [...message.authority, ...flat(sets)] };
    },
  },
  {
    label: "denials-instead-of-answer",
    apply: (message, around) => {
      const { draw, others } = around;
      const soa = others
        .flatMap((other) => signedSets(other).filter(({ records }) => records[0]?.type === RR_TYPE.SOA))
        .slice(0, 1);
      const denials = draw.shuffled(othersSets(around, isDenial)).slice(0, 1 + draw.below(6));
      return { ...message, answer: [], rcode: draw.pick([0, 3]) ?? 0, authority: flat([...soa, ...denials]) };
    },
  },
  {
    label: "denial-owner-anew",
    apply: (message, around) => {
      const set = around.draw.pick(signedSets(message).filter(({ records }) => records[0]?.type === RR_TYPE.NSEC));
      if (set === undefined) return undefined;
      const owner = relatedName(around.draw, namesAround(around, message));
      const zone = set.signatures.map(rrsigOf).find((one) => one !== undefined)?.signer;
      const by = signedAnew(renamed(set.records, owner), { ...set, signatures: [] }, around, zone === undefined ? {} : { zone });
      return replaced(message, set, by);
    },
  },
  {
    label: "nsec3-chain-anew",
    apply: (message, around) => changedChain(message, around),
  },
];

/** The same change of parameters to every NSEC3 record of the message, signed. */
function changedChain(message: Message, around: Surroundings): Labelled | undefined {
  const { draw } = around;
  const sets = signedSets(message).filter(({ records }) => records[0]?.type === RR_TYPE.NSEC3);
  if (sets.length === 0) return undefined;
  const [label, change] = draw.pick<[string, (rdata: Buffer) => void]>([
    ["opt-out", (rdata) => void rdata.writeUInt8(1, 1)],
    ["no-opt-out", (rdata) => void rdata.writeUInt8(0, 1)],
    ["algorithm", (rdata) => void rdata.writeUInt8(2, 0)],
    ["flags", (rdata) => void rdata.writeUInt8(draw.pick([2, 3, 0x80]) ?? 2, 1)],
    ["iterations-101", (rdata) => void rdata.writeUInt16BE(101, 2)],
    ["iterations-151", (rdata) => void rdata.writeUInt16BE(151, 2)],
    ["iterations-2501", (rdata) => void rdata.writeUInt16BE(2501, 2)],
  ]) ?? ["none", () => undefined];
  const changed = sets.reduce((whole, set) => {
    const records = set.records.map((one) => {
      const rdata = Buffer.from(one.rdata);
      change(rdata);
      return { ...one, rdata };
    });
    return replaced(whole, set, signedAnew(records, set, around));
  }, message);
  return { label: `nsec3-chain-${label}`, message: changed };
}

const ALIASES: readonly Mutation[] = [
  {
    label: "unsigned-cname",
    apply: (message, around) => {
      const target = relatedName(around.draw, namesAround(around, message));
      const tail = around.draw.chance(0.5) ? message.answer.filter((one) => one.name !== around.question.name) : [];
      return { ...message, rcode: 0, answer: [cname(around.question.name, target), ...tail] };
    },
  },
  {
    label: "signed-cname",
    apply: (message, around) => {
      const target = relatedName(around.draw, namesAround(around, message));
      const records = [cname(around.question.name, target)];
      const none: SignedSet = { section: "answer", records, signatures: [] };
      return { ...message, rcode: 0, answer: signedAnew(records, none, around), authority: [] };
    },
  },
  {
    label: "cname-beside",
    apply: (message, around) => {
      const records = [cname(around.question.name, relatedName(around.draw, namesAround(around, message)))];
      const none: SignedSet = { section: "answer", records, signatures: [] };
      const by = around.draw.chance(0.5) ? signedAnew(records, none, around) : records;
      return { ...message, answer: around.draw.chance(0.5) ? [...by, ...message.answer] : [...message.answer, ...by] };
    },
  },
  {
    label: "synthesis-altered",
    apply: (message, around) => {
      const synthesized = setsOf(message).find(
        ({ records, signatures }) => records[0]?.type === RR_TYPE.CNAME && signatures.length === 0,
      );
      const [first] = synthesized?.records ?? [];
      if (synthesized === undefined || first === undefined) return undefined;
      const other = cname(first.name, relatedName(around.draw, namesAround(around, message)));
      return replaced(message, synthesized, around.draw.chance(0.3) ? [] : [other]);
    },
  },
  {
    label: "dname-forged",
    apply: (message, around) => {
      const { draw, question, keys } = around;
      const owner = draw.pick(ancestorsOf(question.name).slice(1)) ?? question.name;
      const target = relatedName(draw, namesAround(around, message));
      const records = [{ name: owner, type: RR_TYPE.DNAME, class: CLASS_IN, ttl: 300, rdata: nameToWire(target) }];
      const none: SignedSet = { section: "answer", records, signatures: [] };
      const signed = draw.chance(0.5);
      const by = signed ? signedAnew(records, none, around, { zone: zoneAbove(keys, owner) }) : records;
      const prefix = question.name.slice(0, question.name.length - owner.length);
      const synthesized = parseName(`${prefix}${target === "." ? "" : target}`);
      const alias = isName(synthesized) && draw.chance(0.7) ? [cname(question.name, synthesized)] : [];
      return {
        label: `dname-${signed ? "signed" : "forged"}`,
        message: { ...message, rcode: 0, answer: [...by, ...alias], authority: [] },
      };
    },
  },
];

const KEYS: readonly Mutation[] = [
  {
    label: "key-added",
    apply: (message, around) => {
      const set = setsOf(message).find(({ records }) => records[0]?.type === RR_TYPE.DNSKEY);
      const [first] = set?.records ?? [];
      if (set === undefined || first === undefined) return undefined;
      const key = signingKey({
        algorithm: around.draw.pick([13, 15]) ?? 13,
        seed: "stranger",
        flags: around.draw.pick([256, 257]) ?? 256,
      });
      const records = [...set.records, { ...first, rdata: key.dnskey }];
      const how = around.draw.pick(["by-the-zone", "by-itself", "not"] as const) ?? "not";
      if (how === "not") return { label: "key-added", message: replaced(message, set, [...records, ...set.signatures]) };
      const by = signedAnew(records, set, around, how === "by-itself" ? { key } : {});
      return { label: `key-added-${how}`, message: replaced(message, set, by) };
    },
  },
  {
    label: "keys-signed-by-zone-key",
    apply: (message, around) => {
      const set = setsOf(message).find(({ records }) => records[0]?.type === RR_TYPE.DNSKEY);
      const zone = set?.records[0]?.name;
      const key = zone === undefined ? undefined : keyFor(zone, RR_TYPE.A, around.keys);
      return set === undefined || key === undefined
        ? undefined
        : replaced(message, set, signedAnew(set.records, set, around, { key }));
    },
  },
  {
    label: "ds-denied",
    apply: (message, around) => {
      const set = setsOf(message).find(({ records }) => records[0]?.type === RR_TYPE.DS);
      const denial = around.draw.pick(around.others.filter((other) => setsOf(other).some(isDenial)));
      if (set === undefined || denial === undefined) return undefined;
      return { ...message, answer: [], authority: denial.authority, rcode: around.draw.pick([0, denial.rcode]) ?? 0 };
    },
  },
];

export const FORGERIES: readonly Mutation[] = [...SUBSTITUTION, ...DENIAL, ...ALIASES, ...KEYS];
