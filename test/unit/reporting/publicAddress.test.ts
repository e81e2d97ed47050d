import assert from "node:assert/strict";
import { test } from "node:test";
import { isPublicAddress } from "../../../src/reporting/publicAddress.ts";

const PUBLIC = [
  "1.1.1.1",
  "9.255.255.255",
  "11.0.0.0",
  "100.63.255.255",
  "100.128.0.0",
  "172.15.255.255",
  "172.32.0.0",
  "192.167.0.1",
].concat(["223.255.255.255", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]);

const SPECIAL = [
  "0.0.0.0",
  "0.1.2.3",
  "10.0.0.1",
  "100.64.0.1",
  "127.0.0.1",
  "127.255.255.254",
  "169.254.169.254",
  "172.16.0.1",
  "172.31.255.255",
]
  .concat([
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.1.1.1",
  ])
  .concat([
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
  ])
  .concat([
    "100::1",
    "2001::1",
    "64:ff9b:1::1",
    "3fff::1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:10.1.2.3",
    "::127.0.0.1",
    "::a00:1",
  ])
  .concat(["64:ff9b::7f00:1", "64:ff9b::169.254.169.254", "64:ff9b::10.0.0.1", "2002:7f00:1::1", "2002:c0a8:101::1"])
  .concat(["", "localhost", "127.1", "0x7f.0.0.1", "2130706433", "1.1.1.1 ", "[::1]"]);

for (const address of PUBLIC) test(`${address} is public`, () => assert.equal(isPublicAddress(address), true));
for (const address of SPECIAL)
  test(`${JSON.stringify(address)} is not public`, () => assert.equal(isPublicAddress(address), false));
