import assert from "node:assert/strict";
import { test } from "node:test";
import { type Message, type ResourceRecord, RR_TYPE } from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { RECURSOR_LIMITS } from "../../../src/resolver/recursorLimits.ts";
import { type Referral, readReferral } from "../../../src/resolver/referral.ts";
import { record, records, response, uint16 } from "../../fake/dnsWire.ts";

const options = { addresses: { ipv4: true, ipv6: true, allowLoopback: false }, limits: RECURSOR_LIMITS };

function referralOf(parts: Partial<Message>, child = "example.com", zone = "com"): Referral {
  return readReferral(response(parts), name(child), name(zone), options);
}

function rrsig(owner: string, covered: number): ResourceRecord {
  return { ...record(`${owner} A 0.0.0.0`), type: RR_TYPE.RRSIG, rdata: Buffer.concat([uint16(covered), Buffer.alloc(17)]) };
}

test("glue is taken for the servers named, from within the zone that sends it", () => {
  const { nameservers } = referralOf({
    authority: records(
      "example.com NS ns.example.com",
      "example.com NS ns.other.com",
      "example.com NS ns.example.net",
      "other.com NS x.com",
    ),
    additional: records(
      "ns.example.com A 192.0.2.1",
      "ns.example.com AAAA 2001:db8::1",
      "ns.other.com A 192.0.2.2",
      "ns.example.net A 6.6.6.6",
      "x.com A 6.6.6.7",
    ),
  });
  assert.deepEqual(nameservers, [
    { name: "ns.example.com.", glue: ["192.0.2.1", "2001:db8::1"] },
    { name: "ns.other.com.", glue: ["192.0.2.2"] },
    { name: "ns.example.net.", glue: [] },
  ]);
});

test("the delegation lasts as long as its NS records and in-domain glue", () => {
  const authority = records("example.com 500 NS ns.example.com", "example.com 400 NS ns.other.com");
  assert.equal(referralOf({ authority, additional: records("ns.example.com 300 A 192.0.2.1") }).ttlSeconds, 300);
  assert.equal(referralOf({ authority, additional: records("ns.other.com 300 A 192.0.2.1") }).ttlSeconds, 400);
});

test("signed DS records are kept, or the signed denial of them; nothing unsigned, of another zone, or too big", () => {
  const ns = records("example.com NS ns.example.com");
  const ds = [record("example.com DS 1 13 2 aa"), rrsig("example.com", RR_TYPE.DS)];
  const nsec = { ...record("example.com A 0.0.0.0"), type: RR_TYPE.NSEC, rdata: Buffer.from([0]) };
  const denial = [nsec, rrsig("example.com", RR_TYPE.NSEC)];
  assert.deepEqual(referralOf({ authority: [...ns, ...ds] }).cutProof, ds);
  assert.deepEqual(referralOf({ authority: [...ns, ...denial] }).cutProof, denial);
  assert.deepEqual(referralOf({ authority: [...ns, ...ds, ...denial] }).cutProof, ds);
  assert.deepEqual(referralOf({ authority: [...ns, ...ds.slice(0, 1)] }).cutProof, []);
  assert.deepEqual(
    referralOf({ authority: [...ns, record("other.com DS 1 13 2 aa"), rrsig("other.com", RR_TYPE.DS)] }).cutProof,
    [],
  );
  assert.deepEqual(
    referralOf({ authority: [...ns, { ...nsec, name: name("example.net") }, rrsig("example.net", RR_TYPE.NSEC)] }).cutProof,
    [],
  );
  assert.deepEqual(referralOf({ authority: [...ns, ...denial, { ...nsec, rdata: Buffer.alloc(5000) }] }).cutProof, []);
  assert.deepEqual(referralOf({ authority: [...ns, ...Array.from({ length: 20 }, () => denial).flat()] }).cutProof, []);
});

test("what a delegation keeps does not hold on to the message it came in", () => {
  const wire = Buffer.alloc(60_000);
  const ds = { ...record("example.com DS 1 13 2 aa"), rdata: wire.subarray(100, 136) };
  const [kept] = referralOf({
    authority: [...records("example.com NS ns.example.com"), ds, rrsig("example.com", RR_TYPE.DS)],
  }).cutProof;
  assert.notEqual(kept?.rdata.buffer, wire.buffer);
});
