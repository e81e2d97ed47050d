import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  booleanValue,
  DerError,
  DerSequence,
  derElement,
  derElements,
  INTEGER,
  objectIdentifier,
  orMalformed,
  SEQUENCE,
  smallInteger,
} from "../../../src/x509/der.ts";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");

describe("elements", () => {
  test("short and long lengths", () => {
    const long = Buffer.concat([hex("04 82 01 00"), Buffer.alloc(256, 7)]);
    const [first, second, ...more] = derElements(Buffer.concat([hex("02 01 05"), long]));
    assert.deepEqual(first, { tag: INTEGER, value: hex("05"), raw: hex("02 01 05") });
    assert.equal(second?.value.length, 256);
    assert.deepEqual(second?.raw, long);
    assert.equal(more.length, 0);
  });

  const bad: readonly [string, string][] = [
    ["no length", "02"],
    ["ends inside a length", "02 82 01"],
    ["past the end", "02 02 00"],
    ["indefinite", "30 80 00 00"],
    ["length octets that are too many", "04 85 00 00 00 00 01 00"],
    ["long form for a short length", "04 81 01 00"],
    ["length with a leading zero", "04 82 00 80"],
    ["high tag number", "1f 01 00"],
  ];
  for (const [title, input] of bad) test(`not DER: ${title}`, () => assert.throws(() => derElements(hex(input)), DerError));

  test("one element, of the right kind, and nothing behind it", () => {
    assert.deepEqual(derElement(hex("30 00"), SEQUENCE).value, hex(""));
    assert.throws(() => derElement(hex("02 01 00"), SEQUENCE), DerError);
    assert.throws(() => derElement(hex("30 00 00 00"), SEQUENCE), DerError);
    assert.throws(() => derElement(hex(""), SEQUENCE), DerError);
  });

  test("a sequence is taken from the front", () => {
    const fields = new DerSequence(hex("02 01 05 01 01 ff"));
    assert.equal(fields.optional(SEQUENCE), undefined);
    assert.deepEqual(fields.required(INTEGER).value, hex("05"));
    assert.throws(() => fields.end(), DerError);
    assert.deepEqual(fields.rest(), hex("01 01 ff"));
    fields.end();
    assert.throws(() => fields.required(INTEGER), DerError);
  });
});

describe("values", () => {
  const identifiers: readonly [string, string][] = [
    ["55 1d 13", "2.5.29.19"],
    ["2a 86 48 86 f7 0d 01 01 0b", "1.2.840.113549.1.1.11"],
    ["88 37 03", "2.999.3"],
    ["27", "0.39"],
  ];
  for (const [octets, dotted] of identifiers) test(dotted, () => assert.equal(objectIdentifier(hex(octets)), dotted));
  for (const octets of ["", "55 9d", "55 80 01"]) {
    test(`no object identifier: ${octets}`, () => assert.throws(() => objectIdentifier(hex(octets)), DerError));
  }

  test("an object identifier is as long as any in use, not as long as its peer likes", () => {
    const ofOctets = (count: number): Buffer => Buffer.concat([Buffer.alloc(count - 1, 0xff), Buffer.of(0x7f)]);
    assert.match(objectIdentifier(ofOctets(256)), /^2\.[0-9]+$/);
    assert.throws(() => objectIdentifier(ofOctets(257)), DerError);
  });

  test("integers are small and not negative", () => {
    assert.equal(smallInteger(hex("00")), 0);
    assert.equal(smallInteger(hex("00 80")), 128);
    for (const octets of ["", "ff", "00 01", "01 00 00 00 00"]) assert.throws(() => smallInteger(hex(octets)), DerError);
  });

  test("booleans are 00 or ff", () => {
    assert.equal(booleanValue(hex("00")), false);
    assert.equal(booleanValue(hex("ff")), true);
    for (const octets of ["", "01", "ff ff"]) assert.throws(() => booleanValue(hex(octets)), DerError);
  });
});

test("only what is wrong with the input becomes a value", () => {
  assert.deepEqual(
    orMalformed(() => derElements(hex("02"))),
    { kind: "malformed", because: "ends before a length" },
  );
  assert.throws(
    () =>
      orMalformed(() => {
        throw new TypeError("a bug");
      }),
    TypeError,
  );
});
