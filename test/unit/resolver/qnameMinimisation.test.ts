import assert from "node:assert/strict";
import { test } from "node:test";
import { name } from "../../../src/dns/name.ts";
import { labelsPerStep, MAX_MINIMISE_COUNT, minimisedNames } from "../../../src/resolver/qnameMinimisation.ts";

const cases: readonly [string, string, string, string[]][] = [
  ["one label more than is known", "www.example.com", ".", ["com.", "example.com.", "www.example.com."]],
  ["the last label is the whole name", "www.example.com", "example.com", ["www.example.com."]],
  ["the zone itself", "example.com", "example.com", ["example.com."]],
  ["the root", ".", ".", ["."]],
  [
    "underscore labels are no boundaries",
    "_25._tcp.mail.example.org",
    "example.org",
    ["mail.example.org.", "_25._tcp.mail.example.org."],
  ],
  ["names below underscore labels are asked for", "a._x.example.org", "org", ["example.org.", "a._x.example.org."]],
];
for (const [title, asked, zone, expected] of cases) {
  test(`minimised names: ${title}`, () => assert.deepEqual(minimisedNames(name(asked), name(zone)), expected));
}

test("RFC 9156 §2.3: 18 labels in ten steps", () => {
  assert.deepEqual(labelsPerStep(18), [1, 1, 1, 1, 2, 2, 2, 2, 3, 3]);
});

test("no number of labels makes more than MAX_MINIMISE_COUNT steps, and each step exposes some", () => {
  for (let hidden = 0; hidden <= 127; hidden += 1) {
    const steps = labelsPerStep(hidden);
    assert.ok(steps.length <= MAX_MINIMISE_COUNT);
    assert.ok(steps.every((step) => step >= 1));
    assert.equal(
      steps.reduce((sum, step) => sum + step, 0),
      hidden,
    );
  }
});
