import assert from "node:assert/strict";
import { test } from "node:test";
import { retryDecision } from "../../../src/policy/retrySchedule.ts";

const SETTINGS = { initialSeconds: 300, maximumSeconds: 14_400, lifetimeHours: 120, delayWarningHours: 4 };
const MIDDLE = 0.5;
const ACCEPTED = { since: 0, mayExpire: "yes" } as const;

function waitSeconds(attempts: number, random = MIDDLE): number {
  const decision = retryDecision(SETTINGS, { ...ACCEPTED, now: 0, attempts, delayWarned: false, random });
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
      ...ACCEPTED,
      attempts: 3,
      delayWarned: state.delayWarned,
      random: MIDDLE,
    });
    const seen = decision.kind === "expired" ? "expired" : `retry, ${decision.warn === "now" ? "warning" : "no warning"}`;
    assert.equal(seen, expected);
  });
}

test("the last attempt falls on the end of the lifetime", () => {
  const decision = retryDecision(SETTINGS, { ...ACCEPTED, now: 119 * HOUR, attempts: 40, delayWarned: true, random: MIDDLE });
  assert.deepEqual(decision, { kind: "retry", atMilliseconds: 120 * HOUR, warn: "no" });
});

test("a clock that jumped back makes the wait no longer than the schedule's", () => {
  const decision = retryDecision(SETTINGS, { ...ACCEPTED, now: -50 * HOUR, attempts: 1, delayWarned: false, random: MIDDLE });
  assert.deepEqual(decision, { kind: "retry", atMilliseconds: -50 * HOUR + 300_000, warn: "no" });
});

test("where the clock may be wrong, a recipient past its lifetime waits as after any attempt", () => {
  const state = { since: 0, mayExpire: "not-yet", now: 500 * HOUR, attempts: 3, delayWarned: true, random: MIDDLE } as const;
  assert.deepEqual(retryDecision(SETTINGS, state), { kind: "retry", atMilliseconds: 500 * HOUR + 1_200_000, warn: "no" });
});

const WAITED: readonly [string, Partial<typeof SETTINGS>, number][] = [
  // 300 to 9,600 s are 18,900 s; what is left of 240 hours, less the jitter, are 66 waits of four hours.
  ["the default schedule", {}, 73],
  ["one wait for all", { initialSeconds: 3600, maximumSeconds: 3600, lifetimeHours: 9 }, 21],
  ["a maximum between two doublings", { initialSeconds: 300, maximumSeconds: 500, lifetimeHours: 1 }, 18],
];
for (const [title, changes, last] of WAITED) {
  test(`accepted in the future: waits that add up to two lifetimes are enough: ${title}`, () => {
    const kindAfter = (attempts: number) =>
      retryDecision({ ...SETTINGS, ...changes }, { ...ACCEPTED, now: -HOUR, attempts, delayWarned: true, random: MIDDLE }).kind;
    assert.deepEqual([kindAfter(last - 1), kindAfter(last)], ["retry", "expired"]);
  });
}
