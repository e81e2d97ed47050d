import assert from "node:assert/strict";
import { test } from "node:test";
import { ipv4Text, ipv6Text, parseIpv4, parseIpv6 } from "../../../src/dns/ipAddress.ts";

const IPV6: readonly [written: string, shown: string][] = [
  ["::", "::"],
  ["::1", "::1"],
  ["1::", "1::"],
  ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["::ffff:192.0.2.1", "::ffff:192.0.2.1"],
  ["::ffff:c000:201", "::ffff:192.0.2.1"],
  ["64:ff9b::192.0.2.1", "64:ff9b::c000:201"],
  ["1:2:3:4:5:6:192.0.2.1", "1:2:3:4:5:6:c000:201"],
  ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
];

for (const [written, shown] of IPV6) {
  test(`${written} is ${shown} (RFC 5952)`, () => {
    const octets = parseIpv6(written);
    assert.ok(octets !== undefined);
    assert.equal(ipv6Text(octets), shown);
    assert.deepEqual(parseIpv6(shown), octets);
  });
}

const NO_IPV6 = ["", ":", ":::", "1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::", "1:2:3:4:5:6:7:8::"];
const DOTTED_WRONG = [
  "192.0.2.1::",
  "::192.0.2",
  "::192.0.2.256",
  "192.0.2.1",
  "1:192.0.2.1:2::",
  "fe80::1%eth0",
  "1:2:3:4:5:6:7:192.0.2.1",
];

for (const text of [...NO_IPV6, ...DOTTED_WRONG]) {
  test(`${JSON.stringify(text)} is no IPv6 address`, () => {
    assert.equal(parseIpv6(text), undefined);
  });
}

test("IPv4", () => {
  assert.equal(ipv4Text(parseIpv4("192.0.2.255") ?? Buffer.alloc(0)), "192.0.2.255");
  for (const text of ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.+4", "1.2.3.", "1.2.3.4 "])
    assert.equal(parseIpv4(text), undefined, text);
});
