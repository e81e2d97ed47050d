import assert from "node:assert/strict";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import type { Envelope } from "../../src/spool/message.ts";
import { openSqliteStore, type SqliteStoreOptions } from "../../src/spool/sqliteStore.ts";
import { type Store, StoreError } from "../../src/spool/store.ts";
import { FaultyDisk, type Operation } from "../fake/disk.ts";
import { startSubmission } from "../fake/submissionServer.ts";
import { SubmissionChild } from "./submissionChild.ts";

/** Broken disks, damaged files, a spool that somebody else has: each says what it is and what to do, and loses nothing. */
const HOST = "127.16.5.1";
const LARGE = Buffer.alloc(200_000, "x");

function envelope(id: string): Envelope {
  return {
    id,
    sender: "a@b.example",
    acceptedAt: 1,
    smtpUtf8: false,
    eightBitMime: false,
    requireTls: false,
    tlsRequiredNo: false,
    size: 0,
  };
}

async function put(store: Store, id: string, content: Buffer): Promise<void> {
  await store.add({ envelope: envelope(id), recipients: [{ address: "u@dest.example", destination: "dest.example" }] }, content);
}

async function read(store: Store, id: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of store.content(id)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function inDirectory(name: string, run: (directory: string) => Promise<void>): void {
  test(name, async () => {
    const directory = mkdtempSync(join(tmpdir(), "dane-relay-disk-"));
    try {
      await run(directory);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
}

function open(directory: string, changes: Partial<SqliteStoreOptions> = {}): Promise<Store> {
  return openSqliteStore({ directory, reserveBytes: 0, ...changes });
}

async function refusal(directory: string, changes: Partial<SqliteStoreOptions> = {}): Promise<StoreError> {
  try {
    await (await open(directory, changes)).close();
  } catch (error) {
    assert.ok(error instanceof StoreError, String(error));
    return error;
  }
  throw new Error("the spool was opened");
}

for (const operation of ["create", "write", "sync", "close", "syncDirectory"] satisfies Operation[]) {
  for (const [code, reply] of [
    ["EIO", /^451 4\.3\.0 the mail queue cannot be written/],
    ["ENOSPC", /^452 4\.3\.1 the mail queue is full/],
  ] as const) {
    inDirectory(`${code} at ${operation} of a body: refused, nothing stays, and it works again`, async (directory) => {
      const disk = new FaultyDisk();
      await using server = await startSubmission(HOST, { store: await open(directory, { disk }) });
      const client = await server.open();
      disk.fail(operation, code);
      assert.match(await client.send("large line\r\n".repeat(20_000)), reply);
      disk.heal();
      assert.match(await client.send("large line\r\n".repeat(20_000)), /^250 /);
      assert.equal((await server.queued()).length, 1);
      assert.equal(readdirSync(join(directory, "bodies")).length, 1);
    });
  }
}

inDirectory("a body is on disk, and its name, before the message is acknowledged", async (directory) => {
  const disk = new FaultyDisk();
  const store = await open(directory, { disk });
  await put(store, "M1", LARGE);
  assert.deepEqual(disk.calls, ["create", "write", "sync", "close", "syncDirectory"]);
  await store.close();
});

inDirectory("many bodies share the fsync of their directory", async (directory) => {
  const disk = new FaultyDisk();
  const store = await open(directory, { disk });
  await Promise.all(Array.from({ length: 50 }, (_, i) => put(store, `M${i}`, LARGE)));
  assert.equal(disk.calls.filter((call) => call === "sync").length, 50);
  assert.ok(disk.calls.filter((call) => call === "syncDirectory").length <= 50);
  await store.close();
});

inDirectory(
  "a body that was there when an fsync of the directory failed is not acknowledged by a later one",
  async (directory) => {
    const disk = new FaultyDisk();
    const store = await open(directory, { disk });
    const early = store.begin();
    await early.write(LARGE);
    disk.fail("syncDirectory", "EIO");
    await assert.rejects(put(store, "M1", LARGE), StoreError);
    disk.heal();
    const { size: _, ...rest } = envelope("M2");
    const recipients = [{ address: "u@dest.example", destination: "dest.example" }] as const;
    await assert.rejects(early.commit(rest, recipients), /an fsync of .* failed/);
    await put(store, "M3", LARGE);
    assert.equal(readdirSync(join(directory, "bodies")).length, 1);
    await store.close();
  },
);

inDirectory("two processes on one spool: the second is told who has it", async (directory) => {
  const child = await SubmissionChild.start(directory, HOST);
  try {
    const error = await refusal(directory);
    assert.equal(error.message, `the spool ${directory} is in use by process ${child.pid}: each relay needs a spool of its own`);
    const second = await SubmissionChild.start(directory, HOST);
    assert.match(second.refusal ?? "", new RegExp(`in use by process ${child.pid}:`));
    await second.kill();
  } finally {
    await child.kill();
  }
  // The lock died with its holder.
  await (await open(directory)).close();
});

inDirectory("two stores on one spool in one process", async (directory) => {
  const store = await open(directory);
  assert.match((await refusal(directory)).message, new RegExp(`in use by process ${process.pid}:`));
  await put(store, "M1", LARGE);
  await store.close();
});

inDirectory("a newer schema is refused", async (directory) => {
  await (await open(directory)).close();
  const database = new DatabaseSync(join(directory, "queue.db"));
  database.exec("PRAGMA user_version = 99");
  database.close();
  assert.match((await refusal(directory)).message, /written by a newer release \(schema 99, this release knows \d+\)/);
});

inDirectory("another program's database is refused", async (directory) => {
  const database = new DatabaseSync(join(directory, "queue.db"));
  database.exec("CREATE TABLE cookies (name TEXT)");
  database.close();
  assert.match((await refusal(directory)).message, /database of another program/);
});

inDirectory("a network file system is refused with the reason", async (directory) => {
  for (const [type, name] of [
    [0x6969, "NFS"],
    [0xff534d42 | 0, "CIFS"],
  ] as const) {
    const disk = new FaultyDisk();
    disk.setFileSystem(type);
    assert.match((await refusal(directory, { disk })).message, new RegExp(`is on ${name}: .*local disk`));
  }
});

inDirectory("a directory that cannot be made says so", async (directory) => {
  writeFileSync(join(directory, "file"), "");
  const error = await refusal(join(directory, "file", "spool"));
  assert.equal(error.kind, "io");
  assert.match(error.message, /ENOTDIR/);
});

/** Overwrites part of a file. */
function scribble(path: string, at: number, octets: number): void {
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(octets, 0x5a), 0, octets, at);
  closeSync(file);
}

for (const [name, damage] of [
  ["overwritten at its start", (path: string) => scribble(path, 0, 4096)],
  ["overwritten in the middle", (path: string) => scribble(path, 8192, statSync(path).size - 16384)],
  ["cut short", (path: string) => truncateSync(path, statSync(path).size - 40_000)],
] as const) {
  inDirectory(`a database ${name} is called damaged, and how to repair it is said`, async (directory) => {
    const store = await open(directory);
    for (let i = 0; i < 50; i += 1) await put(store, `M${i}`, Buffer.alloc(4000, "x"));
    await store.close();
    damage(join(directory, "queue.db"));
    const error = await refusal(directory);
    assert.equal(error.kind, "corrupt");
    assert.match(error.message, /run "dane-relay repair"/);
    assert.ok(error.message.includes(directory));
  });
}

inDirectory("what is written to a log that is cut short was never acknowledged, or is there", async (directory) => {
  const child = await SubmissionChild.start(directory, HOST);
  await child.kill();
  const log = join(directory, "queue.db-wal");
  writeFileSync(log, Buffer.concat([readFileSync(log), Buffer.alloc(5000, 0x5a)]));
  const store = await open(directory);
  await put(store, "M1", LARGE);
  await store.close();
});

for (const [name, damage] of [
  ["missing", (path: string) => rmSync(path)],
  ["cut short", (path: string) => truncateSync(path, 100_000)],
  ["too long", (path: string) => truncateSync(path, 300_000)],
] as const) {
  inDirectory(`a body that is ${name} is not read in part, and other mail goes on`, async (directory) => {
    const store = await open(directory);
    await put(store, "M1", LARGE);
    await put(store, "M2", Buffer.from("small"));
    const [file] = readdirSync(join(directory, "bodies"));
    assert.ok(file !== undefined);
    damage(join(directory, "bodies", file));
    const works = await store.claim({ now: 2, limit: 10, exclude: new Set() });
    assert.equal(works.length, 2);
    const chunks: Buffer[] = [];
    await assert.rejects(
      async () => {
        for await (const chunk of store.content("M1")) chunks.push(chunk);
      },
      (error) => error instanceof StoreError && error.kind === "corrupt" && error.message.includes(file),
    );
    assert.deepEqual(chunks, []);
    assert.equal(String(await read(store, "M2")), "small");
    await store.close();
  });
}

inDirectory("bodies without a message are swept at the start, those with one stay", async (directory) => {
  const store = await open(directory);
  await put(store, "M1", LARGE);
  await store.close();
  writeFileSync(join(directory, "bodies", "ORPHAN"), "x");
  const again = await open(directory);
  assert.ok(!readdirSync(join(directory, "bodies")).includes("ORPHAN"));
  assert.ok((await read(again, "M1")).equals(LARGE));
  await again.close();
});

inDirectory("a body goes when its message is done", async (directory) => {
  const store = await open(directory);
  await put(store, "M1", LARGE);
  const [work] = await store.claim({ now: 2, limit: 1, exclude: new Set() });
  assert.ok(work !== undefined && work.content === undefined);
  await store.settle(
    work,
    [{ index: 0, outcome: { kind: "failed", status: "5.1.1", cause: { kind: "reply", text: "no" } } }],
    [],
  );
  assert.deepEqual(readdirSync(join(directory, "bodies")), []);
  await store.close();
});
