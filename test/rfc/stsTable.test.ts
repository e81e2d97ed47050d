import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { attempt } from "../../src/delivery/attempt.ts";
import {
  BESIDE,
  type Beside,
  type Combination,
  combinations,
  decide,
  expectedBeside,
  expectedOf,
  STS_ROWS,
  type TableRow,
} from "./policyWorld.ts";

/**
 * MTA-STS and PKIX on top of the policy truth table (stsTable.tsv): of each of its rows, one combination for every way in which the host can
 * have been named, every insecureMx and every demand, with every policy and a certificate that PKIX finds valid or not.
 */
type Case = { of: Combination; beside: Beside; expected: string };

const cases = new Map<TableRow, Case[]>(STS_ROWS.map((row) => [row, []]));
const missing: string[] = [];
const seen = new Set<string>();

for (const of of combinations()) {
  const { mx, insecureMx, level, from, message } = of;
  const key = [expectedOf(of)?.row.line, mx, insecureMx, level, from, message].join(" ");
  if (seen.has(key)) continue;
  seen.add(key);
  for (const beside of BESIDE) {
    const found = expectedBeside(of, beside);
    if (found === undefined) missing.push(`${key} ${beside.sts} ${beside.pkix}`);
    else cases.get(found.row)?.push({ of, beside, expected: found.expected });
  }
}

test("no combination is without a row", () => assert.deepEqual(missing.slice(0, 5), []));

test("no row is without a combination", () => {
  const dead = [...cases].filter(([, found]) => found.length === 0).map(([{ file, line }]) => `${file}:${line}`);
  assert.deepEqual(dead, []);
});

describe("each row is what the attempt does", () => {
  for (const [{ line, cells }, found] of cases) {
    const { base, named, insecureMx, sts, pkix, demand, expected, why } = cells;
    const title = [base, named, insecureMx, sts, pkix, demand].join(" ");
    test(`line ${line}: ${title}: ${expected} (${why}); ${found.length} combinations`, async () => {
      for (const { of, beside, expected: wanted } of found)
        assert.equal(await decide(of, attempt, beside), wanted, JSON.stringify({ ...of, ...beside }));
    });
  }
});
