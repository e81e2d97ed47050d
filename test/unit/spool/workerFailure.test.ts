import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { OperationQueue } from "../../../src/spool/operationQueue.ts";
import type { Operation } from "../../../src/spool/storeOperation.ts";

async function opened(directory: string): Promise<OperationQueue> {
  const { queue, opened } = await OperationQueue.open({
    database: join(directory, "queue.db"),
    bodies: directory,
    now: 0,
    latestDue: Number.MAX_SAFE_INTEGER,
  });
  assert.equal(opened.kind, "opened");
  return queue;
}

async function inDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-worker-"));
  try {
    await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What the worker cannot read ends it: nothing of the kind is ever sent, so it stands for any bug there. */
const POISON = { kind: "release", key: undefined } as unknown as Operation;

test("a spool worker that dies says so: the process that owns it must end", async () => {
  await inDirectory(async (directory) => {
    const queue = await opened(directory);
    const answer = await queue.submit(POISON);
    assert.equal(answer.kind, "failed");
    assert.match((await queue.failed).message, /worker thread/);
    assert.equal((await queue.submit({ kind: "counts" })).kind, "failed");
  });
});

test("a spool that is closed on purpose has not failed", async () => {
  await inDirectory(async (directory) => {
    const queue = await opened(directory);
    await queue.submit({ kind: "close" });
    await queue.terminate();
    const first = await Promise.race([queue.failed.then(() => "failed"), Promise.resolve("open")]);
    assert.equal(first, "open");
    assert.equal(queue.ended, "the spool is closed");
  });
});
