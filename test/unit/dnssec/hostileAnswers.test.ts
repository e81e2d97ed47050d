import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { DNSKEY_FLAG, keyTagOf } from "../../../src/dns/dnssecRdata.ts";
import { CLASS_IN, isMalformed, type Message, type ResourceRecord, RR_TYPE } from "../../../src/dns/message.ts";
import { type DomainName, name } from "../../../src/dns/name.ts";
import { type AlgorithmTable, algorithmTable } from "../../../src/dnssec/algorithm.ts";
import { MAX_DENIAL_RRSETS, termsOf, zoneDenials } from "../../../src/dnssec/denial.ts";
import type { Rules } from "../../../src/dnssec/evidence.ts";
import { zoneKey } from "../../../src/dnssec/rrsig.ts";
import type { Resolution } from "../../../src/dnssec/securityStatus.ts";
import {
  MAX_DS_MISMATCHES,
  MAX_FAILED_SIGNATURE_CHECKS,
  MAX_SIGNATURE_CHECKS_PER_RRSET,
} from "../../../src/dnssec/workBudget.ts";
import { anchorsOf, signedTree, validatorOf } from "../../conformance/ownCase.ts";
import { record, uint16 } from "../../fake/dnsWire.ts";
import { dnskeyRecord, dsRecord, nsecRecord, type SigningKey, signingKey, signRrset } from "../../fake/signer.ts";
import { FAKE_NOW, FAKE_WINDOW, type FakeDns, fakeDns, type Tamper } from "../../fake/zone.ts";

/** What a zone can make a validator do is counted in operations: signature checks and digests, not time. */

const ZONE = name("example.test.");
const FLAGS = DNSKEY_FLAG.zone | DNSKEY_FLAG.secureEntryPoint;

const RULES: Rules = {
  now: FAKE_NOW,
  anchors: new Map(),
  insecureZones: new Set(),
  algorithms: algorithmTable({ sha1: "insecure" }),
  nsec3Iterations: { insecureAbove: 100, bogusAbove: 500 },
  requireAllAlgorithms: false,
};

type Counts = { checks: number; digests: number };

/** The product's algorithms, with every verification and DS digest counted. */
function counting(): { algorithms: AlgorithmTable; counts: Counts } {
  const counts = { checks: 0, digests: 0 };
  const { signatures, digests } = algorithmTable({ sha1: "insecure" });
  const counted = [...signatures].map(([number, algorithm]) => {
    const importKey: typeof algorithm.importKey = (publicKey) => {
      const key = algorithm.importKey(publicKey);
      if (key.kind !== "key") return key;
      const verifies = (data: Buffer, signature: Buffer): boolean => {
        counts.checks += 1;
        return key.verifies(data, signature);
      };
      return { kind: "key", verifies };
    };
    return [number, { ...algorithm, importKey }] as const;
  });
  const hashed = [...digests].map(([number, digest]) => {
    const counter = (data: Buffer): Buffer => {
      counts.digests += 1;
      return digest.digest(data);
    };
    return [number, { ...digest, digest: counter }] as const;
  });
  return { algorithms: { signatures: new Map(counted), digests: new Map(hashed) }, counts };
}

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

const HONEST = signingKey({ seed: "honest", algorithm: 15 });
const COLLIDING = Array.from({ length: 40 }, (_, i) => collidingKey(i, HONEST.keyTag));

function junkSignatures(rrset: readonly ResourceRecord[], count: number): ResourceRecord[] {
  const key = (i: number): SigningKey => ({ ...HONEST, sign: () => Buffer.alloc(64, i) });
  return Array.from({ length: count }, (_, i) => signRrset(rrset, key(i), ZONE, FAKE_WINDOW));
}

async function judged(
  tamper: (message: Message, owner: DomainName, type: number, dns: FakeDns) => Message,
  ask: [string, number] = ["example.test.", RR_TYPE.MX],
): Promise<{ resolution: Resolution<ResourceRecord>; counts: Counts }> {
  const zones = signedTree(["example.test MX 10 mail.example.test"], { keys: [HONEST] });
  const between: Tamper = (message, owner, type) =>
    owner === ZONE || owner.endsWith(`.${ZONE}`) ? tamper(message, owner, type, dns) : message;
  const dns = fakeDns(zones, between);
  const { algorithms, counts } = counting();
  const resolution = await validatorOf(dns.source, anchorsOf(dns), { algorithms }).lookup(name(ask[0]), ask[1]);
  return { resolution, counts };
}

/** Checks that an honest look-up of example.test needs: DNSKEY of three zones, two DS sets, the answer. */
const HONEST_CHECKS = 6;
const HONEST_DIGESTS = 3;

describe("hostile answers cost a bounded number of operations", () => {
  test("an honest one, for comparison", async () => {
    const { resolution, counts } = await judged((message) => message);
    assert.equal(resolution.status, "secure");
    assert.deepEqual(counts, { checks: HONEST_CHECKS, digests: HONEST_DIGESTS });
  });

  test("KeyTrap (CVE-2023-50387): forty keys with one tag, fifty signatures each, in the DNSKEY answer", async () => {
    const keys = [...COLLIDING.map((key) => dnskeyRecord(ZONE, key)), dnskeyRecord(ZONE, HONEST)];
    const { resolution, counts } = await judged((message, _owner, type) =>
      type === RR_TYPE.DNSKEY ? { ...message, answer: [...keys, ...junkSignatures(keys, 50)] } : message,
    );
    assert.equal(resolution.status, "bogus");
    assert.ok(counts.checks <= HONEST_CHECKS + MAX_SIGNATURE_CHECKS_PER_RRSET, `${counts.checks} checks`);
    assert.ok(counts.digests <= HONEST_DIGESTS + MAX_DS_MISMATCHES, `${counts.digests} digests`);
  });

  test("the same in the answer itself, with keys that are properly signed", async () => {
    const keys = [...COLLIDING.map((key) => dnskeyRecord(ZONE, key)), dnskeyRecord(ZONE, HONEST)];
    const signedKeys = [dnskeyRecord(ZONE, HONEST), ...keys.slice(0, -1), signRrset(keys, HONEST, ZONE, FAKE_WINDOW)];
    const mx = [record("example.test MX 10 mail.example.test")];
    const { resolution, counts } = await judged((message, _owner, type) => {
      if (type === RR_TYPE.DNSKEY) return { ...message, answer: signedKeys };
      return type === RR_TYPE.MX ? { ...message, answer: [...mx, ...junkSignatures(mx, 50)] } : message;
    });
    assert.equal(resolution.status, "bogus");
    assert.equal(resolution.reasons?.at(-1)?.code, "work-limit");
    assert.ok(counts.checks <= HONEST_CHECKS + MAX_SIGNATURE_CHECKS_PER_RRSET, `${counts.checks} checks`);
  });

  test("a hundred DS records that match by tag and not by digest", async () => {
    const strangers = Array.from({ length: 100 }, (_, i) =>
      dsRecord(ZONE, { ...HONEST, dnskey: Buffer.concat([HONEST.dnskey, uint16(i)]) }),
    );
    const forged = strangers.map((one) => {
      const rdata = Buffer.from(one.rdata);
      rdata.writeUInt16BE(HONEST.keyTag, 0);
      return { ...one, rdata };
    });
    const { resolution, counts } = await judged((message, _owner, type, dns) => {
      if (type !== RR_TYPE.DS) return message;
      const [signature] = dns.zone("test.").sign(forged);
      return signature === undefined ? message : { ...message, answer: [...forged, signature] };
    });
    assert.equal(resolution.status, "bogus");
    assert.ok(counts.digests <= HONEST_DIGESTS + MAX_DS_MISMATCHES, `${counts.digests} digests`);
  });

  test("a denial of a hundred NSEC records with junk signatures", async () => {
    const nsecs = Array.from({ length: 100 }, (_, i) =>
      nsecRecord(name(`n${i}.example.test.`), name(`n${i}a.example.test.`), [RR_TYPE.A]),
    );
    const authority = nsecs.flatMap((one) => [one, ...junkSignatures([one], 3)]);
    const { resolution, counts } = await judged(
      (message, _owner, type) => (type === RR_TYPE.TLSA ? { ...message, rcode: 3, authority } : message),
      ["x.example.test.", RR_TYPE.TLSA],
    );
    assert.equal(resolution.status, "bogus");
    assert.ok(counts.checks <= HONEST_CHECKS + MAX_FAILED_SIGNATURE_CHECKS, `${counts.checks} checks`);
  });

  test("a denial of a hundred NSEC records that are signed well", async () => {
    const nsecs = Array.from({ length: 100 }, (_, i) =>
      nsecRecord(name(`n${i}.example.test.`), name(`n${i}a.example.test.`), [RR_TYPE.A]),
    );
    const authority = nsecs.flatMap((one) => [one, signRrset([one], HONEST, ZONE, FAKE_WINDOW)]);
    const { resolution, counts } = await judged(
      (message, _owner, type) => (type === RR_TYPE.TLSA ? { ...message, rcode: 3, authority } : message),
      ["x.example.test.", RR_TYPE.TLSA],
    );
    assert.equal(resolution.status, "bogus");
    assert.ok(counts.checks <= HONEST_CHECKS + MAX_DENIAL_RRSETS, `${counts.checks} checks`);
  });

  test("between the signatures of a denial the event loop may turn", () => {
    const nsecs = Array.from({ length: 12 }, (_, i) =>
      nsecRecord(name(`n${i}.example.test.`), name(`n${i}a.example.test.`), [RR_TYPE.A]),
    );
    const authority = nsecs.flatMap((one) => [one, signRrset([one], HONEST, ZONE, FAKE_WINDOW)]);
    const key = zoneKey(ZONE, HONEST.dnskey, algorithmTable({ sha1: "insecure" }));
    assert.ok(!isMalformed(key));
    const judging = zoneDenials({ name: ZONE, keys: [key] }, termsOf({ authority }, RULES));
    const needs: string[] = [];
    for (let step = judging.next(); !step.done; step = judging.next({ kind: "paused" })) needs.push(step.value.kind);
    assert.deepEqual(
      needs,
      nsecs.map(() => "pause"),
    );
  });

  test("NSEC3 exhaustion (CVE-2023-50868): many iterations, a long name, many chains", async () => {
    const zones = signedTree(["example.test A 192.0.2.1"], {
      denial: "nsec3",
      nsec3: { iterations: 500, salt: "ab".repeat(255) },
    });
    const dns = fakeDns(zones);
    const options = { nsec3Iterations: { insecureAbove: 1000, bogusAbove: 1000 } };
    const resolution = await validatorOf(dns.source, anchorsOf(dns), options).lookup(
      name(`${"a.".repeat(100)}example.test`),
      RR_TYPE.A,
    );
    assert.equal(resolution.status, "bogus");
    assert.equal(resolution.reasons?.at(-1)?.code, "work-limit");
  });

  test("a thousand records of the asked type are verified at once, not one by one", async () => {
    const addresses = Array.from({ length: 1000 }, (_, i) => record(`example.test A 192.0.${i >> 8}.${i & 255}`));
    const { resolution, counts } = await judged(
      (message, _owner, type) =>
        type === RR_TYPE.A
          ? { ...message, answer: [...addresses, signRrset(addresses, HONEST, ZONE, FAKE_WINDOW)], authority: [] }
          : message,
      ["example.test.", RR_TYPE.A],
    );
    assert.equal(resolution.status, "secure");
    assert.equal(counts.checks, HONEST_CHECKS);
  });

  test("signer names that claim a zone at every label are no more than hints", async () => {
    const mx = [record("example.test MX 10 mail.example.test")];
    const claims = ["example.test.", "test.", "."].map((signer) =>
      signRrset(mx, COLLIDING[0] ?? HONEST, name(signer), FAKE_WINDOW),
    );
    const { resolution } = await judged((message, _owner, type) =>
      type === RR_TYPE.MX ? { ...message, answer: [...mx, ...claims] } : message,
    );
    assert.equal(resolution.status, "bogus");
  });

  test("a record of class CH is no answer", async () => {
    const { resolution } = await judged((message, _owner, type) =>
      type === RR_TYPE.MX ? { ...message, answer: message.answer.map((one) => ({ ...one, class: CLASS_IN + 2 })) } : message,
    );
    assert.equal(resolution.status, "bogus");
  });
});
