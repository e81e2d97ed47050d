import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Outcome } from "../../src/policy/disposition.ts";
import type { Work } from "../../src/spool/message.ts";
import { openSqliteStore } from "../../src/spool/sqliteStore.ts";
import type { Store } from "../../src/spool/store.ts";

/** The wall clock jumps, both ways: queued mail neither waits for it to catch up nor is lost. */
const DAY = 24 * 3_600_000;
const START = Date.UTC(2026, 5, 1);
const deferred: Outcome = { kind: "deferred", status: "4.4.1", cause: { kind: "connect", text: "refused" } };

class JumpyClock {
  wall = START;
  steady = 1000;
  now(): number {
    return this.wall;
  }
  monotonic(): number {
    return this.steady;
  }
  pass(milliseconds: number): void {
    this.wall += milliseconds;
    this.steady += milliseconds;
  }
}

async function put(store: Store, id: string, acceptedAt: number): Promise<void> {
  const flags = { smtpUtf8: false, eightBitMime: false, requireTls: false, tlsRequiredNo: false };
  const recipients = ["u", "v"].map((local) => ({ address: `${local}@dest.example`, destination: "dest.example" }));
  const [first, second] = recipients;
  assert.ok(first !== undefined && second !== undefined);
  await store.add({ envelope: { id, sender: "", acceptedAt, size: 0, ...flags }, recipients: [first, second] }, Buffer.from("x"));
}

async function due(store: Store, clock: JumpyClock): Promise<readonly Work[]> {
  return await store.claim({ now: clock.now(), limit: 10, exclude: new Set() });
}

async function defer(store: Store, work: Work, at: number): Promise<void> {
  await store.settle(
    work,
    work.recipients.map(({ index }) => ({ index, outcome: deferred, nextAttemptAt: at + index * 1000 })),
    [],
  );
}

async function withSpool(run: (directory: string, clock: JumpyClock) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-clock-"));
  try {
    await run(directory, new JumpyClock());
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

test("set back while running: retries keep their distance", async () => {
  await withSpool(async (directory, clock) => {
    const store = await openSqliteStore({ directory, clock, reserveBytes: 0 });
    await put(store, "M1", clock.now());
    const [work] = await due(store, clock);
    assert.ok(work !== undefined);
    await defer(store, work, clock.now() + 300_000);
    clock.wall -= 10 * DAY;
    assert.deepEqual(await due(store, clock), []);
    assert.equal(await store.nextDueAt(), clock.now() + 300_000);
    clock.pass(300_000);
    const [again] = await due(store, clock);
    assert.deepEqual(
      again?.recipients.map(({ index }) => index),
      [0],
    );
    assert.ok(again !== undefined);
    store.release(again);
    clock.pass(1000);
    assert.deepEqual(
      (await due(store, clock)).map(({ recipients }) => recipients.length),
      [2],
    );
    await store.close();
  });
});

test("small corrections change nothing", async () => {
  await withSpool(async (directory, clock) => {
    const store = await openSqliteStore({ directory, clock, reserveBytes: 0 });
    await put(store, "M1", clock.now());
    const [work] = await due(store, clock);
    assert.ok(work !== undefined);
    await defer(store, work, clock.now() + 5000);
    clock.wall -= 2000;
    assert.deepEqual(await due(store, clock), []);
    assert.equal(await store.nextDueAt(), START + 5000);
    await store.close();
  });
});

test("set back between two runs: what would wait too long is due", async () => {
  await withSpool(async (directory, clock) => {
    const first = await openSqliteStore({ directory, clock, reserveBytes: 0 });
    await put(first, "M1", clock.now());
    await put(first, "M2", clock.now() - 400 * DAY);
    for (const work of await due(first, clock)) await defer(first, work, work.envelope.acceptedAt + 300_000);
    await first.close();
    clock.wall -= 400 * DAY;
    const second = await openSqliteStore({ directory, clock, reserveBytes: 0 });
    const works = await due(second, clock);
    assert.deepEqual(
      works.map(({ envelope, recipients }) => [envelope.id, recipients.length]),
      [["M1", 2]],
    );
    assert.equal(await second.nextDueAt(), clock.now() + 300_000);
    await second.close();
  });
});

test("set forward: everything is due", async () => {
  await withSpool(async (directory, clock) => {
    const store = await openSqliteStore({ directory, clock, reserveBytes: 0 });
    await put(store, "M1", clock.now());
    const [work] = await due(store, clock);
    assert.ok(work !== undefined);
    await defer(store, work, clock.now() + 300_000);
    clock.wall += 10 * DAY;
    assert.equal((await due(store, clock)).length, 1);
    await store.close();
  });
});
