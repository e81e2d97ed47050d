import assert from "node:assert/strict";
import { test } from "node:test";
import { retryDecision } from "../../../src/policy/retrySchedule.ts";

const SETTINGS = { initialSeconds: 300, maximumSeconds: 14_400, lifetimeHours: 120, delayWarningHours: 4 };
const MIDDLE = 0.5;

function waitSeconds(attempts: number, random = MIDDLE): number {
  const decision = retryDecision(SETTINGS, { now: 0, acceptedAt: 0, attempts, delayWarned: false, random });
  assert.equal(decision.kind, "retry");
  return decision.kind === "retry" ? decision.atMilliseconds / 1000 : Number.NaN;
}

test("the wait doubles from the initial to the maximum", () => {
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 7, 8, 100].map((attempts) => waitSeconds(attempts)),
    [300, 600, 1200, 2400, 4800, 9600, 14400, 14400, 14400],
  );
});

test("jitter spreads the wait by a tenth to either side", () => {
  assert.equal(waitSeconds(1, 0), 270);
  assert.ok(waitSeconds(1, 0.999) > 329 && waitSeconds(1, 0.999) < 330);
});

const HOUR = 3_600_000;
const CASES: readonly [string, { ageHours: number; delayWarned: boolean }, string][] = [
  ["young", { ageHours: 1, delayWarned: false }, "retry, no warning"],
  ["old enough for a warning", { ageHours: 4, delayWarned: false }, "retry, warning"],
  ["already warned", { ageHours: 50, delayWarned: true }, "retry, no warning"],
  ["at the end of its lifetime", { ageHours: 120, delayWarned: true }, "expired"],
  ["past it, after a long stop", { ageHours: 500, delayWarned: false }, "expired"],
];
for (const [title, state, expected] of CASES) {
  test(`a recipient ${title}: ${expected}`, () => {
    const decision = retryDecision(SETTINGS, {
      now: state.ageHours * HOUR,
      acceptedAt: 0,
      attempts: 3,
      delayWarned: state.delayWarned,
      random: MIDDLE,
    });
    const seen = decision.kind === "expired" ? "expired" : `retry, ${decision.warn === "now" ? "warning" : "no warning"}`;
    assert.equal(seen, expected);
  });
}

test("the last attempt falls on the end of the lifetime", () => {
  const decision = retryDecision(SETTINGS, { now: 119 * HOUR, acceptedAt: 0, attempts: 40, delayWarned: true, random: MIDDLE });
  assert.deepEqual(decision, { kind: "retry", atMilliseconds: 120 * HOUR, warn: "no" });
});

test("a clock that jumped back makes the wait no longer than the schedule's", () => {
  const decision = retryDecision(SETTINGS, { now: -50 * HOUR, acceptedAt: 0, attempts: 1, delayWarned: false, random: MIDDLE });
  assert.deepEqual(decision, { kind: "retry", atMilliseconds: -50 * HOUR + 300_000, warn: "no" });
});
