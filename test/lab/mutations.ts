import { CLASS_IN, type Message, type ResourceRecord, RR_TYPE } from "../../src/dns/message.ts";
import { type DomainName, name, nameToWire, parentOf } from "../../src/dns/name.ts";
import { signingKey } from "../fake/signer.ts";
import { ancestorsOf } from "./differentialWorld.ts";
import {
  nearestZones,
  replaced,
  rrsigOf,
  type SignedSet,
  type Surroundings,
  setsOf,
  signedAnew,
  signedSets,
  signerOf,
} from "./messageParts.ts";
import { changedField, flippedBit, relatedName, resized } from "./rdataChanges.ts";

/** One way to spoil a message; undefined where there is nothing of the kind to spoil. */
export type Mutation = { label: string; apply: (message: Message, around: Surroundings) => Message | Labelled | undefined };
/** With a label of its own, where one way has several. */
export type Labelled = { label: string; message: Message };

const SERVFAIL = 2;
const RCODES = [0, 3, SERVFAIL, 5, 6, 1, 4, 9];

/** A set of the message, treated by `change`. */
function onSet(
  label: string,
  sets: (message: Message) => readonly SignedSet[],
  change: (set: SignedSet, around: Surroundings) => readonly ResourceRecord[] | undefined,
): Mutation {
  const apply = (message: Message, around: Surroundings): Message | undefined => {
    const set = around.draw.pick(sets(message));
    const by = set === undefined ? undefined : change(set, around);
    return set === undefined || by === undefined ? undefined : replaced(message, set, by);
  };
  return { label, apply };
}

function withoutTypes(message: Message, types: readonly number[]): Message {
  const kept = (records: readonly ResourceRecord[]): ResourceRecord[] => records.filter((one) => !types.includes(one.type));
  return { ...message, answer: kept(message.answer), authority: kept(message.authority) };
}

export function namesAround({ question }: Surroundings, message: Message): DomainName[] {
  return [...ancestorsOf(question.name), ...[...message.answer, ...message.authority].map((one) => one.name)];
}

const DNSSEC_TYPES = [RR_TYPE.RRSIG, RR_TYPE.NSEC, RR_TYPE.NSEC3];

/** What is left out, doubled, or stands elsewhere. */
export const STRUCTURE: readonly Mutation[] = [
  onSet("drop-record", setsOf, ({ records, signatures }, { draw }) => {
    const gone = draw.pick([...records, ...signatures]);
    return [...records, ...signatures].filter((one) => one !== gone);
  }),
  onSet("drop-rrset", setsOf, () => []),
  onSet("drop-rrset-keep-signature", signedSets, ({ signatures }) => signatures),
  onSet("drop-signature", signedSets, ({ records }) => records),
  { label: "strip-signatures", apply: (message) => withoutTypes(message, [RR_TYPE.RRSIG]) },
  { label: "strip-dnssec", apply: (message) => withoutTypes(message, DNSSEC_TYPES) },
  { label: "strip-authority", apply: (message) => ({ ...message, authority: [] }) },
  { label: "strip-answer", apply: (message) => ({ ...message, answer: [] }) },
  { label: "empty-nxdomain", apply: (message) => ({ ...message, answer: [], authority: [], rcode: 3 }) },
  onSet("duplicate", setsOf, ({ records, signatures }) => [...records, ...signatures, ...records, ...signatures]),
  {
    label: "reorder",
    apply: (message, { draw }) => ({
      ...message,
      answer: draw.shuffled(message.answer),
      authority: draw.shuffled(message.authority),
    }),
  },
  {
    label: "move-section",
    apply: (message, { draw }) => {
      const set = draw.pick(setsOf(message));
      if (set === undefined) return undefined;
      const moved = [...set.records, ...set.signatures];
      const without = replaced(message, set, []);
      const to = draw.pick((["answer", "authority", "additional"] as const).filter((one) => one !== set.section)) ?? "additional";
      return { ...without, [to]: [...without[to], ...moved] };
    },
  },
  {
    label: "rcode",
    apply: (message, { draw }) => {
      const rcode = draw.pick(RCODES.filter((one) => one !== message.rcode)) ?? SERVFAIL;
      return { label: `rcode-${rcode}`, message: { ...message, rcode } };
    },
  },
  {
    label: "rcode-other-way",
    apply: (message) => ({ ...message, rcode: message.rcode === 0 ? 3 : 0 }),
  },
  {
    label: "claims-authentic",
    apply: (message) => ({ ...withoutTypes(message, [RR_TYPE.RRSIG]), authenticData: true, authoritative: true }),
  },
];

/** Signatures that are spoiled, exchanged, or made by the wrong key, at the wrong time or for something else. */
const DAY_SECONDS = 86_400;

function tampered(signature: ResourceRecord, at: number, octets: number, value: number): ResourceRecord {
  const rdata = Buffer.from(signature.rdata);
  rdata.writeUIntBE(value, at, octets);
  return { ...signature, rdata };
}

export const SIGNATURES: readonly Mutation[] = [
  onSet("retime-unsigned", signedSets, ({ records, signatures }, { draw, now }) => {
    const expired = draw.chance(0.5);
    const [at, value] = expired ? [8, now - 3 * DAY_SECONDS] : [12, now + 3 * DAY_SECONDS];
    return [...records, ...signatures.map((one) => tampered(one, at, 4, value))];
  }),
  onSet("resign-expired", signedSets, (set, around) => {
    const { now } = around;
    return signedAnew(set.records, set, around, { inception: now - 30 * DAY_SECONDS, expiration: now - 3 * DAY_SECONDS });
  }),
  onSet("resign-future", signedSets, (set, around) => {
    const { now } = around;
    return signedAnew(set.records, set, around, { inception: now + 3 * DAY_SECONDS, expiration: now + 30 * DAY_SECONDS });
  }),
  onSet("resign-inverted", signedSets, (set, around) => {
    const { now } = around;
    return signedAnew(set.records, set, around, { inception: now + DAY_SECONDS, expiration: now - DAY_SECONDS });
  }),
  onSet("resign-same", signedSets, (set, around) => signedAnew(set.records, set, around)),
  onSet("resign-stranger", signedSets, (set, around) => {
    const key = signingKey({ algorithm: around.draw.pick([13, 15]) ?? 13, seed: "stranger" });
    const [tag] = set.signatures.map((one) => rrsigOf(one)?.keyTag);
    return signedAnew(set.records, set, around, {
      key,
      ...(around.draw.chance(0.5) && tag !== undefined ? { keyTag: tag } : {}),
    });
  }),
  onSet("resign-other-zone", signedSets, (set, around) => {
    const zone = around.draw.pick(nearestZones(set.records[0]?.name ?? around.question.name, around.keys));
    return zone === undefined || zone === signerOf(set, around.keys) ? undefined : signedAnew(set.records, set, around, { zone });
  }),
  onSet("resign-zone-of-another-name", signedSets, (set, around) => {
    const zone = around.draw.pick([...around.keys.keys()]);
    return zone === undefined || zone === signerOf(set, around.keys) ? undefined : signedAnew(set.records, set, around, { zone });
  }),
  onSet("resign-labels", signedSets, (set, around) => {
    const labels = around.draw.below(6);
    return signedAnew(set.records, set, around, { labels });
  }),
  onSet("resign-labels-claimed", signedSets, ({ records, signatures }, { draw }) => {
    return [...records, ...signatures.map((one) => tampered(one, 3, 1, draw.below(6)))];
  }),
  onSet("resign-ttl", signedSets, (set, around) => {
    const originalTtl = around.draw.pick([0, 1, 60, 100_000, 0x7fff_ffff]) ?? 0;
    return signedAnew(set.records, set, around, { originalTtl });
  }),
  onSet("signature-field", signedSets, ({ records, signatures }, { draw }) => {
    const [at, octets, value] = draw.pick([
      [0, 2, draw.pick([1, 2, 6, 15, 28, 47]) ?? 1],
      [2, 1, draw.pick([8, 13, 15, 200]) ?? 200],
      [3, 1, draw.below(8)],
      [4, 4, draw.below(100_000)],
      [16, 2, draw.below(65_536)],
    ]) ?? [3, 1, 0];
    return [...records, ...signatures.map((one) => tampered(one, at, octets, value))];
  }),
  onSet("signature-bit", signedSets, ({ records, signatures }, { draw }) => {
    return [...records, ...signatures.map((one) => ({ ...one, rdata: flippedBit(one.rdata, draw) }))];
  }),
  onSet("signature-bit-beside-good", signedSets, ({ records, signatures }, { draw }) => {
    const bad = signatures.map((one) => ({ ...one, rdata: flippedBit(one.rdata, draw) }));
    return [...records, ...draw.shuffled([...bad, ...signatures])];
  }),
  onSet("signatures-many-bad", signedSets, ({ records, signatures }) => {
    const [one] = signatures;
    if (one === undefined) return undefined;
    const last = one.rdata.length - 1;
    const bad = Array.from({ length: 20 }, (_, i) => tampered(one, last, 1, one.rdata.readUInt8(last) ^ (i + 1)));
    return [...records, ...bad, ...signatures];
  }),
  {
    label: "swap-signatures",
    apply: (message, { draw }) => {
      const [a, b] = draw.shuffled(signedSets(message));
      if (a === undefined || b === undefined) return undefined;
      const taken = (to: SignedSet, from: SignedSet): ResourceRecord[] =>
        from.signatures.map((one) => ({ ...one, name: to.records[0]?.name ?? one.name }));
      const first = replaced(message, a, [...a.records, ...taken(a, b)]);
      return replaced(first, b, [...b.records, ...taken(b, a)]);
    },
  },
];

/** What the records say: with the old signature, or signed by the zone itself, which then is what its operator did. */
function changedData(signed: "as-it-was" | "anew"): Mutation {
  const apply = (message: Message, around: Surroundings): Labelled | undefined => {
    const { draw } = around;
    const set = draw.pick(signed === "anew" ? signedSets(message) : setsOf(message));
    const record = set === undefined ? undefined : draw.pick(set.records);
    if (set === undefined || record === undefined) return undefined;
    const change = changedField(record, draw, namesAround(around, message));
    if (change === undefined) return undefined;
    const records = set.records.map((one) => (one === record ? { ...one, rdata: change.rdata } : one));
    const by = signed === "anew" ? signedAnew(records, set, around) : [...records, ...set.signatures];
    return { label: `${change.label}-${signed}`, message: replaced(message, set, by) };
  };
  return { label: `data-${signed}`, apply };
}

export const DATA: readonly Mutation[] = [
  changedData("as-it-was"),
  changedData("anew"),
  changedData("anew"),
  onSet("rdata-bit", setsOf, ({ records, signatures }, { draw }) => {
    const changed = draw.pick(records);
    const flip = (one: ResourceRecord): ResourceRecord =>
      one === changed ? { ...one, rdata: flippedBit(one.rdata, draw) } : one;
    return changed === undefined ? undefined : [...records.map(flip), ...signatures];
  }),
  onSet("rdata-size", setsOf, ({ records, signatures }, { draw }) => {
    const changed = draw.pick(records.filter((one) => one.rdata.length > 0));
    const resize = (one: ResourceRecord): ResourceRecord => (one === changed ? { ...one, rdata: resized(one, draw).rdata } : one);
    return changed === undefined ? undefined : [...records.map(resize), ...signatures];
  }),
  onSet("ttl", setsOf, ({ records, signatures }, { draw }) => {
    const ttl = draw.pick([0, 1, 86_400, 0x7fff_ffff, 0x8000_0000]) ?? 0;
    return [...records, ...signatures].map((one) => ({ ...one, ttl }));
  }),
  onSet("class", setsOf, ({ records, signatures }) => [...records, ...signatures].map((one) => ({ ...one, class: 3 }))),
  onSet("owner", setsOf, ({ records, signatures }, around) => {
    const owner = relatedName(around.draw, ancestorsOf(around.question.name));
    return [...records, ...signatures].map((one) => ({ ...one, name: owner }));
  }),
  onSet("owner-anew", signedSets, (set, around) => {
    const owner = relatedName(around.draw, ancestorsOf(around.question.name));
    const renamed = set.records.map((one) => ({ ...one, name: owner }));
    return signedAnew(renamed, { ...set, signatures: [] }, around, { zone: signerOf(set, around.keys) });
  }),
  onSet("add-record", setsOf, ({ records, signatures }, { draw }) => {
    const [first] = records;
    if (first === undefined) return undefined;
    return draw.shuffled([...records, ...signatures, { ...first, rdata: flippedBit(first.rdata, draw) }]);
  }),
  {
    label: "add-unsigned-ns",
    apply: (message, around) => {
      const owner = around.draw.pick(ancestorsOf(around.question.name)) ?? around.question.name;
      const ns = { name: owner, type: RR_TYPE.NS, class: CLASS_IN, ttl: 300, rdata: nameToWire(name("ns.evil.")) };
      return { ...message, authority: [...message.authority, ns] };
    },
  },
  {
    label: "add-unsigned-address",
    apply: (message, { question, draw }) => {
      const owner = draw.pick([question.name, parentOf(question.name) ?? question.name]) ?? question.name;
      const a = { name: owner, type: RR_TYPE.A, class: CLASS_IN, ttl: 300, rdata: Buffer.of(203, 0, 113, 66) };
      const section = draw.pick(["answer", "authority", "additional"] as const) ?? "answer";
      return { ...message, [section]: [...message[section], a] };
    },
  },
];
