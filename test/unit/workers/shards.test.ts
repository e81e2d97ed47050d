import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { leftOverShards, ownShards } from "../../../src/workers/shards.ts";

const SPOOL = join("a", "spool");

test("one worker has the whole spool, more have a shard each", () => {
  assert.deepEqual(ownShards(SPOOL, 1), [{ name: ".", directory: SPOOL }]);
  assert.deepEqual(ownShards(SPOOL, 2), [
    { name: "shard-1", directory: join(SPOOL, "shard-1") },
    { name: "shard-2", directory: join(SPOOL, "shard-2") },
  ]);
});

const ROWS = [
  { queues: [], workers: 1, leftOver: [] },
  { queues: ["."], workers: 1, leftOver: [] },
  { queues: ["."], workers: 2, leftOver: ["."] },
  { queues: ["shard-1", "shard-2"], workers: 2, leftOver: [] },
  { queues: ["shard-1", "shard-2", "shard-3"], workers: 2, leftOver: ["shard-3"] },
  { queues: [".", "shard-1", "shard-2"], workers: 1, leftOver: ["shard-1", "shard-2"] },
  { queues: ["shard-0", "shard-01", "shard-1000", "shards", "shard-2.old"], workers: 1, leftOver: [] },
] as const;

for (const { queues, workers, leftOver } of ROWS) {
  test(`queues in ${queues.join(", ") || "none"}, ${workers} workers: left over ${leftOver.join(", ") || "none"}`, () => {
    const spool = mkdtempSync(join(tmpdir(), "dane-relay-shards-"));
    try {
      // A shard without a queue has nothing to deliver.
      mkdirSync(join(spool, "shard-9"));
      for (const name of queues) {
        mkdirSync(join(spool, name), { recursive: true });
        writeFileSync(join(spool, name, "queue.db"), "");
      }
      assert.deepEqual(
        leftOverShards(spool, workers)
          .map(({ name }) => name)
          .toSorted(),
        [...leftOver],
      );
    } finally {
      rmSync(spool, { recursive: true });
    }
  });
}

test("a spool that is not there yet has nothing left over", () => {
  assert.deepEqual(leftOverShards(join(tmpdir(), "dane-relay-no-such-spool"), 2), []);
});
