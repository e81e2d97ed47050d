import assert from "node:assert/strict";
import { test } from "node:test";
import { presentRdata, typeName } from "../../../src/dns/rdataText.ts";
import { record, typeNumber } from "../../fake/dnsWire.ts";

/** Type and RDATA as written, and as shown where that differs. */
const SHOWN: readonly [type: string, written: string, shown?: string][] = [
  ["A", "192.0.2.1"],
  ["AAAA", "2001:db8::1"],
  ["NS", "ns1.example."],
  ["CNAME", "A.Example", "a.example."],
  ["DNAME", "."],
  ["PTR", "x\\.y.example."],
  ["MX", "10 mail.example."],
  ["SRV", "0 5 5060 sip.example."],
  ["TXT", '"a b" ""'],
  ["SOA", "ns.example. h.example. 1 2 3 4 4294967295"],
  ["TLSA", "3 1 1 ABCD", "3 1 1 abcd"],
  ["DS", "1 13 2 ABCD", "1 13 2 abcd"],
  ["DNSKEY", "257 3 13 AAEC"],
  ["TYPE35", "\\# 14 0064 000a 0155 0153 0122 016100", '100 10 "U" "S" "\\"" a.'],
  ["TYPE47", "\\# 6 016200 000140", "b. A"],
  ["TYPE50", "\\# 13 01 01 000c 02aabb 020102 000140", "1 1 12 aabb 0410 A"],
  ["TYPE50", "\\# 8 01 00 0000 00 020102", "1 0 0 - 0410"],
  ["TYPE51", "\\# 5 01 00 0000 00", "1 0 0 -"],
  ["TYPE65280", "\\# 3 0A0b0c", "\\# 3 0a0b0c"],
  ["TYPE65280", "\\# 0"],
  ["TYPE1", "\\# 3 010203"],
  ["TYPE15", "\\# 1 01"],
];

for (const [type, written, shown = written] of SHOWN) {
  test(`${type} ${written}`, () => {
    const { type: number, rdata } = record(`example ${type} ${written}`);
    assert.equal(presentRdata(number, rdata), shown);
  });
}

test("RRSIG times are UTC dates (RFC 4034 §3.2)", () => {
  const rdata = Buffer.from("000f0d0200000e10ffffffff386d43800102016100aabb", "hex");
  assert.equal(presentRdata(46, rdata), "MX 13 2 3600 21060207062815 20000101000000 258 a. qrs=");
});

test("octets of character-strings that are not plain ASCII are escaped", () => {
  assert.equal(presentRdata(16, Buffer.from([5, 0x22, 0x5c, 0x00, 0xff, 0x20])), '"\\"\\\\\\000\\255 "');
});

test("types have their mnemonics, others their numbers (RFC 3597 §5)", () => {
  assert.deepEqual([1, 52, 257, 65_280].map(typeName), ["A", "TLSA", "CAA", "TYPE65280"]);
  assert.equal(typeNumber("TYPE99"), 99);
});
