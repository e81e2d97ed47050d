import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import type { attempt } from "../../src/delivery/attempt.ts";
import { MUTANTS } from "./policyMutants.ts";
import { type Combination, combinations, decide, expectedOf, POLICY_ROWS, type TableRow } from "./policyWorld.ts";

/**
 * That the truth table is not green by accident: each branch of the decision is broken once, in memory, and the rows that speak of it have to
 * turn red; and each row has to have a mutant that turns it red.
 */
const SOURCE = join(import.meta.dirname, "../../src");
const MUTATED_AREAS = /\/src\/(?:policy|dane|delivery)\//;

/** A module asked for with `?mutant=N` is loaded anew, changed if it is N's, and hands the mark on to what it imports. */
registerHooks({
  resolve(specifier, context, nextResolve) {
    const resolved = nextResolve(specifier, context);
    const mark = /\?mutant=\d+$/.exec(context.parentURL ?? "")?.[0];
    const marked = mark !== undefined && MUTATED_AREAS.test(resolved.url) && !resolved.url.includes("?");
    return marked ? { ...resolved, url: `${resolved.url}${mark}` } : resolved;
  },
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const mutant = MUTANTS[Number(/\?mutant=(\d+)$/.exec(url)?.[1] ?? Number.NaN)];
    if (mutant === undefined || !url.includes(`/src/${mutant.file}?`)) return loaded;
    return { ...loaded, source: String(loaded.source).replace(mutant.from, () => mutant.to) };
  },
});

async function mutated(index: number): Promise<typeof attempt> {
  const url = `${pathToFileURL(join(SOURCE, "delivery/attempt.ts")).href}?mutant=${index}`;
  const module: { attempt: typeof attempt } = await import(url);
  return module.attempt;
}

const conditionsOf = ({ cells }: TableRow): string =>
  [cells.mx, cells.host, cells.expanded, cells.own, cells.insecureMx, cells.demand].join(" ");

const casesOf = new Map<string, { of: Combination; expected: string }[]>(POLICY_ROWS.map((row) => [conditionsOf(row), []]));
for (const of of combinations()) {
  const found = expectedOf(of);
  if (found !== undefined) casesOf.get(conditionsOf(found.row))?.push({ of, expected: found.expected });
}

/** Whether any combination of the row is decided otherwise than the table says; a broken attempt is one, too. */
async function isRed(row: string, byAttempt: typeof attempt): Promise<boolean> {
  const cases = casesOf.get(row);
  assert.ok(cases !== undefined, `no such row: ${row}`);
  for (const { of, expected } of cases) {
    const decision = await decide(of, byAttempt).catch((error: unknown) => `broke: ${String(error)}`);
    if (decision !== expected) return true;
  }
  return false;
}

describe("a broken branch turns its rows red", () => {
  for (const [index, { file, from, to, red }] of MUTANTS.entries()) {
    const change = `${from} -> ${to}`.replaceAll(/\s+/g, " ");
    test(`${file}: ${change}`, async () => {
      const occurrences = readFileSync(join(SOURCE, file), "utf8").split(from).length - 1;
      assert.equal(occurrences, 1, "the text is not there exactly once");
      const broken = await mutated(index);
      for (const row of red) assert.ok(await isRed(row, broken), `row ${row} does not notice`);
    });
  }
});

test("each row has a mutant that turns it red", () => {
  const noticed = new Set(MUTANTS.flatMap(({ red }) => red));
  assert.deepEqual(
    [...casesOf.keys()].filter((row) => !noticed.has(row)),
    [],
  );
});

test("what is not broken keeps all rows green", async () => {
  const byAttempt = await mutated(MUTANTS.length);
  for (const row of casesOf.keys()) {
    const [first] = casesOf.get(row) ?? [];
    assert.ok(first !== undefined);
    assert.equal(await decide(first.of, byAttempt), first.expected);
  }
});
