import assert from "node:assert/strict";
import { test } from "node:test";
import { type Random, systemRandom } from "../../../src/clock.ts";
import { messageIds } from "../../../src/spool/messageId.ts";

function idsAt(times: readonly number[], random: Random = { below: () => 0 }): string[] {
  let at = 0;
  const next = messageIds({ now: () => times[at++] ?? 0, monotonic: () => 0 }, random);
  return times.map(() => next());
}

test("letters and digits, one length, and the time leads", () => {
  const [id] = idsAt([Date.UTC(2026, 0, 1)]);
  assert.match(id ?? "", /^[0-9A-Z]{18}$/);
  assert.equal(Number.parseInt((id ?? "").slice(0, 9), 36), Date.UTC(2026, 0, 1));
});

for (const [name, times] of [
  ["within one millisecond", [5, 5, 5, 5]],
  ["as time goes on", [1, 5, 36, 37, 1_700_000_000_000, 1_700_000_000_001]],
  ["when the clock is set back", [1000, 999, 5, 5, 1000, 1001]],
  ["beyond what one millisecond can count", Array.from({ length: 100_000 }, () => 7)],
] as const) {
  test(`ids grow ${name}`, () => {
    const ids = idsAt(times);
    assert.deepEqual(ids, [...ids].sort());
    assert.equal(new Set(ids).size, ids.length);
  });
}

test("two processes that count alike make different ids", () => {
  const times = Array.from({ length: 1000 }, () => 1_700_000_000_000);
  const ids = [...idsAt(times, systemRandom), ...idsAt(times, systemRandom)];
  assert.equal(new Set(ids).size, ids.length);
});
