import assert from "node:assert/strict";
import { test } from "node:test";
import { type HostOrigin, referenceIdentifiers } from "../../../src/dane/referenceIdentifier.ts";
import { name } from "../../../src/dns/name.ts";

/** RFC 7672 §3.2.2, with the records of its own example. */
const exchange = { nextHop: name("exchange.example.org"), expandedNextHop: name("example.com") };
const plain = { nextHop: name("example.com"), expandedNextHop: name("example.com") };

const rows: readonly [string, string, HostOrigin, readonly string[]][] = [
  [
    "mx10",
    "mx10.example.com",
    { kind: "mx", mx: "secure", ...exchange },
    ["mx10.example.com", "exchange.example.org", "example.com"],
  ],
  [
    "mx20, by its expanded name",
    "mxbackup.example.net",
    { kind: "mx", mx: "secure", ...exchange },
    ["mxbackup.example.net", "exchange.example.org", "example.com"],
  ],
  ["domain that is no alias", "mx10.example.com", { kind: "mx", mx: "secure", ...plain }, ["mx10.example.com", "example.com"]],
  ["MX that is the domain", "example.com", { kind: "mx", mx: "secure", ...plain }, ["example.com"]],
  ["insecure MX", "mx10.example.com", { kind: "mx", mx: "insecure" }, ["mx10.example.com"]],
  ["no MX", "example.com", { kind: "implicit-mx", nextHop: name("example.com") }, ["example.com"]],
  [
    "no MX, aliased",
    "host.example.net",
    { kind: "implicit-mx", nextHop: name("example.com") },
    ["host.example.net", "example.com"],
  ],
  [
    "relay, aliased",
    "host.example.net",
    { kind: "relay", nextHop: name("relay.example.com") },
    ["host.example.net", "relay.example.com"],
  ],
];

for (const [title, base, origin, expected] of rows) {
  test(title, () => assert.deepEqual(referenceIdentifiers(name(base), origin), expected.map(name)));
}
