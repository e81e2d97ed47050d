import assert from "node:assert/strict";
import { test } from "node:test";
import { WitnessedTime } from "../../../src/delivery/witnessedTime.ts";

/** A clock that is set, while mail waits: nothing is given up for a time that nobody saw pass. */
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.UTC(2026, 5, 1);

type Step = { pass: number } | { set: number } | { accept: string };
type Row = {
  title: string;
  /** Messages of an earlier run, with the time of their acceptance before the start. */
  earlier?: Readonly<Record<string, number>>;
  steps: readonly Step[];
  /** Hours of age, and whether the message may be given up for them. */
  expect: Readonly<Record<string, string>>;
};

const ROWS: readonly Row[] = [
  { title: "time passes", steps: [{ accept: "A" }, { pass: 5 * DAY }], expect: { A: "120 h, yes" } },
  {
    title: "set forward: what was accepted before is no older",
    steps: [{ accept: "A" }, { pass: HOUR }, { set: 10 * DAY }, { pass: HOUR }, { accept: "B" }, { pass: HOUR }],
    expect: { A: "3 h, yes", B: "1 h, yes" },
  },
  {
    title: "set forward twice",
    steps: [{ accept: "A" }, { set: 10 * DAY }, { pass: HOUR }, { accept: "B" }, { set: 5 * DAY }, { pass: HOUR }],
    expect: { A: "2 h, yes", B: "1 h, yes" },
  },
  {
    title: "set forward and back again",
    steps: [
      { accept: "A" },
      { set: 10 * DAY },
      { pass: HOUR },
      { set: -10 * DAY },
      { pass: HOUR },
      { accept: "B" },
      { pass: HOUR },
    ],
    expect: { A: "3 h, yes", B: "1 h, yes" },
  },
  {
    title: "set back: nothing is older than the clock says",
    steps: [{ accept: "A" }, { pass: 2 * DAY }, { set: -DAY }, { accept: "B" }, { pass: HOUR }],
    expect: { A: "25 h, yes", B: "1 h, yes" },
  },
  {
    title: "corrections below a minute are none",
    steps: [{ accept: "A" }, { pass: HOUR }, { set: 59_000 }, { pass: HOUR - 59_000 }],
    expect: { A: "2 h, yes" },
  },
  {
    title: "mail of an earlier run is not given up in the first hour",
    earlier: { OLD: 500 * HOUR },
    steps: [{ pass: HOUR - 1 }],
    expect: { OLD: "501 h, not-yet" },
  },
  {
    title: "and then it is",
    earlier: { OLD: 500 * HOUR },
    steps: [{ pass: HOUR }],
    expect: { OLD: "501 h, yes" },
  },
  {
    title: "the clock was behind at the start: mail of an earlier run is as old as the right clock says",
    earlier: { OLD: -20 * DAY },
    steps: [{ pass: HOUR }, { set: 21 * DAY }],
    expect: { OLD: "25 h, yes" },
  },
  {
    title: "the clock was ahead at the start: mail of an earlier run is as old as the right clock says",
    earlier: { OLD: 11 * DAY },
    steps: [{ pass: HOUR / 2 }, { set: -10 * DAY }, { pass: HOUR / 2 }],
    expect: { OLD: "25 h, yes" },
  },
];

function played({ earlier = {}, steps }: Row): Record<string, string> {
  let [wall, steady] = [START, 1000];
  const time = new WitnessedTime({ now: () => wall, monotonic: () => steady });
  const accepted = new Map(Object.entries(earlier).map(([id, ago]) => [id, START - ago]));
  for (const step of steps) {
    if ("pass" in step) [wall, steady] = [wall + step.pass, steady + step.pass];
    else if ("set" in step) wall += step.set;
    else accepted.set(step.accept, wall);
    assert.equal(time.now(), wall);
  }
  return Object.fromEntries(
    [...accepted].map(([id, at]) => {
      const { since, mayExpire } = time.spanOf(at);
      return [id, `${Math.round((wall - since) / HOUR)} h, ${mayExpire}`];
    }),
  );
}

for (const row of ROWS) test(row.title, () => assert.deepEqual(played(row), row.expect));

test("a jump is seen when the age is asked for, too", () => {
  let wall = START;
  const time = new WitnessedTime({ now: () => wall, monotonic: () => 0 });
  wall += 10 * DAY;
  assert.equal(time.spanOf(START).since, wall);
});
