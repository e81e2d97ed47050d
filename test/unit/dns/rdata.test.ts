import assert from "node:assert/strict";
import { test } from "node:test";
import { isMalformed, RR_TYPE } from "../../../src/dns/message.ts";
import { canonicalRdata, decodeLookup, decodeSoa, decodeTarget, type LookupType } from "../../../src/dns/rdata.ts";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");

const GOOD: readonly [type: LookupType, rdata: string, data: unknown][] = [
  ["A", "c0000201", "192.0.2.1"],
  ["AAAA", "20010db8000000000000000000000001", "2001:db8::1"],
  ["MX", "000a 024d58 00", { preference: 10, exchange: "mx." }],
  ["MX", "0000 00", { preference: 0, exchange: "." }],
  ["TLSA", "03 01 01 abcd", { usage: 3, selector: 1, matchingType: 1, data: hex("abcd") }],
  ["TLSA", "ff fe fd", { usage: 255, selector: 254, matchingType: 253, data: hex("") }],
  ["TXT", "00", [hex("")]],
  ["TXT", "0161 02ff00", [hex("61"), hex("ff00")]],
];

for (const [type, rdata, data] of GOOD) {
  test(`${type} ${rdata} decodes`, () => {
    assert.deepEqual(decodeLookup(type, hex(rdata)), data);
  });
}

const BAD: readonly [type: LookupType, rdata: string][] = [
  ["A", ""],
  ["A", "c00002"],
  ["A", "c000020101"],
  ["AAAA", ""],
  ["AAAA", "20010db80000000000000000000000"],
  ["AAAA", "20010db800000000000000000000000100"],
  ["MX", ""],
  ["MX", "000a"],
  ["MX", "000a 00 00"],
  ["MX", "000a 016100 00"],
  ["MX", "000a c000"],
  ["TLSA", ""],
  ["TLSA", "0301"],
  ["TXT", ""],
  ["TXT", "02 61"],
  ["TXT", "0161 01"],
];

for (const [type, rdata] of BAD) {
  test(`${type} ${rdata === "" ? "without data" : rdata} is malformed`, () => {
    assert.ok(isMalformed(decodeLookup(type, hex(rdata))));
  });
}

test("data do not share memory with the message they came from", () => {
  const rdata = hex("030101abcd");
  const tlsa = decodeLookup("TLSA", rdata);
  const text = decodeLookup("TXT", hex("0161"));
  rdata.fill(0);
  assert.ok(!isMalformed(tlsa) && !isMalformed(text));
  assert.equal(tlsa.data.toString("hex"), "abcd");
});

test("SOA", () => {
  const numbers = "00000001 00000002 00000003 00000004 ffffffff";
  const expected = { primary: "a.", responsible: "b.", serial: 1, refresh: 2, retry: 3, expire: 4, minimum: 0xffff_ffff };
  assert.deepEqual(decodeSoa(hex(`014100 016200 ${numbers}`)), expected);
  assert.ok(isMalformed(decodeSoa(hex(`014100 016200 ${numbers} 00`))));
  assert.ok(isMalformed(decodeSoa(hex("014100 016200 00000001"))));
});

test("a target is exactly one name", () => {
  assert.equal(decodeTarget(hex("014100")), "a.");
  assert.ok(isMalformed(decodeTarget(hex("0141"))));
  assert.ok(isMalformed(decodeTarget(hex("01410000"))));
  assert.ok(isMalformed(decodeTarget(hex(""))));
});

const CANONICAL: readonly [title: string, type: number, rdata: string, canonical: string][] = [
  ["NS", RR_TYPE.NS, "014100", "016100"],
  ["NS: the longest label", RR_TYPE.NS, `3f${"41".repeat(63)}00`, `3f${"61".repeat(63)}00`],
  ["MX: not the preference, which may look like letters", RR_TYPE.MX, "4142 014100", "4142 016100"],
  ["SOA: both names, not the numbers", RR_TYPE.SOA, `014100 014200 ${"41".repeat(20)}`, `016100 016200 ${"41".repeat(20)}`],
  ["SRV", RR_TYPE.SRV, "414141414141 014100", "414141414141 016100"],
  ["NAPTR: not the strings", 35, "41414242 0141 0142 0143 014400", "41414242 0141 0142 0143 016400"],
  ["DNAME", RR_TYPE.DNAME, "014100", "016100"],
  ["RRSIG: the signer alone (RFC 6840 §5.1)", RR_TYPE.RRSIG, `${"41".repeat(18)} 014100 4142`, `${"41".repeat(18)} 016100 4142`],
  ["NSEC: as it is (RFC 6840 §5.1)", RR_TYPE.NSEC, "014100 000140", "014100 000140"],
  ["TXT", RR_TYPE.TXT, "0141", "0141"],
  ["an unknown type", 0xff00, "014100", "014100"],
  ["malformed", RR_TYPE.NS, "0541", "0541"],
];

for (const [title, type, rdata, canonical] of CANONICAL) {
  test(`canonical form: ${title}`, () => {
    assert.deepEqual(canonicalRdata(type, hex(rdata)), hex(canonical));
  });
}
