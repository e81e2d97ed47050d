import assert from "node:assert/strict";
import { test } from "node:test";
import { managementOf, Popularity, providerThreshold, secondLevelDomain } from "../../../src/diagnosis/managingEntity.ts";

const SLDS: readonly (readonly [string, string])[] = [
  ["mx.example.org", "example.org"],
  ["Example.ORG.", "example.org"],
  ["a.b.c.example.co.uk", "example.co.uk"],
  ["example.com.br", "example.com.br"],
  ["mx.co.example", "co.example"],
  ["mx.com.example.de", "example.de"],
  ["org", "org"],
];
for (const [name, sld] of SLDS)
  test(`${name}: ${sld}`, () => {
    assert.equal(secondLevelDomain(name), sld);
  });

test("own names and those of few are self-managed; those of many are a provider's", () => {
  const popularity = new Popularity();
  for (let i = 0; i < 7; i += 1) popularity.add(["mx1.big.example", "mx2.big.example"]);
  popularity.add(["mx.small.example"]);
  const of = (...hosts: string[]) => managementOf("shop.example", hosts, popularity, 7);
  assert.equal(of("mx.shop.example"), "self");
  assert.equal(of("mx.small.example"), "self");
  assert.equal(of("mx1.big.example"), "outsourced");
  assert.equal(of("mx.shop.example", "mx1.big.example"), "outsourced");
  assert.equal(managementOf("big.example", ["mx1.big.example"], popularity, 7), "self");
  assert.equal(managementOf("shop.example", ["mx1.big.example"], popularity, 8), "self");
  assert.equal(of(), "unknown");
});

test("from how many domains on", () => {
  assert.deepEqual([3, 200, 500, 1000, 5000, 1_000_000].map(providerThreshold), [5, 5, 5, 10, 50, 50]);
});
