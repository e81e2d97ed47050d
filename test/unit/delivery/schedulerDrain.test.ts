import assert from "node:assert/strict";
import type { Bench } from "./schedulerBench.ts";
import { benchTest } from "./schedulerBench.ts";

const LIMITS = { maxConnections: 100, maxConnectionsPerDestination: 8 };
const DEADLINE = 20_000;

function stopping(bench: Bench): { stopped: "no" | "yes" } {
  const state: { stopped: "no" | "yes" } = { stopped: "no" };
  void bench.scheduler.stop(DEADLINE).then(() => {
    state.stopped = "yes";
  });
  return state;
}

benchTest("a drain tries everything that is due, then ends", { a: 20, b: 3 }, LIMITS, async (bench) => {
  const state = stopping(bench);
  for (let round = 0; round < 8; round += 1) {
    await bench.end("a", "answered");
    await bench.end("b", "answered");
    await bench.advance(0.2);
  }
  assert.deepEqual([bench.count(), state.stopped], [0, "yes"]);
  assert.equal(await bench.queue.nextDueAt(), undefined);
});

benchTest("at the deadline nothing new begins; what runs is waited for", { a: 100 }, LIMITS, async (bench) => {
  const state = stopping(bench);
  await bench.end("a", "answered", 1);
  assert.equal(bench.count(), 6);
  await bench.advance(DEADLINE / 1000);
  await bench.end("a", "answered", 5);
  assert.deepEqual([bench.count(), state.stopped], [1, "no"]);
  await bench.end("a", "answered");
  assert.equal(state.stopped, "yes");
});

benchTest("a destination that rests is not waited for", { a: 100 }, LIMITS, async (bench) => {
  await bench.end("a", "unavailable", 4);
  const state = stopping(bench);
  await bench.end("a", "unavailable");
  await bench.advance(0.2);
  await bench.advance(0.2);
  assert.deepEqual([bench.count(), state.stopped], [0, "yes"]);
  assert.notEqual(await bench.queue.nextDueAt(), undefined);
});

benchTest(
  "what a rate holds back for a moment is waited for",
  { a: 3 },
  { ...LIMITS, rates: [{ domain: "a", messagesPerMinute: 60 }] },
  async (bench) => {
    const state = stopping(bench);
    for (let second = 0; second < 3; second += 1) {
      assert.deepEqual([bench.count(), state.stopped], [1, "no"], `second ${second}`);
      await bench.end("a", "answered");
      await bench.advance(1);
    }
    await bench.advance(0.2);
    assert.equal(state.stopped, "yes");
  },
);

benchTest("mail that arrives while draining is tried too", { a: 1 }, LIMITS, async (bench) => {
  const state = stopping(bench);
  bench.queue.add("b", 1);
  await bench.end("a", "answered");
  assert.deepEqual([bench.count("b"), state.stopped], [1, "no"]);
  await bench.end("b", "answered");
  await bench.advance(0.2);
  assert.equal(state.stopped, "yes");
});

benchTest("an empty queue stops at once", {}, LIMITS, async (bench) => {
  const state = stopping(bench);
  await bench.advance(0.2);
  assert.equal(state.stopped, "yes");
});
