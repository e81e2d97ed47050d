import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { attempt } from "../../src/delivery/attempt.ts";
import { ALL_ROWS, type Combination, combinations, decide, expectedOf, type TableRow, WORDS } from "./policyWorld.ts";

/**
 * RFC 7672 §2 as a truth table (policyTable.tsv, demandTable.tsv): every combination of how the look-ups can end with what can be demanded is
 * decided by the first row that fits, and the real attempt has to decide the same. The expected column is written by hand from the RFC.
 */
const textOf = (of: Combination): string =>
  Object.entries(of)
    .map(([key, value]) => `${key} ${value}`)
    .join(", ");

const decided = new Map<TableRow, { of: Combination; expected: string }[]>();
const missing: Combination[] = [];
for (const of of combinations()) {
  const found = expectedOf(of);
  if (found === undefined) {
    missing.push(of);
    continue;
  }
  for (const row of [found.row, found.demandRow]) {
    const known = decided.get(row);
    if (known === undefined) decided.set(row, [{ of, expected: found.expected }]);
    else known.push({ of, expected: found.expected });
  }
}

test("no combination is without a row", () => assert.deepEqual(missing.slice(0, 5).map(textOf), []));

test("no row is without a combination, and no cell holds an unknown word", () => {
  const dead = ALL_ROWS.filter((row) => !decided.has(row)).map(({ file, line }) => `${file}:${line}`);
  assert.deepEqual(dead, []);
  for (const { file, line, conditions } of ALL_ROWS)
    for (const [column, allowed] of conditions)
      for (const word of allowed) assert.ok(WORDS[column]?.includes(word), `${file}:${line}: ${column} ${word}`);
});

describe("each row is what the attempt does", () => {
  for (const row of ALL_ROWS.filter(({ file }) => file === "policyTable.tsv")) {
    const { mx, host, expanded, own, insecureMx, demand, expected, why } = row.cells;
    const cases = decided.get(row) ?? [];
    test(`line ${row.line}: ${[mx, host, expanded, own, insecureMx, demand].join(" ")}: ${expected} (${why}); ${cases.length} combinations`, async () => {
      for (const { of, expected: wanted } of cases) assert.equal(await decide(of, attempt), wanted, textOf(of));
    });
  }
});
