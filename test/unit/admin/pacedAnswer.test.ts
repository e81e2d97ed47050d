import assert from "node:assert/strict";
import { test } from "node:test";
import { paced } from "../../../src/admin/pacedAnswer.ts";

const BURST = 3;

/** Numbers as answers, and how many were made; its clock stands unless the test moves it. */
function counter(intervalMilliseconds: number, monotonic: () => number) {
  const state = { made: 0 };
  const make = (): Promise<number> => {
    state.made += 1;
    return Promise.resolve(state.made);
  };
  return { state, ask: paced(make, { monotonic, burst: BURST, intervalMilliseconds }) };
}

test("who asks at the same time shares one; a burst is not held up", async () => {
  const { ask, state } = counter(1_000_000, () => 0);
  assert.deepEqual(await Promise.all([ask(), ask(), ask(), ask()]), [1, 1, 1, 1]);
  assert.deepEqual([await ask(), await ask()], [2, 3]);
  assert.equal(state.made, BURST);
});

test("behind a burst all wait for one turn, and what they get was made after they asked", async () => {
  const { ask, state } = counter(50, () => performance.now());
  for (let n = 0; n < BURST; n += 1) await ask();
  const from = performance.now();
  const late = Array.from({ length: 100 }, () => ask());
  assert.equal(state.made, BURST, "nothing is made before its turn");
  assert.deepEqual(new Set(await Promise.all(late)), new Set([BURST + 1]));
  assert.ok(performance.now() - from > 5, "they waited");
});

test("one that fails does so for all who wait, and is made again for the next", async () => {
  let fails = true;
  const make = (): Promise<string> => (fails ? Promise.reject(new Error("no registry")) : Promise.resolve("text"));
  const ask = paced(make, { monotonic: () => 0, burst: 9, intervalMilliseconds: 1 });
  await assert.rejects(Promise.all([ask(), ask()]), /no registry/);
  fails = false;
  assert.equal(await ask(), "text");
});
