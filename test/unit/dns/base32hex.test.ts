import assert from "node:assert/strict";
import { test } from "node:test";
import { base32hex } from "../../../src/dns/base32hex.ts";

/** RFC 4648 §10, without padding and in lower case. */
const VECTORS = [
  ["", ""],
  ["f", "co"],
  ["fo", "cpng"],
  ["foo", "cpnmu"],
  ["foob", "cpnmuog"],
  ["fooba", "cpnmuoj1"],
  ["foobar", "cpnmuoj1e8"],
] as const;

for (const [text, encoded] of VECTORS) {
  test(`${JSON.stringify(text)} is ${JSON.stringify(encoded)}`, () => {
    assert.equal(base32hex(Buffer.from(text)), encoded);
  });
}

test("it sorts as the octets do", () => {
  const octets = [0x00, 0x0f, 0x10, 0x4f, 0x50, 0x7f, 0x80, 0xff].map((value) => Buffer.alloc(20, value));
  const texts = octets.map(base32hex);
  assert.deepEqual([...texts].sort(), texts);
});
