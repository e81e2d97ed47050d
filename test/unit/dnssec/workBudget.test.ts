import assert from "node:assert/strict";
import { test } from "node:test";
import {
  LOOKUP_LIMITS,
  MAX_DS_MISMATCHES,
  MAX_FAILED_SIGNATURE_CHECKS,
  MAX_NSEC3_HASHES,
  MAX_NSEC3_HASHES_AT_LIMIT,
  MAX_SIGNATURE_CHECKS,
  NSEC3_HASHES_BEFORE_YIELD,
  SharedBudget,
  WorkBudget,
} from "../../../src/dnssec/workBudget.ts";

/** How often `take` says yes, asked more often than any limit. */
function granted(take: () => boolean): number {
  return Array.from({ length: 1000 }, take).filter((yes) => yes).length;
}

const LIMITS: readonly [title: string, take: (budget: WorkBudget) => () => boolean, expected: number][] = [
  ["failed signature checks", (budget) => () => budget.takeSignatureCheck(), MAX_FAILED_SIGNATURE_CHECKS],
  ["DS mismatches", (budget) => () => budget.takeDsMismatch(), MAX_DS_MISMATCHES],
  ["NSEC3 hashes", (budget) => () => budget.takeNsec3Hash(0, 100), MAX_NSEC3_HASHES],
  ["rounds of NSEC3 hashing", (budget) => () => budget.takeNsec3Hash(500, 500), MAX_NSEC3_HASHES_AT_LIMIT],
  ["signature checks", (budget) => () => passed(budget), MAX_SIGNATURE_CHECKS],
];

function passed(budget: WorkBudget): boolean {
  const granted = budget.takeSignatureCheck();
  if (granted) budget.signatureHeld();
  return granted;
}

for (const [title, take, expected] of LIMITS) {
  test(`${title} end at ${expected}, and the budget says so`, () => {
    const budget = new WorkBudget();
    assert.equal(budget.exhausted, undefined);
    assert.equal(granted(take(budget)), expected);
    assert.match(budget.exhausted ?? "", new RegExp(title.replace("DS mismatches", "DS digests")));
  });
}

test("a yield is due after some hashes, once", () => {
  const budget = new WorkBudget();
  const due = Array.from({ length: NSEC3_HASHES_BEFORE_YIELD + 1 }, () => {
    budget.takeNsec3Hash(0, 0);
    return budget.takeYield();
  });
  assert.deepEqual(due, [...new Array(NSEC3_HASHES_BEFORE_YIELD - 1).fill(false), true, false]);
});

test("answers of one look-up share what it may cost: checks, costly checks, rounds of NSEC3 hashing", () => {
  const answers = (shared: SharedBudget) => Array.from({ length: 100 }, () => new WorkBudget(shared));
  const limits = { signatureChecks: 48, costlySignatureChecks: 16, nsec3Answers: 4 };
  const total = (take: (budget: WorkBudget) => boolean, shared = new SharedBudget(limits)): number =>
    answers(shared).reduce((sum, budget) => sum + granted(() => take(budget)), 0);
  assert.equal(total(passed), 48);
  assert.equal(
    total((budget) => budget.takeSignatureCheck("high")),
    16,
  );
  assert.equal(
    total((budget) => budget.takeNsec3Hash(100, 100)),
    4 * MAX_NSEC3_HASHES_AT_LIMIT,
  );
  // Costly checks count as checks; when none of them is left, others still are.
  const shared = new SharedBudget(limits);
  total((budget) => budget.takeSignatureCheck("high"), shared);
  assert.equal(total(passed, shared), 48 - 16);
});

test("what is over for the look-up is over for its answers, and they say so", () => {
  const budget = new WorkBudget(new SharedBudget({ ...LOOKUP_LIMITS, costlySignatureChecks: 0 }));
  assert.equal(budget.takeSignatureCheck("high"), false);
  assert.match(budget.exhausted ?? "", /^0 signature checks with a costly algorithm for one question$/);
});
