import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { discardEmptyQueue } from "../../../src/spool/emptySpool.ts";
import { openSqliteStore } from "../../../src/spool/sqliteStore.ts";

async function withSpool(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-empty-"));
  try {
    await run(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const ENVELOPE = {
  ...{ id: "M1", sender: "a@sender.example", acceptedAt: 1, size: 1 },
  ...{ smtpUtf8: false, eightBitMime: false, requireTls: false, tlsRequiredNo: false },
};
const RECIPIENTS = [{ address: "b@b.example", destination: "b.example" }] as const;

test("an empty queue is discarded, with content that nobody was told is kept; the directory serves again", () =>
  withSpool(async (directory) => {
    const first = await openSqliteStore({ directory, reserveBytes: 0 });
    await first.close();
    writeFileSync(join(directory, "bodies", "orphan"), "x");
    writeFileSync(join(directory, "mta-sts.db"), "of another part");
    assert.equal(discardEmptyQueue(directory), "discarded");
    assert.ok(!existsSync(join(directory, "queue.db")) && existsSync(join(directory, "mta-sts.db")));
    assert.deepEqual(readdirSync(join(directory, "bodies")), []);
    const log = join(directory, "queue.db-wal");
    assert.ok(!existsSync(log) || statSync(log).size === 0);
    const again = await openSqliteStore({ directory, reserveBytes: 0 });
    await again.add({ envelope: ENVELOPE, recipients: RECIPIENTS }, Buffer.from("x"));
    await again.close();
    const third = await openSqliteStore({ directory, reserveBytes: 0 });
    assert.equal((await third.counts()).incoming, 1);
    await third.close();
  }));

test("mail, a relay that serves, or damage: all stays", () =>
  withSpool(async (directory) => {
    const store = await openSqliteStore({ directory, reserveBytes: 0 });
    assert.equal(discardEmptyQueue(directory), "kept", "in use, and empty");
    await store.add({ envelope: ENVELOPE, recipients: RECIPIENTS }, Buffer.from("x"));
    assert.equal(discardEmptyQueue(directory), "kept", "in use");
    await store.close();
    assert.equal(discardEmptyQueue(directory), "kept", "one message");
    const again = await openSqliteStore({ directory, reserveBytes: 0 });
    assert.equal((await again.counts()).incoming, 1);
    await again.close();
    writeFileSync(join(directory, "queue.db"), "no database".repeat(1000));
    assert.equal(discardEmptyQueue(directory), "kept", "damaged");
    assert.ok(existsSync(join(directory, "queue.db")));
  }));
