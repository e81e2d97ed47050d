import assert from "node:assert/strict";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { repairSpool } from "../../src/spool/repair.ts";
import { openSqliteStore } from "../../src/spool/sqliteStore.ts";
import { type Store, StoreError } from "../../src/spool/store.ts";

/** Damaged spools are repaired as far as they can be read; what is kept arrives as it was sent or not at all. */
const MESSAGES = 60;
const LARGE_EVERY = 10;
const NOW = new Date("2026-11-22T01:02:03Z");
const NEVER = Number.MAX_SAFE_INTEGER;

function contentOf(number: number): Buffer {
  return Buffer.from(`${number} line of content\r\n`.repeat(number % LARGE_EVERY === 0 ? 10_000 : 150));
}

async function filled(directory: string): Promise<void> {
  const store = await openSqliteStore({ directory, reserveBytes: 0 });
  const flags = { smtpUtf8: false, eightBitMime: false, requireTls: false, tlsRequiredNo: false };
  for (let number = 0; number < MESSAGES; number += 1) {
    const destination = `d${number % 7}.example`;
    const recipients = [{ address: `u${number}@${destination}`, destination }] as const;
    const envelope = { id: `M${number}`, sender: "a@b.example", acceptedAt: 1, size: 0, ...flags };
    await store.add({ envelope, recipients }, contentOf(number));
  }
  await store.close();
}

/** Ids of what is read as it was stored, and of what is refused as damaged. */
async function readAll(store: Store): Promise<{ whole: string[]; damaged: string[] }> {
  const [whole, damaged]: [string[], string[]] = [[], []];
  for (const { envelope, recipients } of await store.claim({ now: NEVER, limit: 1000, exclude: new Set() })) {
    const number = Number(envelope.id.slice(1));
    assert.equal(recipients[0].address, `u${number}@d${number % 7}.example`);
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of store.content(envelope.id)) chunks.push(chunk);
      assert.ok(Buffer.concat(chunks).equals(contentOf(number)), `${envelope.id} is not what was stored`);
      whole.push(envelope.id);
    } catch (error) {
      assert.ok(error instanceof StoreError && error.kind === "corrupt", String(error));
      damaged.push(envelope.id);
    }
  }
  return { whole, damaged };
}

function inSpool(name: string, run: (directory: string) => Promise<void>): void {
  test(name, async () => {
    const directory = mkdtempSync(join(tmpdir(), "dane-relay-repair-"));
    try {
      await filled(directory);
      await run(directory);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
}

function scribble(path: string, at: number, octets: number): void {
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(octets, 0x5a), 0, octets, at);
  closeSync(file);
}

for (const [name, damage] of [
  ["pages in the middle overwritten", (path: string) => scribble(path, 40 * 4096, 6 * 4096)],
  ["its end cut off", (path: string) => truncateSync(path, statSync(path).size - 12 * 4096)],
  ["a page of an index overwritten", (path: string) => scribble(path, 2 * 4096, 4096)],
] as const) {
  inSpool(`a database with ${name}: refused, repaired, and used again`, async (directory) => {
    const path = join(directory, "queue.db");
    damage(path);
    const before = readFileSync(path);
    await assert.rejects(
      openSqliteStore({ directory, reserveBytes: 0 }),
      (error) => error instanceof StoreError && error.kind === "corrupt",
    );
    const repair = await repairSpool(directory, NOW);
    assert.ok(repair.kind === "repaired", JSON.stringify(repair));
    assert.ok(repair.messages > MESSAGES / 3, JSON.stringify(repair));
    assert.ok(readFileSync(join(repair.kept, "queue.db")).equals(before), "the damaged one is kept as it was");
    const store = await openSqliteStore({ directory, reserveBytes: 0 });
    assert.equal((await store.counts()).incoming, repair.messages);
    const { whole, damaged } = await readAll(store);
    assert.equal(whole.length + damaged.length, repair.messages);
    assert.deepEqual(damaged.toSorted(), [...repair.contentLost].toSorted());
    // Each message is there, or named as lost, or its number could not be read any more.
    assert.ok(whole.length + damaged.length + repair.lost.length <= MESSAGES);
    const bodies = readdirSync(join(directory, "bodies"));
    const keptBodies = existsSync(join(repair.kept, "bodies")) ? readdirSync(join(repair.kept, "bodies")) : [];
    assert.equal(bodies.length + keptBodies.length, MESSAGES / LARGE_EVERY, "no body was thrown away");
    await store.close();
    assert.deepEqual(await repairSpool(directory, NOW), { kind: "sound", messages: repair.messages });
  });
}

inSpool("a sound spool is left alone", async (directory) => {
  const before = readFileSync(join(directory, "queue.db"));
  assert.deepEqual(await repairSpool(directory, NOW), { kind: "sound", messages: MESSAGES });
  assert.ok(readFileSync(join(directory, "queue.db")).equals(before));
});

inSpool("a spool in use is left alone", async (directory) => {
  const store = await openSqliteStore({ directory, reserveBytes: 0 });
  assert.deepEqual(await repairSpool(directory, NOW), { kind: "in-use" });
  await store.close();
});

inSpool("a database without its first page is called unreadable, and left alone", async (directory) => {
  scribble(join(directory, "queue.db"), 0, 4096);
  const before = readFileSync(join(directory, "queue.db"));
  assert.equal((await repairSpool(directory, NOW)).kind, "unreadable");
  assert.ok(readFileSync(join(directory, "queue.db")).equals(before));
});

test("no spool: absent", async () => {
  assert.deepEqual(await repairSpool(join(tmpdir(), "dane-relay-no-such-spool"), NOW), { kind: "absent" });
});

for (const where of ["in the database", "in a file"] as const) {
  inSpool(`one octet of content changed ${where}: never handed out, and other mail goes on`, async (directory) => {
    const [victim] = where === "in a file" ? ["M0"] : ["M7"];
    if (where === "in a file") {
      for (const file of readdirSync(join(directory, "bodies"))) {
        const path = join(directory, "bodies", file);
        if (readFileSync(path).subarray(0, 2).toString() === "0 ") scribble(path, 5000, 1);
      }
    } else {
      const database = new DatabaseSync(join(directory, "queue.db"));
      database.exec("UPDATE message SET content = CAST(replace(CAST(content AS TEXT), 'line', 'lime') AS BLOB) WHERE id = 'M7'");
      database.close();
    }
    const store = await openSqliteStore({ directory, reserveBytes: 0 });
    const { whole, damaged } = await readAll(store);
    assert.deepEqual(damaged, [victim]);
    assert.equal(whole.length, MESSAGES - 1);
    await store.close();
  });
}
