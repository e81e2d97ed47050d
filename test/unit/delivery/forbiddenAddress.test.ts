import assert from "node:assert/strict";
import { test } from "node:test";
import { isForbiddenAddress } from "../../../src/delivery/forbiddenAddress.ts";

const CASES: readonly [string, boolean][] = [
  ["127.0.0.1", true],
  ["127.255.3.4", true],
  ["0.0.0.0", true],
  ["0.1.2.3", true],
  ["169.254.169.254", true],
  ["224.0.0.1", true],
  ["239.255.255.255", true],
  ["255.255.255.255", true],
  ["::1", true],
  ["::", true],
  ["fe80::1", true],
  ["febf::1", true],
  ["ff02::1", true],
  ["::ffff:127.0.0.1", true],
  ["::ffff:7f00:1", true],
  ["::127.0.0.1", true],
  ["64:ff9b::a9fe:a9fe", true],
  ["not an address", true],
  ["", true],
  ["192.0.2.1", false],
  ["10.0.0.1", false],
  ["128.0.0.1", false],
  ["2001:db8::1", false],
  ["::ffff:192.0.2.1", false],
  ["64:ff9b::c000:201", false],
  ["fec0::1", false],
];

for (const [address, forbidden] of CASES) {
  test(`mail to ${JSON.stringify(address)} is ${forbidden ? "refused" : "allowed"} without allowLoopback`, () => {
    assert.equal(isForbiddenAddress(address), forbidden);
  });
}
