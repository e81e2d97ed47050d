import assert from "node:assert/strict";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { repairSpool } from "../../src/spool/repair.ts";
import { openSqliteStore } from "../../src/spool/sqliteStore.ts";
import { StoreError } from "../../src/spool/store.ts";
import { checkLog } from "../../src/spool/writeAheadLog.ts";
import { takeAll } from "../fake/submissionServer.ts";

/**
 * The write-ahead log of a spool that a crash left: what a power cut may do to its end is not damage, and costs at most the last transaction;
 * what SQLite would silently forget is refused, and repaired.
 */
const MESSAGES = 20;
const FRAME = 24 + 4096;
const HEADER = 32;

/** A spool as it is on disk in the middle of its life, each message in a transaction of its own. */
async function crashed(directory: string): Promise<void> {
  const [alive, left] = [join(directory, "alive"), join(directory, "left")];
  const store = await openSqliteStore({ directory: alive, reserveBytes: 0 });
  const flags = { smtpUtf8: false, eightBitMime: false, requireTls: false, tlsRequiredNo: false };
  for (let number = 0; number < MESSAGES; number += 1) {
    const recipients = [{ address: `u${number}@dest.example`, destination: "dest.example" }] as const;
    await store.add(
      { envelope: { id: `M${10 + number}`, sender: "", acceptedAt: 1, size: 0, ...flags }, recipients },
      Buffer.from("x"),
    );
  }
  mkdirSync(left);
  for (const name of ["queue.db", "queue.db-wal"]) copyFileSync(join(alive, name), join(left, name));
  await store.close();
}

async function stored(directory: string): Promise<number> {
  const store = await openSqliteStore({ directory, reserveBytes: 0 });
  const found = await takeAll(store);
  await store.close();
  return found.length;
}

function inLeftSpool(name: string, run: (directory: string, log: string) => Promise<void>): void {
  test(name, async () => {
    const directory = mkdtempSync(join(tmpdir(), "dane-relay-log-"));
    try {
      await crashed(directory);
      await run(join(directory, "left"), join(directory, "left", "queue.db-wal"));
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(path, bytes);
}

function frames(path: string): number {
  return Math.floor((statSync(path).size - HEADER) / FRAME);
}

inLeftSpool("a log that a crash left is whole, and read", async (directory, log) => {
  assert.ok(frames(log) > MESSAGES);
  assert.deepEqual(checkLog(log), { kind: "whole" });
  assert.equal(await stored(directory), MESSAGES);
});

inLeftSpool("the last transaction torn, or cut off: the others are read", async (directory, log) => {
  flip(log, HEADER + (frames(log) - 1) * FRAME + 100);
  assert.deepEqual(checkLog(log), { kind: "whole" });
  truncateSync(log, statSync(log).size - 100);
  assert.deepEqual(checkLog(log), { kind: "whole" });
  assert.equal(await stored(directory), MESSAGES - 1);
});

inLeftSpool(
  "a frame of an earlier transaction damaged: refused before anything is forgotten, and repaired",
  async (directory, log) => {
    const frame = Math.floor(frames(log) / 2);
    flip(log, HEADER + frame * FRAME + 2000);
    const damaged = readFileSync(log);
    await assert.rejects(
      openSqliteStore({ directory, reserveBytes: 0 }),
      (error) =>
        error instanceof StoreError &&
        error.kind === "corrupt" &&
        error.message.includes(`its log is damaged at frame ${frame}`) &&
        error.message.includes("dane-relay repair"),
    );
    assert.ok(readFileSync(log).equals(damaged), "the log is as it was");
    const repair = await repairSpool(directory, new Date(0));
    assert.ok(repair.kind === "repaired" && repair.messages > 0 && repair.messages < MESSAGES, JSON.stringify(repair));
    assert.ok(readFileSync(join(repair.kept, "queue.db-wal")).equals(damaged), "and kept");
    assert.ok(!existsSync(join(directory, "queue.db-shm")));
    assert.equal(await stored(directory), repair.messages);
  },
);

test("no log, an empty one, or one of something else: SQLite begins it anew", () => {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-log-"));
  try {
    const path = join(directory, "log");
    assert.deepEqual(checkLog(path), { kind: "whole" });
    for (const content of [Buffer.alloc(0), Buffer.alloc(40), Buffer.alloc(10_000, 0x37)]) {
      writeFileSync(path, content);
      assert.deepEqual(checkLog(path), { kind: "whole" });
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
