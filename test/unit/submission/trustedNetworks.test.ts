import assert from "node:assert/strict";
import { test } from "node:test";
import { peerAddress, TrustedNetworks } from "../../../src/submission/trustedNetworks.ts";

function networks(...texts: string[]): TrustedNetworks {
  const parsed = TrustedNetworks.parse(texts);
  assert.ok(parsed instanceof TrustedNetworks, JSON.stringify(parsed));
  return parsed;
}

for (const [network, inside, outside] of [
  [
    "127.0.0.0/8",
    ["127.0.0.1", "127.255.255.255", "::ffff:127.0.0.1", "::FFFF:127.0.0.1"],
    ["128.0.0.1", "126.255.255.255", "::1"],
  ],
  ["192.0.2.7", ["192.0.2.7", "::ffff:192.0.2.7"], ["192.0.2.8"]],
  ["192.0.2.128/25", ["192.0.2.128", "192.0.2.255"], ["192.0.2.127"]],
  ["0.0.0.0/0", ["203.0.113.1"], ["::1", "2001:db8::1"]],
  ["::1/128", ["::1", "0:0:0:0:0:0:0:1"], ["::2", "127.0.0.1"]],
  ["2001:db8::/32", ["2001:db8::1", "2001:db8:ffff::1"], ["2001:db9::1"]],
  ["fe80::/10", ["fe80::1%eth0", "febf::1"], ["fec0::1"]],
  ["::ffff:192.0.2.0/120", ["192.0.2.9", "::ffff:192.0.2.9"], ["192.0.3.1"]],
] as const) {
  test(`${network} and who is in it`, () => {
    const trusted = networks(network);
    for (const address of inside) assert.ok(trusted.contains(address), address);
    for (const address of outside) assert.ok(!trusted.contains(address), address);
  });
}

test("nobody is in no network, and what is no address is in none", () => {
  assert.ok(!networks().contains("127.0.0.1"));
  for (const text of ["", "localhost", "127.0.0.1.example", "127.0.0.1/8", "undefined"]) {
    assert.ok(!networks("0.0.0.0/0", "::/0").contains(text), text);
  }
});

for (const text of [
  "",
  "localhost",
  "127.0.0.0/33",
  "127.0.0.0/-1",
  "127.0.0.0/",
  "127.0.0.0/8/8",
  "::1/129",
  "127.1/8",
  "::ffff:192.0.2.0/95",
]) {
  test(`${JSON.stringify(text)} is no network`, () => {
    const parsed = TrustedNetworks.parse(["127.0.0.0/8", text]);
    assert.ok(!(parsed instanceof TrustedNetworks));
    assert.ok(parsed.reason.includes(JSON.stringify(text)));
  });
}

test("a peer's address has one form", () => {
  assert.equal(peerAddress("::ffff:192.0.2.1"), "192.0.2.1");
  assert.equal(peerAddress("fe80::1%lo"), "fe80::1");
  assert.equal(peerAddress("2001:db8::1"), "2001:db8::1");
});
