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

test("a character that is cut in two arrives whole", () => {
  const got: string[] = [];
  const lines = new WholeLines((text) => got.push(text));
  const octets = Buffer.from("ä\n");
  lines.push(octets.subarray(0, 1));
  lines.push(octets.subarray(1));
  assert.deepEqual(got, ["ä\n"]);
});
