import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  compareCanonical,
  type DomainName,
  isName,
  isWithin,
  labelOctets,
  labelsOf,
  nameFromLabels,
  nameToWire,
  parentOf,
  parseName,
} from "../../src/dns/name.ts";
import { WireReader } from "../../src/dns/wireReader.ts";

const SEED = 20_260_101;
const RUNS = { seed: SEED, numRuns: 500 };

/** Octets that matter to names more often than others: dots, backslashes, asterisks, digits, letters of both cases. */
const octet = fc.oneof(fc.constantFrom(0x2e, 0x5c, 0x2a, 0x30, 0x41, 0x61, 0x00, 0xff), fc.integer({ min: 0, max: 255 }));
const label = fc.array(octet, { minLength: 1, maxLength: 12 }).map((octets) => Buffer.from(octets));
const domainName = fc.array(label, { maxLength: 8 }).map((labels) => {
  const name = nameFromLabels(labels);
  assert.ok(isName(name));
  return name;
});

test("any labels make a name whose text and wire form are the same name", () => {
  fc.assert(
    fc.property(domainName, (name) => {
      assert.equal(parseName(name), name);
      assert.equal(new WireReader(nameToWire(name)).name(), name);
      assert.equal(nameFromLabels(labelsOf(name).map(labelOctets)), name);
    }),
    RUNS,
  );
});

test("two names are equal as text exactly if their wire forms are equal", () => {
  fc.assert(
    fc.property(domainName, domainName, (a, b) => assert.equal(a === b, nameToWire(a).equals(nameToWire(b)))),
    RUNS,
  );
});

test("any text is a name or an error, never an exception; a name reads back as itself", () => {
  const text = fc.oneof(
    fc.string(),
    fc.array(fc.constantFrom(".", "\\", "1", "9", "a", "Z", "\\."), { maxLength: 40 }).map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(text, (written) => {
      const name = parseName(written);
      if (isName(name)) assert.equal(parseName(name), name);
      else assert.equal(name.kind, "error");
    }),
    RUNS,
  );
});

/** RFC 4034 §6.1 on wire forms: labels from the right, each as octets. */
function oracle(a: DomainName, b: DomainName): number {
  const reversed = (name: DomainName): Buffer[] => labelsOf(name).map(labelOctets).reverse();
  const [left, right] = [reversed(a), reversed(b)];
  for (const [i, one] of left.entries()) {
    const other = right[i];
    if (other === undefined) return 1;
    const order = Buffer.compare(one, other);
    if (order !== 0) return order;
  }
  return left.length === right.length ? 0 : -1;
}

test("canonical order is that of the labels from the right, and total", () => {
  fc.assert(
    fc.property(domainName, domainName, domainName, (a, b, c) => {
      assert.equal(Math.sign(compareCanonical(a, b)), oracle(a, b));
      assert.equal(Math.sign(compareCanonical(a, b)) + Math.sign(compareCanonical(b, a)), 0);
      if (compareCanonical(a, b) <= 0 && compareCanonical(b, c) <= 0) assert.ok(compareCanonical(a, c) <= 0);
    }),
    RUNS,
  );
});

test("a name is within its ancestors and within nothing else", () => {
  fc.assert(
    fc.property(domainName, domainName, (name, other) => {
      const ancestors = new Set<DomainName>([name]);
      for (let up = parentOf(name); up !== undefined; up = parentOf(up)) ancestors.add(up);
      for (const ancestor of ancestors) assert.ok(isWithin(name, ancestor));
      assert.equal(isWithin(name, other), ancestors.has(other));
      // An ancestor comes before what is below it.
      for (const ancestor of ancestors) assert.ok(compareCanonical(ancestor, name) <= 0);
    }),
    RUNS,
  );
});
