import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { OperationQueue } from "../../../src/spool/operationQueue.ts";
import type { AdministeredStore, QueueStatistic } from "../../../src/spool/queueAdmin.ts";
import { openSqliteStore } from "../../../src/spool/sqliteStore.ts";

/** After a clean stop the queue is counted at once; after anything else it is counted anew. */
function open(directory: string): Promise<AdministeredStore> {
  return openSqliteStore({ directory, reserveBytes: 0 });
}

async function put(store: AdministeredStore, id: string, destination: string): Promise<void> {
  const flags = { smtpUtf8: false, eightBitMime: false, requireTls: false, tlsRequiredNo: false };
  const recipients = [{ address: `u@${destination}`, destination }] as const;
  await store.add({ envelope: { id, sender: "a@b.example", acceptedAt: 1, size: 0, ...flags }, recipients }, Buffer.from("x"));
}

async function defer(store: AdministeredStore): Promise<void> {
  const [work] = await store.claim({ now: 2, limit: 1, exclude: new Set() });
  assert.ok(work !== undefined);
  const outcome = {
    kind: "deferred",
    status: "4.4.1",
    cause: { kind: "connect", text: `tried ${work.recipients[0].attempts}` },
  } as const;
  await store.settle(work, [{ index: 0, outcome, nextAttemptAt: 2 }], []);
}

/** What the first question after an opening is told; undefined: not counted yet. */
async function firstAnswer(directory: string): Promise<readonly QueueStatistic[] | undefined> {
  const { queue, opened } = await OperationQueue.open({
    database: join(directory, "queue.db"),
    bodies: join(directory, "bodies"),
    now: 2,
    latestDue: Number.MAX_SAFE_INTEGER,
  });
  assert.equal(opened.kind, "opened");
  const answer = await queue.submit({ kind: "statistics", by: "reason", limit: 9 });
  assert.ok(answer.kind === "grouped");
  await queue.terminate();
  return answer.statistics;
}

/** Counts to the end, however it began. */
async function statistics(directory: string): Promise<readonly QueueStatistic[]> {
  const store = await open(directory);
  const found = await store.queueAdmin.statistics("reason", 9);
  await store.close();
  return found;
}

async function inDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-snapshot-"));
  try {
    await run(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A queue that was closed in order, with some history. */
async function closedQueue(directory: string): Promise<void> {
  const store = await open(directory);
  for (const [id, destination] of [
    ["M1", "a.example"],
    ["M2", "a.example"],
    ["M3", "b.example"],
  ] as const)
    await put(store, id, destination);
  await defer(store);
  await store.queueAdmin.statistics("reason", 9);
  await store.close();
}

test("a queue that was closed in order is counted when it is opened", async () => {
  await inDirectory(async (directory) => {
    await closedQueue(directory);
    const first = await firstAnswer(directory);
    assert.deepEqual(first, [
      { key: "not tried yet", messages: 2, recipients: 2, oldestAcceptedAt: 1 },
      { key: "tried 0", messages: 1, recipients: 1, oldestAcceptedAt: 1 },
    ]);
    assert.deepEqual(await statistics(directory), first);
  });
});

const CHANGES: Readonly<Record<string, (store: AdministeredStore) => Promise<unknown>>> = {
  "a message came": (store) => put(store, "M4", "c.example"),
  "a recipient was deferred once more": defer,
  "an entry was deleted": (store) => store.queueAdmin.act("delete", { ids: ["M3"] }),
};

for (const [what, change] of Object.entries(CHANGES)) {
  test(`${what}, and then the relay died: what was kept is not believed`, async () => {
    await inDirectory(async (directory) => {
      const [alive, left] = [join(directory, "alive"), join(directory, "left")];
      await closedQueue(alive);
      const store = await open(alive);
      await change(store);
      const wanted = await store.queueAdmin.statistics("reason", 9);
      mkdirSync(join(left, "bodies"), { recursive: true });
      for (const name of ["queue.db", "queue.db-wal"]) copyFileSync(join(alive, name), join(left, name));
      await store.close();
      assert.equal(await firstAnswer(left), undefined);
      assert.deepEqual(await statistics(left), wanted);
    });
  });
}

test("what was kept is damaged: the queue is counted", async () => {
  await inDirectory(async (directory) => {
    await closedQueue(directory);
    const database = new DatabaseSync(join(directory, "queue.db"));
    database.exec("UPDATE snapshot SET tally = substr(tally, 1, 20)");
    database.close();
    assert.equal(await firstAnswer(directory), undefined);
    assert.equal((await statistics(directory)).length, 2);
  });
});
