import assert from "node:assert/strict";
import { test } from "node:test";
import { axisTop, type Column, outcomeColumns, outcomePicture, stackedBars } from "../../../src/admin/outcomePicture.ts";
import { noOutcomes, OUTCOME_GROUPS, OutcomeSeries, outcomeGroup, SERIES_MINUTES } from "../../../src/admin/outcomeSeries.ts";
import { DANE_OUTCOMES } from "../../../src/policy/disposition.ts";

const MINUTE = 60_000;
/** A whole hour. */
const NOW = 1_700_000_400_000 - (1_700_000_400_000 % (60 * MINUTE));
const FRAME = { width: 120, height: 130, left: 20, right: 0, top: 10, bottom: 20 };

test("every outcome of DANE has a group, and each group has one", () => {
  assert.deepEqual(new Set(DANE_OUTCOMES.map(outcomeGroup)), new Set(OUTCOME_GROUPS));
});

test("attempts are counted by the minute; what is too old, or of another time, is not shown", () => {
  const series = new OutcomeSeries();
  const at = (minutes: number, dane: (typeof DANE_OUTCOMES)[number], outcome: "delivered" | "deferred" = "deferred") =>
    series.add({ at: NOW + minutes * MINUTE, dane, outcome });
  at(-SERIES_MINUTES, "mismatch");
  at(-SERIES_MINUTES + 1, "bogus");
  at(0, "authenticated", "delivered");
  at(0.5, "authenticated", "delivered");
  at(1, "mismatch");
  assert.deepEqual(
    series
      .since(NOW)
      .map(({ minute, counts, delivered }) => [minute - NOW / MINUTE, counts.authenticated, counts.dns, delivered]),
    [
      [-SERIES_MINUTES + 1, 0, 1, 0],
      [0, 2, 0, 2],
    ],
  );
  assert.equal(series.since(NOW, 1).length, 1);
});

test("what several processes have counted is put together", () => {
  const count = (...at: readonly number[]): OutcomeSeries => {
    const series = new OutcomeSeries();
    for (const minutes of at) series.add({ at: NOW + minutes * MINUTE, dane: "bogus", outcome: "delivered" });
    return series;
  };
  const all = count(-5);
  all.replace([count(-1, 0).since(NOW), count(0, 0).since(NOW), []]);
  assert.deepEqual(
    all.since(NOW).map(({ minute, counts, delivered }) => [minute - NOW / MINUTE, counts.dns, delivered]),
    [
      [-1, 1, 1],
      [0, 3, 3],
    ],
  );
});

test("the series is bounded", () => {
  const series = new OutcomeSeries();
  for (let minute = 0; minute < 3 * SERIES_MINUTES; minute += 1)
    series.add({ at: NOW + minute * MINUTE, dane: "exempt", outcome: "delivered" });
  assert.equal(series.since(NOW + 3 * SERIES_MINUTES * MINUTE, 10 * SERIES_MINUTES).length, SERIES_MINUTES);
});

const TOPS: readonly [largest: number, top: number][] = [
  [0, 4],
  [4, 4],
  [5, 8],
  [9, 20],
  [21, 40],
  [80, 80],
  [81, 200],
  [1_000_001, 2_000_000],
];
for (const [largest, top] of TOPS) {
  test(`an axis for ${largest} ends at ${top}`, () => {
    assert.equal(axisTop(largest), top);
    assert.ok(Number.isInteger(top / 4));
  });
}

test("columns hold six hours, the last one now", () => {
  const columns = outcomeColumns([{ minute: NOW / MINUTE, counts: { ...noOutcomes(), dns: 3 }, delivered: 0 }], NOW, 60);
  assert.deepEqual(
    columns.map(({ startMinute, total }) => [startMinute - NOW / MINUTE, total]),
    [
      [-300, 0],
      [-240, 0],
      [-180, 0],
      [-120, 0],
      [-60, 0],
      [0, 3],
    ],
  );
});

function column(counts: Partial<Column["counts"]>): Column {
  const all = { ...noOutcomes(), ...counts };
  return { startMinute: 0, counts: all, total: Object.values(all).reduce((sum, count) => sum + count, 0) };
}

test("bars stand on the axis and on each other, in their own column", () => {
  const bars = stackedBars([column({ authenticated: 2, refused: 4 }), column({ dns: 8 })], FRAME);
  assert.deepEqual(bars, [
    { group: "authenticated", x: 25, y: 85, width: 40, height: 25 },
    { group: "refused", x: 25, y: 35, width: 40, height: 50 },
    { group: "dns", x: 75, y: 10, width: 40, height: 100 },
  ]);
});

test("the picture says in words what it shows, and that there is nothing", () => {
  const some = outcomePicture([{ minute: NOW / MINUTE, counts: { ...noOutcomes(), refused: 7 }, delivered: 0 }], NOW).markup;
  assert.match(some, /aria-label="[^"]*7 kept back: certificate, STARTTLS or handshake/);
  assert.match(some, /<table role="table">/);
  assert.doesNotMatch(some, /No delivery was attempted/);
  assert.match(outcomePicture([], NOW).markup, /No delivery was attempted in the last 6 hours/);
  assert.doesNotMatch(some, /style=|NaN|Infinity/);
});
