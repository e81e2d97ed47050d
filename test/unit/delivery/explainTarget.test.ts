import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { explainTarget } from "../../../src/delivery/explainTarget.ts";
import type { RouteSetting } from "../../../src/delivery/route.ts";

const ROUTES: readonly RouteSetting[] = [
  { domain: "*", nextHop: "[smtp.example.net]:587", tls: "starttls", auth: { username: "u", password: "p" } },
];

describe("what can be explained", () => {
  const destinations: readonly [string, string, string][] = [
    ["example.org", "example.org", "postmaster@example.org"],
    ["Example.ORG.", "example.org", "postmaster@example.org"],
    ["user@example.org", "example.org", "user@example.org"],
    ['"a b@c"@example.org', "example.org", '"a b@c"@example.org'],
    ["bücher.example", "xn--bcher-kva.example", "postmaster@xn--bcher-kva.example"],
    ["[192.0.2.1]", "[192.0.2.1]", "postmaster@[192.0.2.1]"],
    ["user@[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]", "user@[IPv6:2001:db8::1]"],
  ];
  for (const [text, destination, recipient] of destinations)
    test(`${text}: ${destination}`, () =>
      assert.deepEqual(explainTarget(text, ROUTES, 25), { kind: "destination", destination, recipient }));

  const hops: readonly [string, string, Partial<RouteSetting>][] = [
    ["[smtp.example.net]:587", "smtp.example.net", { tls: "starttls", auth: { username: "u", password: "p" } }],
    ["[smtp.example.com]:465", "smtp.example.com", { tls: "implicit" }],
    ["example.com:26", "example.com", { tls: "starttls" }],
    ["[192.0.2.1]:25", "[192.0.2.1]:25", { tls: "starttls" }],
    ["[IPv6:2001:db8::1]:25", "[IPv6:2001:db8::1]:25", { tls: "starttls" }],
  ];
  for (const [text, destination, setting] of hops)
    test(`${text}: the next hop, as a route of it is`, () => {
      const target = explainTarget(text, ROUTES, 25);
      assert.equal(target.kind, "nextHop");
      assert.deepEqual("route" in target && target.route, { domain: destination, nextHop: text, ...setting });
    });

  for (const text of ["", "two words", "user@", "@example.org", "a..b", "host:0", "host:99999", "[192.0.2.999]", "-a.example"])
    test(`${JSON.stringify(text)} is no target`, () => assert.equal(explainTarget(text, ROUTES, 25).kind, "error"));
});
