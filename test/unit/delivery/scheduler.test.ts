import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { Bench, benchTest } from "./schedulerBench.ts";

const WIDE = { maxConnections: 100, maxConnectionsPerDestination: 8 };

benchTest("a destination begins with a few at once and gets more with each answer", { a: 100 }, WIDE, async (bench) => {
  assert.equal(bench.count(), 5);
  await bench.end("a", "answered", 1);
  assert.equal(bench.count(), 6);
  await bench.end("a", "answered");
  assert.equal(bench.count(), 8);
});

benchTest("failures make it fewer; five in a row, none for 30 s, then one", { a: 100 }, WIDE, async (bench) => {
  await bench.end("a", "unavailable", 4);
  assert.equal(bench.count(), 1);
  await bench.end("a", "unavailable");
  assert.equal(bench.count(), 0);
  await bench.advance(29);
  assert.equal(bench.count(), 0);
  await bench.advance(1);
  assert.equal(bench.count(), 1);
  await bench.end("a", "answered");
  assert.equal(bench.count(), 2);
});

const HANGING = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`dead${i}`, 10]));

benchTest(
  "destinations that have not answered yet hold at most half of the connections; those that work get the rest",
  { live: 5 },
  { maxConnections: 20, maxConnectionsPerDestination: 20 },
  async (bench) => {
    await bench.end("live", "answered");
    for (const [destination, count] of Object.entries(HANGING)) bench.queue.add(destination, count);
    await bench.settle();
    assert.equal(bench.count(), 10);
    bench.queue.add("live", 100);
    await bench.settle();
    assert.equal(bench.count("live"), 10);
    await bench.end("live", "answered", 4);
    assert.equal(bench.count("live"), 10);
    assert.equal(bench.queue.released, 0);
  },
);

benchTest(
  "who has not answered yet takes turns: each gets one before any gets two",
  HANGING,
  { maxConnections: 60, maxConnectionsPerDestination: 20 },
  async (bench) => {
    assert.equal(bench.count(), 24);
    assert.equal(new Set(bench.running.map(({ destination }) => destination)).size, 24);
  },
);

benchTest(
  "new mail for an unknown destination does not wait for a crowd that was there before, until it is known itself",
  HANGING,
  { maxConnections: 20, maxConnectionsPerDestination: 20 },
  async (bench) => {
    assert.equal(bench.count(), 8);
    bench.queue.add("new", 5);
    await bench.settle();
    assert.equal(bench.count("new"), 2);
    await bench.end("new", "unavailable");
    assert.equal(bench.count("new"), 0);
  },
);

benchTest(
  "a working destination is served at once in the midst of a crowd without room",
  { live: 1000, ...Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`dead${i}`, 10])) },
  { maxConnections: 20, maxConnectionsPerDestination: 5 },
  async (bench) => {
    for (let i = 0; i < 20; i += 1) {
      await bench.end("live", "answered");
      assert.equal(bench.count("live"), 5, `after ${i}`);
    }
  },
);

benchTest("one huge queue does not keep a single message waiting", { list: 100_000 }, WIDE, async (bench) => {
  await bench.end("list", "answered");
  bench.queue.add("single", 1);
  await bench.settle();
  assert.equal(bench.count("list"), 8);
  assert.equal(bench.count("single"), 1);
});

benchTest(
  "while nothing has room, the store is not asked again and again",
  HANGING,
  { maxConnections: 20, maxConnectionsPerDestination: 2 },
  async (bench) => {
    await bench.advance(1);
    const before = bench.queue.claims;
    for (let i = 0; i < 10; i += 1) await bench.advance(1);
    assert.equal(bench.queue.claims, before);
  },
);

benchTest("resting destinations wake the scheduler at the end of the first rest, not before", { a: 50 }, WIDE, async (bench) => {
  await bench.end("a", "unavailable");
  await bench.advance(1);
  const before = bench.queue.claims;
  for (let i = 0; i < 28; i += 1) await bench.advance(1);
  assert.equal(bench.queue.claims, before);
  await bench.advance(1);
  assert.equal(bench.count(), 1);
});

test("an attempt whose record failed is told, frees its place and teaches nothing", async () => {
  try {
    const bench = new Bench({ a: 100 }, { maxConnections: 100, maxConnectionsPerDestination: 1 });
    await bench.start();
    const error = new Error("damaged");
    bench.running.shift()?.fail(error);
    await bench.settle();
    assert.deepEqual(bench.errors, [error]);
    assert.equal(bench.count(), 1);
  } finally {
    mock.timers.reset();
  }
});

benchTest("stop: nothing new begins, and it waits for what runs", { a: 100 }, WIDE, async (bench) => {
  let stopped = "no";
  const stopping = bench.scheduler.stop().then(() => {
    stopped = "yes";
  });
  await bench.end("a", "answered", 4);
  assert.equal(bench.count(), 1);
  assert.equal(stopped, "no");
  await bench.end("a", "answered");
  await stopping;
  assert.equal(bench.count(), 0);
});
