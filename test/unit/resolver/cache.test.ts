import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_TTL_SECONDS, TtlCache } from "../../../src/resolver/cache.ts";

test("nothing is served at or beyond the end of its TTL, and what is left is told", () => {
  let now = 0;
  const cache = new TtlCache<string>(10, () => now);
  cache.set("a", "value", 10);
  now = 4_500;
  assert.deepEqual(cache.get("a"), { value: "value", ttlSeconds: 5 });
  now = 9_999;
  assert.deepEqual(cache.get("a"), { value: "value", ttlSeconds: 0 });
  now = 10_000;
  assert.equal(cache.get("a"), undefined);
  assert.deepEqual(cache.counts, { entries: 0, hits: 2, misses: 1 });
});

test("a TTL of zero is not kept, and takes away what was there", () => {
  const cache = new TtlCache<string>(10, () => 0);
  cache.set("a", "old", 10);
  cache.set("a", "new", 0);
  assert.equal(cache.get("a"), undefined);
});

test("no TTL is longer than a day", () => {
  let now = 0;
  const cache = new TtlCache<string>(10, () => now);
  cache.set("a", "value", 2 ** 31 - 1);
  now = MAX_TTL_SECONDS * 1000;
  assert.equal(cache.get("a"), undefined);
});

test("the number of entries is bounded, the least recently used goes first", () => {
  const cache = new TtlCache<number>(2, () => 0);
  cache.set("a", 1, 60);
  cache.set("b", 2, 60);
  cache.get("a");
  cache.set("c", 3, 60);
  assert.deepEqual(
    ["a", "b", "c"].map((key) => cache.get(key)?.value),
    [1, undefined, 3],
  );
});

test("memory is bounded whatever one entry takes; what is too big for the whole of it is not kept", () => {
  const cache = new TtlCache<string>(1000, () => 0, { maxOctets: 10_000, octetsOf: (value) => value.length });
  for (const key of ["a", "b", "c"]) cache.set(key, key.repeat(3000), 60);
  cache.set("d", "d".repeat(3000), 60);
  assert.deepEqual(
    ["a", "b", "c", "d"].map((key) => cache.get(key)?.value[0]),
    [undefined, "b", "c", "d"],
  );
  cache.set("e", "e".repeat(20_000), 60);
  assert.equal(cache.get("e"), undefined);
  assert.equal(cache.get("d")?.value[0], "d");
});
