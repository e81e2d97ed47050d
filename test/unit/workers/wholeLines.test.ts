import assert from "node:assert/strict";
import { test } from "node:test";
import { WholeLines } from "../../../src/workers/wholeLines.ts";

const ROWS: readonly { pieces: readonly string[]; written: readonly string[] }[] = [
  { pieces: ["a\n"], written: ["a\n"] },
  { pieces: ["a\nb\n"], written: ["a\nb\n"] },
  { pieces: ["a", "b\nc"], written: ["ab\n", "c\n"] },
  { pieces: ["a", "b", "c"], written: ["abc\n"] },
  { pieces: ["a\nb", "\nc\nd"], written: ["a\n", "b\nc\n", "d\n"] },
  { pieces: [], written: [] },
];

for (const { pieces, written } of ROWS) {
  test(`${JSON.stringify(pieces)} is written as ${JSON.stringify(written)}`, () => {
    const got: string[] = [];
    const lines = new WholeLines((text) => got.push(text));
    for (const piece of pieces) lines.push(Buffer.from(piece));
    lines.end();
    assert.deepEqual(got, written);
  });
}

test("output without an end of line comes in pieces, and is not kept", () => {
  const got: string[] = [];
  const lines = new WholeLines((text) => got.push(text));
  for (let piece = 0; piece < 40; piece += 1) lines.push(Buffer.alloc(65_536, "x"));
  assert.deepEqual(
    got.map((text) => [text.length, text.at(-1)]),
    [
      [1_048_577, "\n"],
      [1_048_577, "\n"],
    ],
  );
  lines.end();
  assert.equal(got.at(-1)?.length, 8 * 65_536 + 1);
});

test("a character that is cut in two arrives whole", () => {
  const got: string[] = [];
  const lines = new WholeLines((text) => got.push(text));
  const octets = Buffer.from("ä\n");
  lines.push(octets.subarray(0, 1));
  lines.push(octets.subarray(1));
  assert.deepEqual(got, ["ä\n"]);
});
