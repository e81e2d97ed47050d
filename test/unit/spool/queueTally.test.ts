import assert from "node:assert/strict";
import { test } from "node:test";
import { AcceptanceTimes } from "../../../src/spool/acceptanceTimes.ts";
import { type CountedEntry, QueueTally } from "../../../src/spool/queueTally.ts";

function entry(id: string, acceptedAt: number, destination: string, ...reasons: (string | undefined)[]): CountedEntry {
  const recipients = reasons.map((text) =>
    text === undefined
      ? {}
      : { lastOutcome: { kind: "deferred" as const, status: "4.4.1" as const, cause: { kind: "connect" as const, text } } },
  );
  return { id, acceptedAt, destination, recipients };
}

function complete(...entries: CountedEntry[]): QueueTally {
  const tally = new QueueTally();
  tally.countSlice(entries, undefined);
  return tally;
}

test("changes of what is counted are counted, those behind it when their slice comes", () => {
  const tally = new QueueTally();
  tally.countSlice([entry("A", 1, "a.example", undefined), entry("B", 2, "a.example", undefined)], { acceptedAt: 2, id: "B" });
  assert.deepEqual(tally.counted, { acceptedAt: 2, id: "B" });
  // Of the slice that is counted: one deferred, one gone.
  tally.changed(entry("A", 1, "a.example", undefined), entry("A", 1, "a.example", "busy"));
  tally.changed(entry("B", 2, "a.example", undefined), undefined);
  // Behind it: what came, changed and left meanwhile will be found as it then is.
  tally.changed(undefined, entry("C", 2, "a.example", undefined));
  tally.changed(entry("D", 3, "a.example", undefined), undefined);
  assert.deepEqual(tally.statistics("destination", 9), [
    { key: "a.example", messages: 1, recipients: 1, oldestAcceptedAt: 1, reason: "busy" },
  ]);
  tally.countSlice([entry("C", 2, "a.example", undefined)], undefined);
  assert.equal(tally.counted, "everything");
  tally.changed(undefined, entry("E", 9, "b.example", undefined, "busy"));
  assert.deepEqual(tally.statistics("destination", 9), [
    { key: "a.example", messages: 2, recipients: 2, oldestAcceptedAt: 1, reason: "busy" },
    { key: "b.example", messages: 1, recipients: 2, oldestAcceptedAt: 9, reason: "busy" },
  ]);
  assert.deepEqual(tally.statistics("reason", 9), [
    { key: "busy", messages: 2, recipients: 2, oldestAcceptedAt: 1 },
    { key: "not tried yet", messages: 2, recipients: 2, oldestAcceptedAt: 2 },
  ]);
});

test("a settled entry without recipients left is gone, and so is its destination", () => {
  const tally = complete(entry("A", 1, "a.example", "busy", undefined));
  const was = entry("A", 1, "a.example", "busy", undefined);
  tally.changed(was, { ...was, recipients: [] });
  assert.deepEqual(tally.statistics("destination", 9), []);
  assert.deepEqual(tally.statistics("reason", 9), []);
});

test("what is cut off by the limit has the fewest recipients", () => {
  const tally = complete(
    entry("A", 1, "b.example", "x"),
    entry("B", 1, "a.example", "x"),
    entry("C", 1, "c.example", "x", "y", "y"),
  );
  const keys = tally.statistics("destination", 2).map(({ key }) => key);
  assert.deepEqual(keys, ["c.example", "a.example"]);
  assert.equal(tally.statistics("destination", 1)[0]?.reason, "y");
});

test("more reasons at one destination than are told apart: the sum stays right to the end", () => {
  const entries = Array.from({ length: 60 }, (_, n) =>
    entry(`M${String(n).padStart(2, "0")}`, n, "a.example", `reason ${n % 30}`),
  );
  const tally = complete(...entries);
  assert.equal(tally.statistics("destination", 1)[0]?.reason, "(other)");
  for (const one of entries.slice(0, 55)) tally.changed(one, undefined);
  const [left] = tally.statistics("destination", 1);
  assert.deepEqual([left?.messages, left?.recipients, left?.oldestAcceptedAt], [5, 5, 54]);
  for (const one of entries.slice(55)) tally.changed(one, undefined);
  assert.deepEqual(tally.statistics("destination", 1), []);
});

test("acceptance times: exact while few, at most a sixteenth of their span too early when many", () => {
  const few = new AcceptanceTimes();
  for (const at of [50, 7, 90, 7]) few.add(at);
  few.remove(7);
  assert.equal(few.oldest(), 7);
  few.remove(7);
  assert.equal(few.oldest(), 50);
  few.remove(50);
  few.remove(90);
  assert.equal(few.oldest(), undefined);

  const many = new AcceptanceTimes();
  const times = Array.from({ length: 10_000 }, (_, n) => 1_700_000_000_000 + 37 * ((n * 7919) % 10_000));
  for (const at of times) many.add(at);
  const sorted = times.toSorted((one, other) => one - other);
  const span = 37 * 10_000;
  for (const [index, at] of sorted.entries()) {
    const oldest = many.oldest() ?? 0;
    assert.ok(oldest <= at && at - oldest <= span / 16, `${index}: ${at - oldest}`);
    many.remove(at);
  }
  assert.equal(many.oldest(), undefined);
});
