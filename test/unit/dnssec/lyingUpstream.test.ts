import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Message, type ResourceRecord, RR_TYPE } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { lookup, type OwnCase, play, signedTree, without } from "../../conformance/ownCase.ts";
import { record } from "../../fake/dnsWire.ts";
import { nsecRecord, signingKey, signRrset } from "../../fake/signer.ts";
import { FAKE_NOW, FAKE_WINDOW, type ZoneDefinition } from "../../fake/zone.ts";

/** An upstream that wants DANE switched off, or mail at its own host. Whatever it does to a signed zone must end bogus or indeterminate. */

const ZONE = name("example.test.");
const KEY = signingKey({ seed: "example" });
const ATTACKER = signingKey({ seed: "attacker" });
const ZONES = signedTree(
  [
    "example.test MX 10 mail.example.test",
    "mail.example.test A 192.0.2.1",
    "_25._tcp.mail.example.test TLSA 3 1 1 abcd",
    "other.example.test A 192.0.2.9",
  ],
  { keys: [KEY] },
);
const FORGED_MX = record("example.test MX 10 mail.attacker.test");
const FORGED_TLSA = record("_25._tcp.mail.example.test TLSA 3 1 1 ffff");
const MX = ["example.test", "MX"] as const;
const TLSA = ["_25._tcp.mail.example.test", "TLSA"] as const;
const TLSA_NAME = name(TLSA[0]);

type Lie = readonly [string, OwnCase["ask"], NonNullable<OwnCase["tamper"]>];

const answeringWith = (
  type: number,
  answer: readonly ResourceRecord[],
  parts: Partial<Message> = {},
): NonNullable<OwnCase["tamper"]> => {
  return (message, _owner, asked) =>
    asked === type ? { ...message, authenticData: true, answer, authority: [], ...parts } : message;
};

/** An NSEC record as the zone itself would have made it, with its real key. */
const signedNsec = (owner: string, next: string, types: readonly number[], window = FAKE_WINDOW): ResourceRecord[] => {
  const nsec = nsecRecord(name(owner), name(next), types);
  return [nsec, signRrset([nsec], KEY, ZONE, window)];
};

const LIES: readonly Lie[] = [
  ["AD=1 over a forged MX", MX, answeringWith(RR_TYPE.MX, [FORGED_MX])],
  ["AD=1 over a forged TLSA", TLSA, answeringWith(RR_TYPE.TLSA, [FORGED_TLSA])],
  ["AD=1 over stripped signatures, everywhere", MX, (message) => ({ ...without(message, RR_TYPE.RRSIG), authenticData: true })],
  [
    "stripped signatures of the answer alone",
    MX,
    (message, _o, type) => (type === RR_TYPE.MX ? without(message, RR_TYPE.RRSIG) : message),
  ],
  [
    "stripped DNSSEC records of all types",
    TLSA,
    (message) => without(message, RR_TYPE.RRSIG, RR_TYPE.DS, RR_TYPE.DNSKEY, RR_TYPE.NSEC),
  ],
  [
    "a forged record put beside the signed one",
    MX,
    (message, _o, type) => (type === RR_TYPE.MX ? { ...message, answer: [FORGED_MX, ...message.answer] } : message),
  ],
  [
    "a record left out of a signed set",
    MX,
    (message, _o, type) => (type === RR_TYPE.MX ? { ...message, answer: message.answer.slice(1) } : message),
  ],
  [
    "the attacker's own signature in the zone's name",
    MX,
    answeringWith(RR_TYPE.MX, [FORGED_MX, signRrset([FORGED_MX], ATTACKER, ZONE, FAKE_WINDOW)]),
  ],
  [
    "the attacker's signature in the name of the root",
    MX,
    answeringWith(RR_TYPE.MX, [FORGED_MX, signRrset([FORGED_MX], ATTACKER, name("."), FAKE_WINDOW)]),
  ],
  [
    "a signature in the name of a zone that is not there",
    MX,
    answeringWith(RR_TYPE.MX, [FORGED_MX, signRrset([FORGED_MX], ATTACKER, name("attacker.test."), FAKE_WINDOW)]),
  ],
  ["NXDOMAIN, bare", TLSA, answeringWith(RR_TYPE.TLSA, [], { rcode: 3 })],
  ["no data, bare", TLSA, answeringWith(RR_TYPE.TLSA, [])],
  [
    "no data with an unsigned SOA",
    TLSA,
    answeringWith(RR_TYPE.TLSA, [], { authority: [record("example.test SOA a b 1 2 3 4 300")] }),
  ],
  [
    "no data by an unsigned NSEC",
    TLSA,
    answeringWith(RR_TYPE.TLSA, [], { authority: [nsecRecord(TLSA_NAME, ZONE, [RR_TYPE.RRSIG])] }),
  ],
  ["SERVFAIL", TLSA, (message, _o, type) => (type === RR_TYPE.TLSA ? "fail" : message)],
  [
    "an old NSEC from before there was a TLSA record, its signature expired",
    TLSA,
    answeringWith(RR_TYPE.TLSA, [], {
      authority: signedNsec(TLSA_NAME, "other.example.test.", [RR_TYPE.TXT], {
        inception: FAKE_NOW - 1000,
        expiration: FAKE_NOW - 1,
      }),
    }),
  ],
  [
    "a signed NSEC of another name",
    TLSA,
    answeringWith(RR_TYPE.TLSA, [], { authority: signedNsec("other.example.test.", "example.test.", [RR_TYPE.A]) }),
  ],
  [
    "a proof cut in half: the name is covered, the wildcard is not",
    ["nothing.example.test", "TLSA"],
    (message, _o, type) => {
      if (type !== RR_TYPE.TLSA) return message;
      // The apex NSEC would cover the wildcard: it is what is missing.
      return { ...message, authority: message.authority.filter((one) => one.name !== ZONE) };
    },
  ],
  [
    "a referral to an unsigned child that is not there",
    TLSA,
    (message, owner, type) => {
      if (owner === TLSA_NAME && type === RR_TYPE.TLSA) return { ...message, answer: [FORGED_TLSA] };
      // "mail.example.test is delegated and has no DS", without a signature.
      if (type !== RR_TYPE.DS || owner !== name("mail.example.test.")) return message;
      return { ...message, authority: [nsecRecord(owner, ZONE, [RR_TYPE.NS, RR_TYPE.RRSIG, RR_TYPE.NSEC])] };
    },
  ],
  [
    "the DS set replaced by one of an unknown algorithm",
    MX,
    (message, owner, type) => {
      if (type !== RR_TYPE.DS || owner !== ZONE) return type === RR_TYPE.MX ? { ...message, answer: [FORGED_MX] } : message;
      const answer = message.answer.map((one) => {
        if (one.type !== RR_TYPE.DS) return one;
        const rdata = Buffer.from(one.rdata);
        rdata.writeUInt8(250, 2);
        return { ...one, rdata };
      });
      return { ...message, answer };
    },
  ],
  [
    "another name's signed records, under their own name",
    TLSA,
    (message, _o, type, dns) => (type === RR_TYPE.TLSA ? dns.answer(name("other.example.test."), RR_TYPE.A) : message),
  ],
  [
    "another name's signed records, under the asked name",
    ["mail.example.test", "A"],
    (message, owner, type, dns) => {
      if (type !== RR_TYPE.A) return message;
      const other = dns.answer(name("other.example.test."), RR_TYPE.A);
      return { ...other, answer: other.answer.map((one) => ({ ...one, name: owner })) };
    },
  ],
  [
    "a CNAME to the attacker, unsigned",
    MX,
    answeringWith(RR_TYPE.MX, [record("example.test CNAME attacker.test"), record("attacker.test MX 10 mail.attacker.test")]),
  ],
  [
    "a DNAME above the zone, unsigned",
    MX,
    answeringWith(RR_TYPE.MX, [record("test DNAME attacker.test"), record("example.test CNAME example.attacker.test")]),
  ],
  [
    "a DNSKEY set of the attacker's",
    MX,
    (message, owner, type) => {
      if (owner !== ZONE || type !== RR_TYPE.DNSKEY) return message;
      const dnskey = { name: ZONE, type, class: 1, ttl: 60, rdata: ATTACKER.dnskey };
      return { ...message, answer: [dnskey, signRrset([dnskey], ATTACKER, ZONE, FAKE_WINDOW)] };
    },
  ],
];

describe("an upstream that lies about a signed zone", () => {
  for (const [what, ask, tamper] of LIES) {
    test(what, async () => {
      const seen = await play({
        title: what,
        zones: ZONES,
        ask,
        tamper,
        expect: { status: "bogus", answer: "records", records: [] },
      });
      assert.ok(seen.status === "bogus" || seen.status === "indeterminate", JSON.stringify(seen));
      assert.equal(seen.records, undefined);
    });
  }

  test("without lies each of these questions is secure", async () => {
    const seen = await Promise.all(
      [MX, TLSA, ["mail.example.test", "A"] as const, ["nothing.example.test", "TLSA"] as const].map((ask) =>
        play({ title: "", zones: ZONES, ask, expect: { status: "secure" } }),
      ),
    );
    assert.deepEqual(
      seen.map((one) => one.status),
      ["secure", "secure", "secure", "secure"],
    );
  });

  test("AD is ignored in an unsigned zone too: it stays insecure", async () => {
    const zones = signedTree(["example.test MX 10 mail.example.test"], { unsigned: true });
    const tamper = (message: Message) => ({ ...message, authenticData: true });
    assert.deepEqual(await play({ title: "", zones, ask: MX, tamper, expect: { status: "insecure", reason: "no-ds" } }), {
      status: "insecure",
      reason: "no-ds",
    });
  });

  test("a wildcard CNAME that exists, put before a real delegation: its proof is missing", async () => {
    const zones: ZoneDefinition[] = [
      ...signedTree(["*.example.test CNAME mail.example.test", "mail.example.test A 192.0.2.1"], { keys: [KEY] }),
      { name: "child.example.test", records: ["www.child.example.test A 192.0.2.7"] },
    ];
    const tamper: NonNullable<OwnCase["tamper"]> = (message, owner, type, dns) => {
      if (type !== RR_TYPE.DS || owner !== name("child.example.test")) return message;
      const expanded = dns.answer(name("absent.example.test"), RR_TYPE.CNAME).answer;
      return { ...message, answer: expanded.map((one) => ({ ...one, name: owner })), authority: [] };
    };
    const question = { title: "", zones, ask: ["www.child.example.test", "A"] as const, expect: { status: "bogus" as const } };
    assert.equal((await lookup(question)).status, "secure");
    const resolution = await lookup({ ...question, tamper });
    assert.equal(resolution.status, "bogus");
    const codes = resolution.reasons?.map((reason) => reason.code) ?? [];
    assert.ok(codes.includes("wildcard-unproved"), codes.join(" "));
  });
});
