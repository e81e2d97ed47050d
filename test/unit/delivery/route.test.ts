import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { bestMatch, parseNextHop } from "../../../src/delivery/route.ts";

describe("the setting that fits a destination best", () => {
  const settings = ["*", ".example.org", ".mail.example.org", "example.org", "Example.NET"].map((domain) => ({ domain }));
  const rows: readonly (readonly [destination: string, domain: string | undefined])[] = [
    ["example.org", "example.org"],
    ["EXAMPLE.org", "example.org"],
    ["sub.example.org", ".example.org"],
    ["a.b.example.org", ".example.org"],
    ["mail.example.org", ".example.org"],
    ["a.mail.example.org", ".mail.example.org"],
    ["notexample.org", "*"],
    ["example.net", "Example.NET"],
    ["sub.example.net", "*"],
    ["[192.0.2.1]", "*"],
  ];
  for (const [destination, domain] of rows) {
    test(`${destination}: ${domain}`, () => {
      assert.equal(bestMatch(destination, settings)?.domain, domain);
      assert.equal(bestMatch(destination, settings.toReversed())?.domain, domain);
    });
  }
  test("none without a default", () => {
    assert.equal(bestMatch("example.com", [{ domain: ".example.org" }, { domain: "example.org" }]), undefined);
    assert.equal(bestMatch("example.org", [{ domain: ".example.org" }]), undefined);
  });
});

describe("next hops as they are written", () => {
  const rows: readonly (readonly [text: string, expected: string])[] = [
    ["example.net", "mx example.net. 25"],
    ["example.net:587", "mx example.net. 587"],
    ["Example.NET", "mx example.net. 25"],
    ["[relay.example.net]", "host relay.example.net. 25"],
    ["[relay.example.net]:465", "host relay.example.net. 465"],
    ["[192.0.2.1]:2525", "address 192.0.2.1 2525"],
    ["[2001:DB8::1]", "address 2001:db8::1 25"],
    ["[IPv6:2001:db8:0::1]:26", "address 2001:db8::1 26"],
    ["[::ffff:192.0.2.1]", "address ::ffff:c000:201 25"],
    ["example.net:0", "error"],
    ["example.net:65536", "error"],
    ["example.net:", "error"],
    ["[relay.example.net", "error"],
    ["[1:2:3]", "error"],
    ["2001:db8::1", "error"],
    ["[]", "error"],
    ["", "error"],
    ["a..b", "error"],
  ];
  for (const [text, expected] of rows) {
    test(`${JSON.stringify(text)}: ${expected}`, () => {
      const hop = parseNextHop(text, 25);
      const where = hop.kind === "error" ? "" : ` ${hop.kind === "address" ? hop.address : hop.name} ${hop.port}`;
      assert.equal(`${hop.kind}${where}`, expected);
    });
  }
});
