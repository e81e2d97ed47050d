import assert from "node:assert/strict";
import { benchTest } from "./schedulerBench.ts";

const LIMITS = { maxConnections: 100, maxConnectionsPerDestination: 8 };
const rate = (domain: string, messagesPerMinute: number) => ({ ...LIMITS, rates: [{ domain, messagesPerMinute }] });

benchTest("one a second: one at once, then one with each second", { a: 100 }, rate("a", 60), async (bench) => {
  for (let second = 0; second < 10; second += 1) {
    assert.equal(bench.count(), 1, `second ${second}`);
    await bench.end("a", "answered");
    assert.equal(bench.count(), 0, `second ${second}`);
    await bench.advance(0.5);
    assert.equal(bench.count(), 0, `second ${second} and a half`);
    await bench.advance(0.5);
  }
});

benchTest("a pause is not saved up beyond a second's worth", { a: 3 }, rate("a", 120), async (bench) => {
  assert.equal(bench.count(), 2);
  await bench.end("a", "answered");
  await bench.advance(0.5);
  await bench.end("a", "answered");
  await bench.advance(600);
  bench.queue.add("a", 50);
  await bench.settle();
  assert.equal(bench.count(), 2);
});

benchTest("less than one a second", { a: 5 }, rate("a", 2), async (bench) => {
  assert.equal(bench.count(), 1);
  await bench.end("a", "answered");
  await bench.advance(29);
  assert.equal(bench.count(), 0);
  await bench.advance(1);
  assert.equal(bench.count(), 1);
});

benchTest("other destinations have no rate", { a: 100, b: 100 }, rate("a", 60), async (bench) => {
  assert.deepEqual([bench.count("a"), bench.count("b")], [1, 5]);
});

benchTest("a pattern gives each destination a rate of its own", { "a.x": 9, "b.x": 9, c: 9 }, rate(".x", 60), async (bench) => {
  assert.deepEqual([bench.count("a.x"), bench.count("b.x"), bench.count("c")], [1, 1, 5]);
});

benchTest("a rate that is changed counts from then on", { a: 100 }, rate("*", 1), async (bench) => {
  await bench.end("a", "answered");
  assert.equal(bench.count(), 0);
  bench.scheduler.limit({ ...LIMITS, rates: [] });
  await bench.settle();
  assert.equal(bench.count(), 6);
});

benchTest("a failure that is no failure of the destination gives no message back", { a: 9 }, rate("a", 60), async (bench) => {
  await bench.end("a", "nothing");
  assert.equal(bench.count(), 0);
});
