import { createHash } from "node:crypto";
import { DNSKEY_FLAG, keyTagOf } from "../../src/dns/dnssecRdata.ts";
import { type Message, type ResourceRecord, RR_TYPE } from "../../src/dns/message.ts";
import { type DomainName, name } from "../../src/dns/name.ts";
import { type AlgorithmTable, algorithmTable } from "../../src/dnssec/algorithm.ts";
import type { Resolution } from "../../src/dnssec/securityStatus.ts";
import { record, response, uint16 } from "../fake/dnsWire.ts";
import { dnskeyRecord, dsRecord, nsec3Record, nsecRecord, type SigningKey, signingKey, signRrset } from "../fake/signer.ts";
import { FAKE_WINDOW, type FakeDns, fakeDns, type Zone, type ZoneDefinition } from "../fake/zone.ts";

/**
 * An internet in which every zone below `test.` is made to cost its validator something. All keys come from seeds, so that it is the same in
 * every process that makes one.
 */
export type HostileCase = {
  title: string;
  ask: readonly [DomainName, number];
  status: Resolution<unknown>["status"];
  /** The most signatures that the look-up computes with empty caches, the way to the zone included. */
  signatureChecks: number;
  /** The most questions that it asks. */
  questions: number;
};

export type HostileInternet = {
  anchors: FakeDns["anchors"];
  answer: (name: DomainName, type: number) => Message;
  cases: readonly HostileCase[];
};

type Spoil = (message: Message, name: DomainName, type: number, zone: Zone) => Message;
type HostileZone = ZoneDefinition & { name: `${string}.test.`; spoil?: Spoil };

const FLAGS = DNSKEY_FLAG.zone | DNSKEY_FLAG.secureEntryPoint;
/** DNSKEY of the root, DS and DNSKEY of test. and of the zone. */
const CHAIN_CHECKS = 5;
/** As many questions, and the one that is asked. */
const CHAIN_QUESTIONS = 6;
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const DEEP = "a.".repeat(100);

/** An Ed25519 key, valid or as good as, whose tag is `keyTag`. */
function collidingKey(seed: number, keyTag: number): SigningKey {
  const octets = createHash("shake256", { outputLength: 32 }).update(`colliding ${seed}`).digest();
  const dnskey = Buffer.concat([uint16(FLAGS), Buffer.of(3, 15), octets]);
  for (let last = 0; last <= 0xffff; last += 1) {
    dnskey.writeUInt16BE(last, dnskey.length - 2);
    if (keyTagOf(dnskey) === keyTag) return { algorithm: 15, dnskey, keyTag, sign: () => Buffer.alloc(64, seed) };
  }
  throw new Error("no such key");
}

/** Signatures that name `key` and are not its own. */
function junk(rrset: readonly ResourceRecord[], zone: Zone, count: number): ResourceRecord[] {
  const [key] = zone.keys;
  if (key === undefined) throw new Error("an unsigned zone");
  const octets = key.sign(Buffer.alloc(0)).length;
  const forger = (i: number): SigningKey => ({ ...key, sign: () => Buffer.alloc(octets, i + 1) });
  return range(count).map((i) => signRrset(rrset, forger(i), zone.apex, FAKE_WINDOW));
}

function nsecs(zone: Zone, count: number): ResourceRecord[] {
  return range(count).map((i) => nsecRecord(name(`n${i}.${zone.apex}`), name(`n${i}a.${zone.apex}`), [RR_TYPE.A]));
}

function signedBy(zone: Zone, records: readonly ResourceRecord[]): ResourceRecord[] {
  return records.flatMap((one) => [one, ...zone.keys.map((key) => signRrset([one], key, zone.apex, FAKE_WINDOW))]);
}

const KEYTRAP = signingKey({ seed: "keytrap", algorithm: 15 });
const COLLIDING = range(40).map((i) => collidingKey(i, KEYTRAP.keyTag));
const P384 = signingKey({ seed: "p384", algorithm: 14 });

/** A hop of the chain from `owner`, each record of it with a forged signature before the good one, and a good NSEC for each. */
function costlyHops(zone: Zone): Message {
  const owners = [name("www.p384.test."), ...range(11).map((i) => name(`a${i}.p384.test.`))];
  const aliases = owners.flatMap((owner, i) => {
    const alias = record(`${owner} CNAME a${i}.p384.test.`);
    return [alias, ...junk([alias], zone, 1), signRrset([alias], P384, zone.apex, FAKE_WINDOW)];
  });
  const denial = nsecs(zone, 16).flatMap((one) => [...junk([one], zone, 1), ...signedBy(zone, [one])]);
  return response({ answer: aliases, authority: denial, rcode: 3 });
}

/** NSEC3 records of many chains, each with its own salt: every name must be hashed for each of them. */
function manyChains(zone: Zone): ResourceRecord[] {
  const chains = range(16).map((i) => {
    const parameters = { salt: Buffer.alloc(255, i), iterations: 100, flags: 0 };
    return nsec3Record(zone.apex, Buffer.alloc(20, i), Buffer.alloc(20, i + 1), [RR_TYPE.A], parameters);
  });
  return signedBy(zone, chains);
}

const ZONES: readonly HostileZone[] = [
  { name: "honest.test.", records: ["honest.test MX 10 mail.honest.test"] },
  {
    name: "keytrap-keys.test.",
    keys: [KEYTRAP],
    spoil: (message, _owner, type, zone) => {
      if (type !== RR_TYPE.DNSKEY) return message;
      const keys = [KEYTRAP, ...COLLIDING].map((key) => dnskeyRecord(zone.apex, key));
      return { ...message, answer: [...keys, ...junk(keys, zone, 32)] };
    },
  },
  {
    name: "keytrap-answer.test.",
    keys: [KEYTRAP],
    records: ["keytrap-answer.test MX 10 mail.keytrap-answer.test"],
    spoil: (message, _owner, type, zone) => {
      if (type === RR_TYPE.MX) {
        const mx = message.answer.filter((one) => one.type === RR_TYPE.MX);
        return { ...message, answer: [...mx, ...junk(mx, zone, 32)] };
      }
      if (type !== RR_TYPE.DNSKEY) return message;
      const keys = [KEYTRAP, ...COLLIDING].map((key) => dnskeyRecord(zone.apex, key));
      return { ...message, answer: [...keys, signRrset(keys, KEYTRAP, zone.apex, FAKE_WINDOW)] };
    },
  },
  {
    name: "keytrap-denial.test.",
    spoil: (message, _owner, type, zone) => {
      if (type !== RR_TYPE.MX) return message;
      return { ...message, rcode: 3, answer: [], authority: nsecs(zone, 60).flatMap((one) => [one, ...junk([one], zone, 4)]) };
    },
  },
  {
    name: "p384.test.",
    keys: [P384],
    spoil: (message, _owner, type, zone) => (type === RR_TYPE.MX ? costlyHops(zone) : message),
  },
  {
    name: "nsec3.test.",
    denial: "nsec3",
    nsec3: { iterations: 100, salt: "ab".repeat(255) },
    records: ["nsec3.test A 192.0.2.1"],
  },
  {
    name: "nsec3-chains.test.",
    spoil: (message, _owner, type, zone) => {
      return type === RR_TYPE.MX ? { ...message, rcode: 3, answer: [], authority: manyChains(zone) } : message;
    },
  },
  {
    name: "labels.test.",
    records: ["*.labels.test MX 10 mail.labels.test"],
    spoil: (message, owner, type, zone) => {
      if (type !== RR_TYPE.MX) return message;
      const mx = message.answer.filter((one) => one.type === RR_TYPE.MX);
      const [key] = zone.keys;
      if (key === undefined || owner === zone.apex) return message;
      // Every count of labels that there is, each as if it were a wildcard of its own, and counts that cannot be.
      const counts = [0, 1, ...range(27).map((i) => 3 + 3 * i), 103, 128, 255];
      return {
        ...message,
        answer: [...mx, ...counts.map((labels) => signRrset(mx, key, zone.apex, { ...FAKE_WINDOW, labels }))],
      };
    },
  },
  {
    name: "aliases.test.",
    // One hop a message: the next name is known only from the answer.
    spoil: (message, owner, type, zone) => {
      if (type !== RR_TYPE.MX) return message;
      const next = Number(/^n([0-9]+)\./.exec(owner)?.[1] ?? 0) + 1;
      const alias = record(`${owner} CNAME n${next}.${DEEP}aliases.test`);
      return { ...message, rcode: 0, authority: [], answer: signedBy(zone, [alias]) };
    },
  },
  {
    name: "wide.test.",
    records: range(1000).map((i) => `wide.test MX ${i} m${i}.wide.test`),
  },
  {
    name: "heavy.test.",
    records: range(1000).map((i) => `heavy.test MX ${i} ${"\\\\.".repeat(4)}${i}.heavy.test`),
    spoil: (message, _owner, type, zone) => {
      const mx = message.answer.filter((one) => one.type === RR_TYPE.MX);
      return type === RR_TYPE.MX ? { ...message, answer: [...mx, ...junk(mx, zone, 16)] } : message;
    },
  },
  {
    name: "digests.test.",
    // DS records of the right tag and of other keys; they stand in the parent, see below.
  },
];

const CASES: readonly HostileCase[] = [
  kase("an honest answer, for comparison", "honest.test.", "secure", 1),
  kase("KeyTrap (CVE-2023-50387): 41 keys of one tag, 32 signatures over the keys", "keytrap-keys.test.", "bogus", 7),
  kase("KeyTrap: 41 keys of one tag, 32 signatures over the answer", "keytrap-answer.test.", "bogus", 8),
  kase("KeyTrap: 60 NSEC records, 4 forged signatures each", "keytrap-denial.test.", "bogus", 16),
  kase("aliases and denials with a costly algorithm, forged and good signatures in turn", "www.p384.test.", "bogus", 16, 1),
  kase("NSEC3 exhaustion (CVE-2023-50868): a name 103 labels deep, 100 iterations", `${DEEP}nsec3.test.`, "bogus", 8),
  kase("NSEC3 exhaustion: 16 chains with a salt each", `${DEEP}nsec3-chains.test.`, "bogus", 16),
  kase("RRSIG labels (CVE-2026-44690): 32 counts of labels on a name of 102", `${DEEP}labels.test.`, "bogus", 8),
  kase("an alias that leads to another name for ever", "n0.aliases.test.", "indeterminate", 13, 12),
  kase("a thousand records in one RRset", "wide.test.", "secure", 1),
  kase("64 KB to hash for each of 16 forged signatures", "heavy.test.", "bogus", 8),
  kase("a hundred DS records of the right tag and the wrong digest", "digests.test.", "bogus", 0),
];

function kase(title: string, owner: string, status: HostileCase["status"], checks: number, more = 0): HostileCase {
  const ask = [name(owner), RR_TYPE.MX] as const;
  return { title, ask, status, signatureChecks: CHAIN_CHECKS + checks, questions: CHAIN_QUESTIONS + more };
}

export function hostileInternet(): HostileInternet {
  const dns = fakeDns([{ name: "." }, { name: "test." }, ...ZONES]);
  const answer = (owner: DomainName, type: number): Message => {
    const message = dns.answer(owner, type);
    if (type === RR_TYPE.DS) return owner === name("digests.test.") ? manyDs(dns) : message;
    const definition = ZONES.find((one) => owner === one.name || owner.endsWith(`.${one.name}`));
    return definition?.spoil?.(message, owner, type, dns.zone(definition.name)) ?? message;
  };
  return { anchors: dns.anchors, answer, cases: CASES };
}

function manyDs(dns: FakeDns): Message {
  const zone = dns.zone("digests.test.");
  const [key] = zone.keys;
  if (key === undefined) throw new Error("an unsigned zone");
  const records = range(100).map((i) => {
    const ds = dsRecord(zone.apex, { ...key, dnskey: Buffer.concat([key.dnskey, uint16(i)]) });
    return ds;
  });
  const parent = dns.zone("test.");
  return response({ answer: [...records, ...parent.keys.map((one) => signRrset(records, one, parent.apex, FAKE_WINDOW))] });
}

/** The product's algorithms, with every verification counted. */
export function countingAlgorithms(): { algorithms: AlgorithmTable; checks: () => number } {
  let checks = 0;
  const { signatures, digests } = algorithmTable({ sha1: "insecure" });
  const counted = [...signatures].map(([number, algorithm]) => {
    const importKey: typeof algorithm.importKey = (publicKey) => {
      const key = algorithm.importKey(publicKey);
      if (key.kind !== "key") return key;
      const verifies = (data: Buffer, signature: Buffer): boolean => {
        checks += 1;
        return key.verifies(data, signature);
      };
      return { ...key, verifies };
    };
    return [number, { ...algorithm, importKey }] as const;
  });
  return { algorithms: { signatures: new Map(counted), digests }, checks: () => checks };
}
