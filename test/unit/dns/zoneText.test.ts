import assert from "node:assert/strict";
import { test } from "node:test";
import { presentRdata, typeName } from "../../../src/dns/rdataText.ts";
import { parseZoneText } from "../../../src/dns/zoneText.ts";

const DIGEST = "E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D";

/** The records as text, or the error. */
function read(text: string): readonly string[] | string {
  const result = parseZoneText(text);
  if (result.kind === "error") return result.reason;
  return result.records.map((one) => `${one.name} ${one.ttl} ${typeName(one.type)} ${presentRdata(one.type, one.rdata)}`);
}

const GOOD: readonly [title: string, text: string, expected: readonly string[]][] = [
  ["nothing", "", []],
  ["comments and empty lines", "; a comment\n\n   ; another\r\n", []],
  ["a trust anchor", `. IN DS 20326 8 2 ${DIGEST}`, [`. 0 DS 20326 8 2 ${DIGEST.toLowerCase()}`]],
  [
    "parentheses over lines",
    `.\t172800 IN DS ( 20326 8 2 ; tag\n  ${DIGEST.slice(0, 32)}\n${DIGEST.slice(32)} ) ; end`,
    [`. 172800 DS 20326 8 2 ${DIGEST.toLowerCase()}`],
  ],
  ["class before TTL", ". in 60 ns a.root", [". 60 NS a.root."]],
  ["TTL before class", ". 60 IN NS A.ROOT.", [". 60 NS a.root."]],
  ["neither", "a.root A 192.0.2.1", ["a.root. 0 A 192.0.2.1"]],
  ["the owner before", ". NS a.root\n  60 NS b.root\n\tNS c.root", [". 0 NS a.root.", ". 60 NS b.root.", ". 0 NS c.root."]],
  ["addresses", "a A 192.0.2.1\na AAAA 2001:DB8::1", ["a. 0 A 192.0.2.1", "a. 0 AAAA 2001:db8::1"]],
  ["a key in pieces, with a mnemonic", "x DNSKEY 257 3 ECDSAP256SHA256 AA EC", ["x. 0 DNSKEY 257 3 13 AAEC"]],
  ["what follows a record on its line", "x A 192.0.2.1 ;;state=2 [  VALID  ]", ["x. 0 A 192.0.2.1"]],
];

for (const [title, text, expected] of GOOD) {
  test(`read: ${title}`, () => {
    assert.deepEqual(read(text), expected);
  });
}

const BAD: readonly [title: string, text: string, reason: RegExp][] = [
  ["a directive", "$TTL 60", /line 1: .*none of NS, A, AAAA, DS, DNSKEY/],
  ["another type", ". NS a\n. MX 10 a", /^line 2: "MX" is none of/],
  ["another class", ". CH NS a", /"CH" is none of/],
  ["no type", ". 60 IN", /"" is none of/],
  ["no owner", "  NS a", /line 1: no owner name/],
  ["no name", "a..b NS a", /line 1: empty label/],
  ["no name in the data", ". NS a..b", /NS: empty label/],
  ["two names", ". NS a b", /2 fields/],
  ["no data", ". A", /0 fields/],
  ["no IPv4 address", ". A 192.0.2.256", /192.0.2.256 is no IPv4 address/],
  ["no IPv6 address", ". AAAA 192.0.2.1", /192.0.2.1 is no IPv6 address/],
  ["a TTL that is too large", ". 4294967295 NS a", /TTL 4294967295/],
  ["a key tag that is too large", `. DS 65536 8 2 ${DIGEST}`, /in their range/],
  ["an unknown algorithm", `. DS 1 FOO 2 ${DIGEST}`, /in their range/],
  ["a digest that is not hexadecimal", ". DS 1 8 2 xyz0", /not hexadecimal/],
  ["half an octet", ". DS 1 8 2 abc", /not hexadecimal/],
  ["no digest", ". DS 1 8 2", /not hexadecimal/],
  ["a key that is not base64", ". DNSKEY 257 3 13 A*EC", /not base64/],
  ["no key", ". DNSKEY 257 3 13", /not base64/],
  ["a parenthesis that is not closed", ". NS a\n. DS ( 1 8 2", /line 2: parenthesis is not closed/],
  ["a parenthesis too many", ". NS a )", /line 1: unexpected \)/],
  ["a parenthesis in a parenthesis", ". NS ( ( a ) )", /line 1: unexpected \(/],
];

for (const [title, text, reason] of BAD) {
  test(`refused: ${title}`, () => {
    assert.match(String(read(text)), reason);
  });
}
