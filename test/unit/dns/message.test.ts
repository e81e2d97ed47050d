import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeHead,
  decodeMessage,
  encodeQuery,
  isMalformed,
  MAX_RECORDS,
  type Message,
  RR_TYPE,
} from "../../../src/dns/message.ts";
import { name } from "../../../src/dns/name.ts";
import { encodeMessage, record, records, response, uint16, uint32 } from "../../fake/dnsWire.ts";

const EVERYTHING: Message = response({
  id: 0xbeef,
  authoritative: true,
  authenticData: true,
  rcode: 0x17,
  questions: [{ name: name("example.org"), type: RR_TYPE.MX, class: 1 }],
  answer: records("example.org 300 MX 10 mx.example.org", "example.org 300 MX 20 mx2.example.org"),
  authority: records("example.org 60 NS ns.example.org", "example.org SOA ns.example.org h.example.org 1 2 3 4 5"),
  additional: records("mx.example.org A 192.0.2.1", "mx.example.org AAAA 2001:db8::1", "x.example TYPE65280 \\# 3 010203"),
  edns: { udpPayloadSize: 1232, version: 0, dnssecOk: true, options: [{ code: 15, data: Buffer.from("0006", "hex") }] },
});

test("what was encoded decodes to the same, extended RCODE included", () => {
  assert.deepEqual(decodeMessage(encodeMessage(EVERYTHING)), EVERYTHING);
});

test("a message without OPT has no edns and a short RCODE", () => {
  const { edns: _, ...plain } = response({ rcode: 3 });
  const decoded = decodeMessage(encodeMessage(plain));
  assert.ok(!isMalformed(decoded));
  assert.equal(decoded.edns, undefined);
  assert.equal(decoded.rcode, 3);
});

const OPT = "00 0029 04d0 00008000 0000";
const header = (counts: string, flags = "8180"): string => `0001 ${flags} ${counts}`;
const wire = (hex: string): Buffer => Buffer.from(hex.replaceAll(" ", ""), "hex");

/** One answer record `type` at the root whose RDATA is `rdata` and whose RDLENGTH says `length`. */
const answer = (type: string, rdata: string, length = wire(rdata).length): Buffer =>
  Buffer.concat([wire(`${header("0000 0001 0000 0000")} 00 ${type} 0001 00000e10`), uint16(length), wire(rdata)]);

const MALFORMED: readonly [title: string, wire: Buffer, reason: RegExp][] = [
  ["nothing", Buffer.alloc(0), /too early/],
  ["half a header", Buffer.alloc(11), /too early/],
  ["an octet after the end", wire(`${header("0000 0000 0000 0000")} 00`), /1 octets after the end/],
  ["two questions", wire(`${header("0002 0000 0000 0000")} 00 0001 0001 00 0001 0001`), /2 questions/],
  ["a question that is not there", wire(header("0001 0000 0000 0000")), /beyond its end/],
  ["fewer records than announced", wire(`${header("0000 0000 0000 0002")} ${OPT}`), /beyond its end/],
  ["two OPT records", wire(`${header("0000 0000 0000 0002")} ${OPT} ${OPT}`), /more than one OPT/],
  ["OPT in the answer", wire(`${header("0000 0001 0000 0000")} ${OPT}`), /OPT in the answer/],
  ["OPT in the authority section", wire(`${header("0000 0000 0001 0000")} ${OPT}`), /OPT in the authority/],
  ["OPT with a name", wire(`${header("0000 0000 0000 0001")} 0161 ${OPT}`), /owner is not the root/],
  ["an OPT option beyond its end", wire(`${header("0000 0000 0000 0001")} 00 0029 04d0 00008000 0005 000f 0002 00`), /OPT/],
  ["NS: a name that ends before RDLENGTH", answer("0002", "0161 00 00"), /1 octets too many/],
  ["NS: a name that ends behind RDLENGTH", answer("0002", "0161 00", 2), /beyond its end/],
  ["NS: nothing", answer("0002", ""), /beyond its end/],
  ["MX: no exchange", answer("000f", "000a"), /beyond its end/],
  ["SOA: 19 octets behind the names", answer("0006", `00 00 ${"00".repeat(19)}`), /too early/],
  ["RRSIG: without a signer", answer("002e", "00".repeat(18)), /beyond its end/],
  ["NSEC: nothing", answer("002f", ""), /beyond its end/],
  ["RDLENGTH beyond the end", answer("0010", "0161", 3), /too early/],
  ["65536 octets", Buffer.alloc(65_536), /65536 octets/],
];

for (const [title, octets, reason] of MALFORMED) {
  test(`malformed: ${title}`, () => {
    const decoded = decodeMessage(octets);
    assert.ok(isMalformed(decoded));
    assert.match(decoded.reason, reason);
  });
}

test("a message of 65535 octets decodes", () => {
  const octets = answer("ff00", "00".repeat(65_535 - 12 - 11));
  assert.equal(octets.length, 65_535);
  assert.ok(!isMalformed(decodeMessage(octets)));
});

test("the number of records is capped before they are read", () => {
  const root = wire("00 ff00 0001 00000000 0000");
  const of = (count: number): Buffer =>
    Buffer.concat([wire(header("0000")), uint16(count), uint32(0), ...new Array<Buffer>(count).fill(root)]);
  assert.ok(!isMalformed(decodeMessage(of(MAX_RECORDS))));
  const decoded = decodeMessage(of(MAX_RECORDS + 1));
  assert.match(isMalformed(decoded) ? decoded.reason : "decoded", /1025 records/);
});

test("names in RDATA are expanded and keep their case (RFC 3597 §4)", () => {
  const head = `${header("0001 0001 0000 0000")} 0145 036f5247 00 000f 0001`;
  const decoded = decodeMessage(wire(`${head} c00c 000f 0001 00000e10 0007 000a 024d58 c00c`));
  assert.ok(!isMalformed(decoded));
  assert.equal(decoded.answer[0]?.name, "e.org.");
  assert.equal(decoded.answer[0]?.rdata.toString("latin1"), "\x00\x0a\x02MX\x01E\x03oRG\x00");
});

test("RDATA of unknown types is left alone, pointers or not", () => {
  const decoded = decodeMessage(answer("ff00", "c00c"));
  assert.ok(!isMalformed(decoded));
  assert.equal(decoded.answer[0]?.rdata.toString("hex"), "c00c");
});

test("a TTL with its top bit set is zero (RFC 2181 §8)", () => {
  const of = (ttl: string): number | undefined => {
    const decoded = decodeMessage(wire(`${header("0000 0001 0000 0000")} 00 ff00 0001 ${ttl} 0000`));
    return isMalformed(decoded) ? undefined : decoded.answer[0]?.ttl;
  };
  assert.equal(of("7fffffff"), 0x7fff_ffff);
  assert.equal(of("80000000"), 0);
});

test("the head of a truncated message can be read where the message cannot", () => {
  const cut = wire(`${header("0001 0001 0000 0000", "8380")} 0161 00 0001 0001 0161`);
  assert.ok(isMalformed(decodeMessage(cut)));
  const head = decodeHead(cut);
  assert.ok(!isMalformed(head));
  assert.equal(head.truncated, true);
  assert.deepEqual(head.questions, [{ name: "a.", type: 1, class: 1 }]);
});

test("a query has one question and, with edns, one OPT record", () => {
  const query = { id: 7, name: name("Example.org"), type: RR_TYPE.TLSA, recursionDesired: true, checkingDisabled: true };
  const edns = { udpPayloadSize: 1232, dnssecOk: true };
  const decoded = decodeMessage(encodeQuery({ ...query, edns }));
  assert.ok(!isMalformed(decoded));
  assert.deepEqual(decoded.questions, [{ name: "example.org.", type: 52, class: 1 }]);
  assert.deepEqual(decoded.edns, { ...edns, version: 0, options: [] });
  const { id, response: isResponse, recursionDesired, checkingDisabled, authenticData } = decoded;
  assert.deepEqual([id, isResponse, recursionDesired, checkingDisabled, authenticData], [7, false, true, true, false]);
  const bare = encodeQuery({ ...query, recursionDesired: false, checkingDisabled: false });
  assert.equal(bare.toString("hex"), "00070000000100000000000007 6578616d706c65 036f7267 00 0034 0001".replaceAll(" ", ""));
});

test("isMalformed is not fooled by other results", () => {
  assert.ok(!isMalformed(record("a.org A 192.0.2.1")));
  assert.ok(!isMalformed("malformed"));
  assert.ok(isMalformed({ kind: "malformed", reason: "x" }));
});
