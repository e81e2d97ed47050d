import assert from "node:assert/strict";
import { test } from "node:test";
import {
  commonAncestor,
  compareCanonical,
  displayName,
  isName,
  isWithin,
  labelCount,
  labelsOf,
  name,
  nameFromLabels,
  nameToWire,
  parentOf,
  parseName,
  prefixed,
  rrsigLabelCount,
  suffixOf,
  wildcardOf,
} from "../../../src/dns/name.ts";

const label63 = "a".repeat(63);
/** 3 * 64 + 62 + 1 = 255 octets. */
const longest = `${label63}.${label63}.${label63}.${"b".repeat(61)}.`;

const WRITTEN: readonly [text: string, fixedForm: string][] = [
  [".", "."],
  ["example.org", "example.org."],
  ["EXAMPLE.Org.", "example.org."],
  ["\\065\\.b\\\\.x", "a\\.b\\\\.x."],
  ["\\*.example", "*.example."],
  ["\\032\\255.x", "\\032\\255.x."],
  ["a\\@b.x", "a@b.x."],
  [longest, longest],
];

for (const [text, fixedForm] of WRITTEN) {
  test(`${JSON.stringify(text.slice(0, 40))} is one name in one form`, () => {
    assert.equal(parseName(text), fixedForm);
    assert.equal(parseName(fixedForm), fixedForm);
  });
}

const REFUSED: readonly string[] = [
  "",
  "..",
  ".a",
  "a..b",
  "a..",
  `a${label63}.org`,
  `b${longest}`,
  "a b",
  "a\tb",
  "bücher.example",
  "a\u007f",
  "a\\",
  "a\\1b",
  "a\\12",
  "a\\256",
  "a\\ü",
  "a\\ b",
];

for (const text of REFUSED) {
  test(`${JSON.stringify(text.slice(0, 40))} is no name`, () => {
    assert.ok(!isName(parseName(text)));
  });
}

test("a name has a wire form of its own labels, letters in lower case (RFC 4034 §6.2)", () => {
  assert.equal(nameToWire(name(".")).toString("hex"), "00");
  assert.equal(nameToWire(name("A\\.B.\\001.c")).toString("latin1"), "\x03a.b\x01\x01\x01c\x00");
  assert.equal(nameToWire(name(longest)).length, 255);
});

test("octets that are not UTF-8 stay different names", () => {
  assert.notEqual(nameFromLabels([Buffer.of(0xff)]), nameFromLabels([Buffer.of(0xfe)]));
  assert.equal(nameFromLabels([Buffer.of(0xff)]), "\\255.");
});

test("empty and too long labels are errors", () => {
  assert.ok(!isName(nameFromLabels([Buffer.alloc(0)])));
  assert.ok(!isName(nameFromLabels([Buffer.alloc(64, 0x61)])));
  assert.ok(!isName(nameFromLabels(new Array(128).fill(Buffer.of(0x61)))));
});

const WITHIN: readonly [string, string, boolean][] = [
  ["a.example", "example", true],
  ["example", "example", true],
  ["example", ".", true],
  [".", "example", false],
  ["badexample", "example", false],
  ["example", "a.example", false],
  // The dot before "example" is inside a label.
  ["a\\.example", "example", false],
  ["x.a\\.example", "a\\.example", true],
  ["a\\\\.example", "example", true],
];

for (const [one, ancestor, expected] of WITHIN) {
  test(`${one} is ${expected ? "" : "not "}within ${ancestor}`, () => {
    assert.equal(isWithin(name(one), name(ancestor)), expected);
  });
}

test("labels, parents and suffixes respect escaped dots", () => {
  const odd = name("a\\.b.c\\\\.d");
  assert.deepEqual(labelsOf(odd), ["a\\.b", "c\\\\", "d"]);
  assert.equal(labelCount(odd), 3);
  assert.equal(parentOf(odd), "c\\\\.d.");
  assert.equal(parentOf(name("d")), ".");
  assert.equal(parentOf(name(".")), undefined);
  assert.equal(suffixOf(odd, 1), "d.");
  assert.equal(suffixOf(odd, 0), ".");
  assert.equal(suffixOf(odd, 9), odd);
  assert.deepEqual(labelsOf(name(".")), []);
});

test("RRSIG label counts leave out the root and a leading asterisk (RFC 4034 §3.1.3)", () => {
  assert.equal(rrsigLabelCount(name(".")), 0);
  assert.equal(rrsigLabelCount(name("www.example.com")), 3);
  assert.equal(rrsigLabelCount(name("*.example.com")), 2);
  assert.equal(rrsigLabelCount(name("a.*.example.com")), 4);
  assert.equal(rrsigLabelCount(name("*a.example.com")), 3);
});

test("canonical order is that of RFC 4034 §6.1", () => {
  const ordered = ["example", "a.example", "yljkjljk.a.example", "Z.a.example", "zABC.a.EXAMPLE", "z.example", "\\001.z.example"];
  const names = [...ordered, "*.z.example", "\\200.z.example"].map(name);
  for (const [i, one] of names.entries())
    for (const [j, other] of names.entries())
      assert.equal(Math.sign(compareCanonical(one, other)), Math.sign(i - j), `${one} ${other}`);
});

test("common ancestors are found by whole labels", () => {
  assert.equal(commonAncestor(name("a.b.example"), name("c.b.example")), "b.example.");
  assert.equal(commonAncestor(name("xb.example"), name("b.example")), "example.");
  assert.equal(commonAncestor(name("a.org"), name("a.com")), ".");
  assert.equal(commonAncestor(name("a.org"), name("org")), "org.");
});

test("prefixes are checked like names", () => {
  assert.equal(prefixed(["_25", "_tcp"], name("mx.example.org")), "_25._tcp.mx.example.org.");
  assert.equal(prefixed(["_25"], name(".")), "_25.");
  assert.ok(!isName(prefixed(["_25", "_tcp"], name(longest))));
});

test("wildcards and display", () => {
  assert.equal(wildcardOf(name(".")), "*.");
  assert.equal(wildcardOf(name("example")), "*.example.");
  assert.equal(displayName(name("example.org")), "example.org");
  assert.equal(displayName(name(".")), ".");
});
