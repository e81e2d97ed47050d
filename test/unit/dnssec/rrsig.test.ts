import assert from "node:assert/strict";
import { test } from "node:test";
import { DNSKEY_FLAG } from "../../../src/dns/dnssecRdata.ts";
import { isMalformed, type ResourceRecord, RR_TYPE } from "../../../src/dns/message.ts";
import { name, nameToWire } from "../../../src/dns/name.ts";
import { type RRset, rrsetsOf } from "../../../src/dns/rrset.ts";
import { algorithmTable } from "../../../src/dnssec/algorithm.ts";
import { mayVerify, type RrsetVerification, verifyRrset, type ZoneKey, zoneKey } from "../../../src/dnssec/rrsig.ts";
import type { ReasonCode } from "../../../src/dnssec/securityStatus.ts";
import {
  MAX_FAILED_SIGNATURE_CHECKS,
  MAX_SIGNATURE_CHECKS_PER_RRSET,
  MAX_SIGNATURES_PER_RRSET,
  WorkBudget,
} from "../../../src/dnssec/workBudget.ts";
import { record, records, uint16, uint32 } from "../../fake/dnsWire.ts";
import { type RrsigFields, type SigningKey, signingKey, signRrset } from "../../fake/signer.ts";

const TABLE = algorithmTable({ sha1: "insecure" });
const NOW = 1_767_225_600;
const WINDOW = { inception: NOW - 1000, expiration: NOW + 5000 };
const ZONE = name("example.org");
const KEY = signingKey({ seed: "the zone's key" });
const OTHER_KEY = signingKey({ seed: "another key" });

function prepared(zone: string, ...keys: readonly SigningKey[]): ZoneKey[] {
  return keys.map((key) => {
    const made = zoneKey(name(zone), key.dnskey, TABLE);
    assert.ok(!isMalformed(made));
    return made;
  });
}

const KEYS = prepared("example.org", KEY);

/** The RRset of `texts` with a signature for each of `fields`. */
function signed(
  texts: readonly string[],
  ...fields: readonly (Partial<RrsigFields> & { by?: SigningKey; signer?: string })[]
): RRset {
  const set = records(...texts);
  const signatures = fields.map(({ by = KEY, signer = ZONE, ...rest }) =>
    signRrset(set, by, name(signer), { ...WINDOW, ...rest }),
  );
  return single([...set, ...signatures]);
}

function single(all: readonly ResourceRecord[]): RRset {
  const [set] = rrsetsOf(all);
  assert.ok(set !== undefined);
  return set;
}

function verify(set: RRset, keys: readonly ZoneKey[] = KEYS, now = NOW, budget = new WorkBudget()): RrsetVerification {
  return verifyRrset(set, keys, now, budget);
}

function causeOf(result: RrsetVerification): ReasonCode | "verified" {
  return result.kind === "verified" ? "verified" : (result.reasons.at(-1)?.code ?? "malformed");
}

const A = "www.example.org 300 A 192.0.2.1";
const B = "www.example.org 300 A 192.0.2.2";
const JUNK = { ...record(A), type: RR_TYPE.RRSIG, rdata: Buffer.concat([uint16(1), Buffer.alloc(10)]) };

type Row = readonly [title: string, set: RRset, cause: ReasonCode | "verified", now?: number];

const JUDGED: readonly Row[] = [
  ["a good signature", signed([A, B], {}), "verified"],
  ["a bad one before a good one", signed([A, B], { by: OTHER_KEY, keyTag: KEY.keyTag }, {}), "verified"],
  ["no signature", signed([A]), "signature-missing"],
  ["an unknown key", signed([A], { by: OTHER_KEY }), "key-unknown"],
  ["another key with the tag of the zone's", signed([A], { by: OTHER_KEY, keyTag: KEY.keyTag }), "signature-invalid"],
  ["another algorithm than the key's", signed([A], { algorithm: 8 }), "key-unknown"],
  ["one record more than was signed", { ...signed([A], {}), rdatas: signed([A, B]).rdatas }, "signature-invalid"],
  ["one record less", { ...signed([A, B], {}), rdatas: signed([A]).rdatas }, "signature-invalid"],
  [
    "another type covered",
    {
      ...signed([A], { typeCovered: RR_TYPE.AAAA }),
      signatures: [signRrset(records(A), KEY, ZONE, { ...WINDOW, typeCovered: 28 })],
    },
    "signature-unusable",
  ],
  ["a malformed RRSIG", single([record(A), JUNK]), "malformed"],
  ["the last second of validity", signed([A], {}), "verified", NOW + 5000],
  ["one second later", signed([A], {}), "signature-expired", NOW + 5001],
  ["the first second of validity", signed([A], {}), "verified", NOW - 1000],
  ["one second earlier", signed([A], {}), "signature-not-yet-valid", NOW - 1001],
  ["a window across 2106 (RFC 1982)", signed([A], { inception: 0xffff_ff00, expiration: 0x100 }), "verified", 2 ** 32 + 0x80],
  ["the same window, over", signed([A], { inception: 0xffff_ff00, expiration: 0x100 }), "signature-expired", 2 ** 32 + 0x101],
  ["a window of one second", signed([A], { inception: NOW, expiration: NOW }), "verified"],
  ["an expiration before the inception", signed([A], { inception: NOW + 10, expiration: NOW - 10 }), "signature-unusable"],
  ["a signer beside the owner", signed([A], { signer: "example.com" }), "signature-unusable"],
  ["a signer below the owner", signed([A], { signer: "a.www.example.org" }), "signature-unusable"],
  ["a signer above the zone of the key", signed([A], { signer: "org" }), "key-unknown"],
  ["more labels than the owner has", signed([A], { labels: 4 }), "signature-unusable"],
  ["DS signed by the child", signed([`example.org DS 1 13 2 ${"00".repeat(32)}`], {}), "signature-unusable"],
  ["DNSKEY below the apex", signed(["www.example.org DNSKEY 257 3 13 AAAA"], {}), "signature-unusable"],
  ["NSEC3 further below its zone (RFC 5155 §3)", signed(["a.b.example.org TYPE50 \\# 6 010000000000"], {}), "signature-unusable"],
  ["SOA at the apex", signed(["example.org SOA ns.example.org h.example.org 1 2 3 4 5"], {}), "verified"],
  ["DNSKEY at the apex", signed(["example.org DNSKEY 257 3 13 AAAA"], {}), "verified"],
  ["DS of a child", signed([`sub.example.org DS 1 13 2 ${"00".repeat(32)}`], {}), "verified"],
  ["NSEC", signed(["www.example.org TYPE47 \\# 3 000000"], {}), "verified"],
  ["an algorithm without support", signed([A], { by: signingKey({ algorithm: 7 }) }), "key-unknown"],
];

for (const [title, set, cause, now] of JUDGED) {
  test(`${title}: ${cause}`, () => {
    assert.equal(causeOf(verify(set, KEYS, now)), cause);
  });
}

const KEY_FLAGS: readonly [title: string, key: SigningKey, cause: ReasonCode | "verified"][] = [
  ["a zone key", signingKey({ flags: DNSKEY_FLAG.zone }), "verified"],
  ["a secure entry point", signingKey({ flags: DNSKEY_FLAG.zone | DNSKEY_FLAG.secureEntryPoint }), "verified"],
  ["reserved flags do not matter (RFC 4034 §2.1.1)", signingKey({ flags: 0x8101 }), "verified"],
  ["not a zone key", signingKey({ flags: DNSKEY_FLAG.secureEntryPoint }), "key-unknown"],
  ["a revoked key (RFC 5011 §2.1)", signingKey({ flags: DNSKEY_FLAG.zone | DNSKEY_FLAG.revoke }), "key-unknown"],
  ["protocol 2 (RFC 4034 §2.1.2)", signingKey({ protocol: 2 }), "key-unknown"],
  ["an unsupported algorithm", signingKey({ algorithm: 7 }), "unsupported-algorithm"],
  ["an RSA key that is too short", signingKey({ algorithm: 8, rsaBits: 512 }), "signature-unusable"],
];

for (const [title, key, cause] of KEY_FLAGS) {
  test(`key: ${title}: ${cause}`, () => {
    const [made] = prepared("example.org", key);
    assert.ok(made !== undefined);
    assert.equal(causeOf(verify(signed([A], { by: key }), [made])), cause);
    if (cause === "key-unknown") assert.equal(mayVerify(made), false);
  });
}

test("records are signed in canonical form and order, whatever came over the wire", () => {
  const texts = ["example.org MX 10 mail.example.org", "example.org MX 5 b.example.org", "example.org MX 5 a.example.org"];
  const set = signed(texts, {});
  const upper = set.rdatas.map((rdata) =>
    Buffer.concat([rdata.subarray(0, 2), Buffer.from(rdata.subarray(2).toString("latin1").toUpperCase(), "latin1")]),
  );
  assert.equal(causeOf(verify({ ...set, rdatas: upper.reverse() })), "verified");
  assert.equal(causeOf(verify({ ...set, rdatas: [...set.rdatas, ...upper] })), "verified");
});

test("records are ordered by their octets, not by their length or their numbers (RFC 4034 §6.3)", () => {
  assert.equal(
    causeOf(verify(signed(['t.example.org TXT "b"', 't.example.org TXT "aa"', 't.example.org TXT ""'], {}))),
    "verified",
  );
});

/** The answer to `asked` out of the RRset of a wildcard. */
function expanded(wildcard: string, asked: string, rdata: string, fields: Partial<RrsigFields> = {}): RRset {
  const set = records(`${wildcard} ${rdata}`);
  const signature = signRrset(set, KEY, ZONE, { ...WINDOW, ...fields });
  return single([...set, signature].map((one) => ({ ...one, name: name(asked) })));
}

test("an RRset from a wildcard verifies and says what has to be denied", () => {
  const result = verify(expanded("*.w.example.org", "a.b.w.example.org", "A 192.0.2.1"));
  assert.ok(result.kind === "verified");
  const expansion = { wildcard: "*.w.example.org.", closestEncloser: "w.example.org.", nextCloser: "b.w.example.org." };
  assert.deepEqual(result.expansion, expansion);
});

test("a wildcard may stand at the apex, not above it", () => {
  const result = verify(expanded("*.example.org", "www.example.org", "A 192.0.2.1"));
  assert.equal(result.kind === "verified" ? result.expansion?.closestEncloser : result.kind, ZONE);
});

test("the wildcard's own records are no expansion", () => {
  const result = verify(expanded("*.w.example.org", "*.w.example.org", "A 192.0.2.1"));
  assert.ok(result.kind === "verified");
  assert.equal(result.expansion, undefined);
});

const NO_EXPANSION: readonly [title: string, set: RRset][] = [
  // By RFC 4035 §5.3.2 it could be one; Unbound computes another owner and refuses it, and no host is called so.
  ["of a wildcard for another asterisk", expanded("*.w.example.org", "*.b.w.example.org", "A 192.0.2.1")],
  ["of a wildcard above the zone (CVE-2026-44690)", expanded("*.org", "www.example.org", "A 192.0.2.1")],
  ["of the root's wildcard", expanded("*", "www.example.org", "A 192.0.2.1")],
  ["of NSEC", expanded("*.example.org", "www.example.org", "TYPE47 \\# 3 000000")],
  ["of DS", expanded("*.example.org", "www.example.org", `DS 1 13 2 ${"00".repeat(32)}`)],
  ["of NSEC3", expanded("*.example.org", "www.example.org", "TYPE50 \\# 6 010000000000")],
];

for (const [title, set] of NO_EXPANSION) {
  test(`no expansion ${title}`, () => {
    assert.equal(causeOf(verify(set)), "signature-unusable");
  });
}

const TTLS: readonly [title: string, ttl: number, rrsigTtl: number, originalTtl: number, expected: number][] = [
  ["its own", 60, 300, 300, 60],
  ["that of its RRSIG", 300, 60, 300, 60],
  ["the original TTL", 300, 300, 60, 60],
  ["the time to expiration", 86_400, 86_400, 86_400, 5000],
];

for (const [title, ttl, rrsigTtl, originalTtl, expected] of TTLS) {
  test(`the TTL of an RRset is at most ${title} (RFC 4035 §5.3.3)`, () => {
    const signature = { ...signRrset(records(A), KEY, ZONE, { ...WINDOW, originalTtl }), ttl: rrsigTtl };
    const result = verify(single([{ ...record(A), ttl }, signature]));
    assert.ok(result.kind === "verified");
    assert.equal(result.rrset.ttl, expected);
    assert.equal(result.expiration, WINDOW.expiration);
    assert.deepEqual([result.signer, result.algorithm, result.keyTag], [ZONE, 13, KEY.keyTag]);
  });
}

test("a failure names every distinct cause, the most telling one last", () => {
  const set = signed([A], { expiration: NOW - 1 }, { by: OTHER_KEY }, { by: OTHER_KEY }, { inception: NOW + 60 });
  const result = verify(set);
  assert.ok(result.kind === "failed");
  assert.deepEqual(
    result.reasons.map((reason) => reason.code),
    ["signature-expired", "key-unknown", "signature-not-yet-valid", "signature-expired"],
  );
});

test("the reasons of a failure are not as many as an attacker wants", () => {
  const set = signed([A], ...Array.from({ length: 30 }, (_, i) => ({ keyTag: i })));
  const result = verify(set);
  assert.ok(result.kind === "failed");
  assert.ok(result.reasons.length < 10);
});

/** `count` keys with one key tag and algorithm, none of which made a signature: octets 64 and 66 of a key weigh the same in its tag. */
function collidingKeys(count: number): ZoneKey[] {
  const keys: ZoneKey[] = [];
  for (let i = 0; i < count; i += 1) {
    const dnskey = Buffer.from(signingKey({ algorithm: 15, seed: "collision" }).dnskey);
    dnskey.writeUInt8(i, 20);
    dnskey.writeUInt8(255 - i, 22);
    keys.push(...prepared("example.org", { ...KEY, dnskey }));
  }
  assert.equal(new Set(keys.map((key) => key.keyTag)).size, 1);
  return keys;
}

test("of keys with one tag the right one is found", () => {
  const wrong = collidingKeys(3);
  const tag = wrong[0]?.keyTag ?? 0;
  const right = signingKey({ algorithm: 15, seed: "right" });
  const [rightKey] = prepared("example.org", right);
  assert.ok(rightKey !== undefined);
  const set = signed([A], { by: right, keyTag: tag });
  assert.equal(causeOf(verify(set, [...wrong, { ...rightKey, keyTag: tag }])), "verified");
});

test("KeyTrap: signatures times keys of one tag stop at the limit of the RRset (CVE-2023-50387)", () => {
  const keys = collidingKeys(40);
  const tag = keys[0]?.keyTag ?? 0;
  const by = signingKey({ algorithm: 15, seed: "attacker" });
  const set = signed(
    [A],
    ...Array.from({ length: MAX_SIGNATURES_PER_RRSET }, (_, i) => ({ by, keyTag: tag, expiration: NOW + i })),
  );
  const budget = new WorkBudget();
  assert.equal(causeOf(verify(set, keys, NOW, budget)), "work-limit");
  assert.equal(budget.signatureChecks, MAX_SIGNATURE_CHECKS_PER_RRSET);
});

test("too many RRSIG records are not looked at, be the good one among them", () => {
  const of = (count: number): RRset => signed([A], {}, ...Array.from({ length: count - 1 }, (_, i) => ({ expiration: NOW + i })));
  assert.equal(causeOf(verify(of(MAX_SIGNATURES_PER_RRSET))), "verified");
  assert.equal(causeOf(verify(of(MAX_SIGNATURES_PER_RRSET + 1))), "work-limit");
});

test("an RRset that is long only by its owner is not hashed again and again", () => {
  const owner = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.example.org`;
  const of = (count: number): RRset =>
    signed(
      Array.from({ length: count }, (_, i) => `${owner} A 192.0.${i >> 8}.${i & 0xff}`),
      {},
    );
  assert.equal(causeOf(verify(of(500))), "verified");
  assert.equal(causeOf(verify(of(700))), "work-limit");
});

test("failed checks add up over the RRsets of an answer, good ones do not count", () => {
  const budget = new WorkBudget();
  const good = signed([A], {});
  const bad = signed([A], { by: OTHER_KEY, keyTag: KEY.keyTag });
  for (let i = 0; i < MAX_FAILED_SIGNATURE_CHECKS; i += 1) {
    assert.equal(causeOf(verify(bad, KEYS, NOW, budget)), "signature-invalid");
    if (i % 4 === 0) assert.equal(causeOf(verify(good, KEYS, NOW, budget)), "verified");
  }
  assert.equal(causeOf(verify(bad, KEYS, NOW, budget)), "work-limit");
  assert.notEqual(budget.exhausted, undefined);
});

/** An RRset and the key that signed it, as RFCs print them. */
type Printed = {
  title: string;
  dnskey: string;
  rr: string;
  rrsig: readonly [typeCovered: number, algorithm: number, labels: number];
  times: readonly [number, number];
  signature: string;
};

const in2010 = (text: string): number => Date.parse(`${text}Z`) / 1000;
const RFC_8080 = [1_440_021_600, 1_438_207_200] as const;
const MX_8080 = "example.com 3600 MX 10 mail.example.com";

const PRINTED: readonly Printed[] = [
  {
    title: "RFC 5702 §6.2 RSA/SHA-512",
    dnskey:
      "example.net DNSKEY 256 3 10 AwEAAdHoNTOW+et86KuJOWRDp1pndvwb6Y83nSVXXyLA3DLroROUkN6X0O6pnWnjJQujX/AyhqFDxj13tOnD9u/1kTg7cV6rklMrZDtJCQ5PCl/D7QNPsgVsMu1J2Q8gpMpztNFLpPBz1bWXjDtaR7ZQBlZ3PFY12ZTSncorffcGmhOL",
    rr: "www.example.net 3600 A 192.0.2.91",
    rrsig: [1, 10, 3],
    times: [in2010("2030-01-01T00:00:00"), in2010("2000-01-01T00:00:00")],
    signature:
      "tsb4wnjRUDnB1BUi+t6TMTXThjVnG+eCkWqjvvjhzQL1d0YRoOe0CbxrVDYd0xDtsuJRaeUw1ep94PzEWzr0iGYgZBWm/zpq+9fOuagYJRfDqfReKBzMweOLDiNa8iP5g9vMhpuv6OPlvpXwm9Sa9ZXIbNl1MBGk0fthPgxdDLw=",
  },
  {
    title: "RFC 6605 §6.1 P-256",
    dnskey:
      "example.net DNSKEY 257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
    rr: "www.example.net 3600 A 192.0.2.1",
    rrsig: [1, 13, 3],
    times: [in2010("2010-09-09T10:04:39"), in2010("2010-08-12T10:04:39")],
    signature: "qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==",
  },
  {
    title: "RFC 6605 §6.2 P-384",
    dnskey:
      "example.net DNSKEY 257 3 14 xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8/uX45NBwY8rp65F6Glur8I/mlVNgF6W/qTI37m40",
    rr: "www.example.net 3600 A 192.0.2.1",
    rrsig: [1, 14, 3],
    times: [in2010("2010-09-09T10:20:25"), in2010("2010-08-12T10:20:25")],
    signature:
      "/L5hDKIvGDyI1fcARX3z65qrmPsVz73QD1Mr5CEqOiLP95hxQouuroGCeZOvzFaxsT8Glr74hbavRKayJNuydCuzWTSSPdz7wnqXL5bdcJzusdnI0RSMROxxwGipWcJm",
  },
  {
    title: "RFC 8080 §6.1 Ed25519 (erratum 4935)",
    dnskey: "example.com DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
    rr: MX_8080,
    rrsig: [15, 15, 2],
    times: RFC_8080,
    signature: "oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==",
  },
  {
    title: "RFC 8080 §6.2 Ed448 (erratum 4935)",
    dnskey: "example.com DNSKEY 257 3 16 3kgROaDjrh0H2iuixWBrc8g2EpBBLCdGzHmn+G2MpTPhpj/OiBVHHSfPodx1FYYUcJKm1MDpJtIA",
    rr: MX_8080,
    rrsig: [15, 16, 2],
    times: RFC_8080,
    signature:
      "3cPAHkmlnxcDHMyg7vFC34l0blBhuG1qpwLmjInI8w1CMB29FkEAIJUA0amxWndkmnBZ6SKiwZSAxGILn/NBtOXft0+Gj7FSvOKxE/07+4RQvE581N3Aj/JtIyaiYVdnYtyMWbSNyGEY2213WKsJlwEA",
  },
];

for (const { title, dnskey, rr, rrsig, times, signature } of PRINTED) {
  test(`${title} verifies`, () => {
    const key = record(dnskey);
    const made = zoneKey(key.name, key.rdata, TABLE);
    assert.ok(!isMalformed(made));
    const head = [uint16(rrsig[0]), Buffer.of(rrsig[1], rrsig[2]), uint32(3600), ...times.map((time) => uint32(time))];
    const rdata = Buffer.concat([...head, uint16(made.keyTag), nameToWire(key.name), Buffer.from(signature, "base64")]);
    const set = single([record(rr), { ...record(rr), type: RR_TYPE.RRSIG, rdata }]);
    assert.equal(causeOf(verify(set, [made], times[1])), "verified");
    assert.equal(causeOf(verify({ ...set, rdatas: [Buffer.alloc(4)] }, [made], times[1])), "signature-invalid");
  });
}

test("a DNSKEY that is too short is malformed", () => {
  assert.ok(isMalformed(zoneKey(ZONE, Buffer.of(1, 1, 3), TABLE)));
});
