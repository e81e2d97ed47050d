import assert from "node:assert/strict";
import { test } from "node:test";
import { type AddressPolicy, nameserverAddress } from "../../../src/resolver/nameserverAddress.ts";
import { record } from "../../fake/dnsWire.ts";

const strict: AddressPolicy = { ipv4: true, ipv6: true, allowLoopback: false };

const usable = ["A 192.0.2.1", "A 10.0.0.1", "A 223.255.255.255", "AAAA 2001:db8::53", "AAAA fd00::1", "AAAA 64:ff9b::c000:201"];
const forbidden = [
  "A 127.0.0.1",
  "A 127.255.0.53",
  "A 0.0.0.0",
  "A 0.1.2.3",
  "A 169.254.169.254",
  "A 224.0.0.251",
  "A 255.255.255.255",
  "AAAA ::1",
  "AAAA ::",
  "AAAA fe80::1",
  "AAAA ff02::fb",
  "AAAA ::ffff:127.0.0.1",
  "AAAA ::ffff:169.254.169.254",
  "AAAA ::127.0.0.1",
  "AAAA 64:ff9b::7f00:1",
];
for (const text of usable)
  test(`a name server may be at ${text}`, () => assert.ok(nameserverAddress(record(`ns. ${text}`), strict)));
for (const text of forbidden) {
  test(`no query is sent to a learned ${text}`, () => assert.equal(nameserverAddress(record(`ns. ${text}`), strict), undefined));
}

test("laboratories may have servers on loopback, but not link-local or multicast ones", () => {
  const lab = { ...strict, allowLoopback: true };
  assert.equal(nameserverAddress(record("ns. A 127.13.0.1"), lab), "127.13.0.1");
  assert.equal(nameserverAddress(record("ns. AAAA ::1"), lab), "::1");
  assert.equal(nameserverAddress(record("ns. A 169.254.1.1"), lab), undefined);
});

test("an address family that is switched off, another type and RDATA of a wrong length are no address", () => {
  assert.equal(nameserverAddress(record("ns. A 192.0.2.1"), { ...strict, ipv4: false }), undefined);
  assert.equal(nameserverAddress(record("ns. AAAA 2001:db8::1"), { ...strict, ipv6: false }), undefined);
  assert.equal(nameserverAddress(record("ns. CNAME other."), strict), undefined);
  assert.equal(nameserverAddress({ ...record("ns. A 192.0.2.1"), rdata: Buffer.from([192, 0, 2]) }, strict), undefined);
});
