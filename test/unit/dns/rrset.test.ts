import assert from "node:assert/strict";
import { test } from "node:test";
import { type ResourceRecord, RR_TYPE } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { detachedRecords, rrsetsOf } from "../../../src/dns/rrset.ts";
import { record, records } from "../../fake/dnsWire.ts";
import { signingKey, signRrset } from "../../fake/signer.ts";
import { FAKE_WINDOW } from "../../fake/zone.ts";

const key = signingKey();
const org = name("org");

test("records are grouped by owner and type, in order of appearance, with the smallest TTL", () => {
  const sets = rrsetsOf(records("b.org 60 A 192.0.2.1", "a.org 300 A 192.0.2.2", "b.org 30 A 192.0.2.3", "b.org AAAA ::1"));
  const shown = sets.map((set) => [set.name, set.type, set.ttl, set.rdatas.length]);
  assert.deepEqual(shown, [
    ["b.org.", RR_TYPE.A, 30, 2],
    ["a.org.", RR_TYPE.A, 300, 1],
    ["b.org.", RR_TYPE.AAAA, 3600, 1],
  ]);
});

test("duplicates are those with the same canonical form (RFC 4034 §6.3)", () => {
  const upper: ResourceRecord = { ...record("a.org MX 10 x.org"), rdata: Buffer.from("000a0158036f524700", "hex") };
  const [set] = rrsetsOf([...records("a.org MX 10 x.org", "a.org MX 10 x.org", "a.org MX 20 x.org"), upper]);
  assert.equal(set?.rdatas.length, 2);
});

test("the case of opaque data makes a difference", () => {
  const [set] = rrsetsOf(records('a.org TXT "x"', 'a.org TXT "X"'));
  assert.equal(set?.rdatas.length, 2);
});

test("RRSIG records go to the set they cover, once", () => {
  const [a, aaaa] = [records("a.org A 192.0.2.1"), records("a.org AAAA ::1")];
  const [overA, overAaaa] = [a, aaaa].map((set) => signRrset(set, key, org, FAKE_WINDOW));
  assert.ok(overA !== undefined && overAaaa !== undefined);
  const otherOwner = { ...overA, name: name("b.org") };
  const otherClass = { ...overA, class: 3, rdata: Buffer.concat([overA.rdata, Buffer.of(0)]) };
  const otherType = { ...overA, type: 0xff00 };
  const sets = rrsetsOf([overA, ...a, ...aaaa, overAaaa, overAaaa, otherOwner, otherClass]);
  assert.equal(rrsetsOf([...a, otherType])[0]?.signatures.length, 0);
  assert.deepEqual(
    sets.map((set) => [set.type, set.signatures]),
    [
      [RR_TYPE.A, [overA]],
      [RR_TYPE.AAAA, [overAaaa]],
    ],
  );
});

test("other classes, OPT, and RRSIG records without a set or of no length are left out", () => {
  const chaos = { ...record('version.bind TXT "x"'), class: 3 };
  const orphan = signRrset(records("a.org A 192.0.2.1"), key, org, FAKE_WINDOW);
  const opt = { ...record("a.org A 192.0.2.1"), type: RR_TYPE.OPT };
  assert.deepEqual(rrsetsOf([chaos, orphan, { ...orphan, rdata: Buffer.alloc(1) }, { ...orphan, class: 3 }, opt]), []);
});

test("records that are kept hold no more memory than their own data", () => {
  const message = Buffer.alloc(60_000, 7);
  const kept = detachedRecords([1, 2].map((i) => ({ ...record("a.org A 192.0.2.1"), rdata: message.subarray(i, 4 + i * i) })));
  assert.deepEqual(
    kept.map((one) => [one.name, one.rdata]),
    [4, 6].map((octets) => ["a.org.", Buffer.alloc(octets, 7)]),
  );
  assert.deepEqual(
    kept.map((one) => one.rdata.buffer.byteLength),
    [10, 10],
  );
});
