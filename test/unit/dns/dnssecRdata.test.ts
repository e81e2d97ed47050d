import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeDnskey,
  decodeDs,
  decodeNsec,
  decodeNsec3,
  decodeNsec3param,
  decodeRrsig,
  keyTagOf,
} from "../../../src/dns/dnssecRdata.ts";
import { isMalformed } from "../../../src/dns/message.ts";
import { record } from "../../fake/dnsWire.ts";
import { typeBitmap } from "../../fake/signer.ts";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");

/** Owner "dskey.example.com" of RFC 4034 §5.4. */
const RFC_4034_KEY =
  "AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==";

test("DNSKEY with the key tag of RFC 4034 §5.4", () => {
  const key = decodeDnskey(record(`dskey.example.com DNSKEY 256 3 5 ${RFC_4034_KEY}`).rdata);
  const publicKey = Buffer.from(RFC_4034_KEY, "base64");
  assert.deepEqual(key, { flags: 256, protocol: 3, algorithm: 5, publicKey, keyTag: 60_485 });
});

test("key tags of an odd number of octets, and of algorithm 1 (RFC 4034 appendix B)", () => {
  assert.equal(keyTagOf(hex("0100 03 08 01")), 0x0100 + 0x0308 + 0x0100);
  assert.equal(keyTagOf(hex("0100 03 01 aabb 1234 56")), 0x1234);
  assert.equal(keyTagOf(hex("0100 03 01 1234 56")), 0x1234);
  assert.equal(keyTagOf(hex("0100 03 01 1234")), 0x0100 + 0x0301 + 0x1234);
  assert.equal(keyTagOf(hex("ffff ffff")), 0xffff);
  assert.equal(keyTagOf(Buffer.alloc(0)), 0);
});

test("DS", () => {
  assert.deepEqual(decodeDs(hex("ec45 05 01 abcd")), { keyTag: 60_485, algorithm: 5, digestType: 1, digest: hex("abcd") });
});

test("RRSIG", () => {
  const expected = {
    typeCovered: 15,
    algorithm: 13,
    labels: 2,
    originalTtl: 3600,
    expiration: 0xffff_ffff,
    inception: 1,
    keyTag: 258,
    signer: "org.",
    signature: hex("aabb"),
  };
  assert.deepEqual(decodeRrsig(hex("000f 0d 02 00000e10 ffffffff 00000001 0102 034f526700 aabb")), expected);
});

/** RFC 4034 §4.3. */
const NSEC_EXAMPLE =
  "04686f7374076578616d706c6503636f6d00 0006400100000003 041b000000000000000000000000000000000000000000000000000020";

test("NSEC of RFC 4034 §4.3", () => {
  assert.deepEqual(decodeNsec(hex(NSEC_EXAMPLE)), { next: "host.example.com.", types: new Set([1, 15, 46, 47, 1234]) });
});

test("NSEC3 and NSEC3PARAM", () => {
  const parameters = { hashAlgorithm: 1, flags: 1, iterations: 12, salt: hex("aabbccdd") };
  assert.deepEqual(decodeNsec3(hex("01 01 000c 04aabbccdd 020102 000140")), {
    ...parameters,
    nextHash: hex("0102"),
    types: new Set([1]),
  });
  assert.deepEqual(decodeNsec3(hex("01 01 000c 04aabbccdd 0101")), { ...parameters, nextHash: hex("01"), types: new Set() });
  assert.deepEqual(decodeNsec3param(hex("01 01 000c 04aabbccdd")), parameters);
  assert.deepEqual(decodeNsec3param(hex("01 00 0000 00")), { ...parameters, flags: 0, iterations: 0, salt: hex("") });
});

type Decoder = (rdata: Buffer) => unknown;

const MALFORMED: readonly [title: string, decode: Decoder, rdata: string][] = [
  ["DNSKEY of three octets", decodeDnskey, "010003"],
  ["DS of three octets", decodeDs, "000108"],
  ["RRSIG without signer", decodeRrsig, "000f 0d 02 00000e10 ffffffff 00000001 0102"],
  ["RRSIG with a pointer for signer", decodeRrsig, "000f 0d 02 00000e10 ffffffff 00000001 0102 c000"],
  ["NSEC without next name", decodeNsec, ""],
  ["NSEC with a window of no octets", decodeNsec, "00 0000"],
  ["NSEC with a window of 33 octets", decodeNsec, `00 0021 ${"ff".repeat(33)}`],
  ["NSEC with a window cut short", decodeNsec, "00 0002 40"],
  ["NSEC with half a window header", decodeNsec, "00 00"],
  ["NSEC with windows out of order", decodeNsec, "00 010140 000140"],
  ["NSEC with the same window twice", decodeNsec, "00 000140 000140"],
  ["NSEC3 with a salt cut short", decodeNsec3, "01 00 0000 04aabb"],
  ["NSEC3 without next hash", decodeNsec3, "01 00 0000 00"],
  ["NSEC3 with a next hash of no octets", decodeNsec3, "01 00 0000 00 00"],
  ["NSEC3 with a next hash cut short", decodeNsec3, "01 00 0000 00 0301"],
  ["NSEC3PARAM with something behind it", decodeNsec3param, "01 00 0000 00 00"],
];

for (const [title, decode, rdata] of MALFORMED) {
  test(`malformed: ${title}`, () => {
    assert.ok(isMalformed(decode(hex(rdata))));
  });
}

test("zero octets in a type bitmap are no types", () => {
  assert.deepEqual(decodeNsec(hex("00 00024000 010100")), { next: ".", types: new Set([1]) });
});

test("every type survives its bitmap", () => {
  const types = [0, 1, 7, 8, 255, 256, 257, 1234, 32_768, 65_535];
  assert.deepEqual(decodeNsec(Buffer.concat([Buffer.of(0), typeBitmap(types)])), { next: ".", types: new Set(types) });
});
