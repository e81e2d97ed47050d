import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type Clock, systemClock, systemRandom } from "../../src/clock.ts";
import type { Work } from "../../src/spool/message.ts";
import { openPostgresStore } from "../../src/spool/postgresStore.ts";
import type { AdministeredStore } from "../../src/spool/queueAdmin.ts";
import { startPostgres } from "../lab/postgresServer.ts";

/** A replica whose clock is wrong sees mail as old as it is, tries it when it is due, and stores it as the others would. */
const DAY = 24 * 3_600_000;
const HOUR = 3_600_000;
/** Further from the truth than any run of this test, nearer than any wrong clock in it. */
const NEAR = 10 * 60_000;
const PATIENCE_MILLISECONDS = 120_000;
const postgres = await startPostgres("127.136.11.1", "memory");
after(() => postgres.stop());
beforeEach(() => postgres.clear());

/** The system's clock, and what it is off by. */
function wrongClock(by: number): Clock & { by: number } {
  const clock = { by, now: () => systemClock.now() + clock.by, monotonic: systemClock.monotonic };
  return clock;
}

async function withReplica(clock: Clock, run: (store: AdministeredStore) => Promise<void>): Promise<void> {
  const settings = { server: postgres.server, maxConnections: 4, leaseSeconds: 30, clock, random: systemRandom };
  const store = await openPostgresStore({ ...settings, onNotice: () => undefined });
  try {
    await run(store);
  } finally {
    await store.close();
  }
}

async function put(store: AdministeredStore, id: string, acceptedAt: number): Promise<void> {
  const flags = { smtpUtf8: false, eightBitMime: false, requireTls: false, tlsRequiredNo: false };
  const recipients = [{ address: "u@d.example", destination: "d.example" }] as const;
  await store.add({ envelope: { id, sender: "a@b.example", acceptedAt, size: 0, ...flags }, recipients }, Buffer.from("x"));
}

async function claimOne(store: AdministeredStore, clock: Clock): Promise<Work> {
  const [work, ...more] = await store.claim({ now: clock.now(), limit: 9, exclude: new Set() });
  assert.ok(work !== undefined && more.length === 0);
  return work;
}

async function postpone(store: AdministeredStore, work: Work, until: number): Promise<void> {
  const outcome = { kind: "deferred", status: "4.4.1", cause: { kind: "connect", text: "refused" } } as const;
  await store.settle(work, [{ index: 0, outcome, nextAttemptAt: until }], []);
}

function near(found: number | undefined, wanted: number, what: string): void {
  assert.ok(found !== undefined && Math.abs(found - wanted) < NEAR, `${what}: ${found} is not about ${wanted}`);
}

for (const [name, by] of [
  ["three days ahead", 3 * DAY],
  ["three days behind", -3 * DAY],
] as const) {
  test(`a replica whose clock is ${name}, beside one whose clock is right`, async () => {
    const wrong = wrongClock(by);
    await withReplica(systemClock, async (right) => {
      await withReplica(wrong, async (store) => {
        await put(right, "RIGHT", systemClock.now() - HOUR);
        await right.queueAdmin.act("retry", {});
        await store.queueAdmin.act("retry", {});
        const work = await claimOne(store, wrong);
        near(wrong.now() - work.envelope.acceptedAt, HOUR, "its age");
        near((await store.counts()).oldestAcceptedAt, wrong.now() - HOUR, "the age of the oldest");
        // Due again in an hour, for whoever asks.
        await postpone(store, work, wrong.now() + HOUR);
        near(await store.nextDueAt(), wrong.now() + HOUR, "due, to the wrong one");
        assert.deepEqual(await store.claim({ now: wrong.now(), limit: 9, exclude: new Set() }), []);
        assert.deepEqual(await right.claim({ now: systemClock.now(), limit: 9, exclude: new Set() }), []);
        const [entry] = (await right.queueAdmin.list({}, { limit: 9 })).entries;
        near(entry?.nextAttemptAt, systemClock.now() + HOUR, "due, to the operator");
        near(entry?.acceptedAt, systemClock.now() - HOUR, "accepted, to the operator");
        const [attempt] = (await right.queueAdmin.show("RIGHT"))?.attempts ?? [];
        near(attempt?.at, systemClock.now(), "tried");
        assert.equal((await store.queueAdmin.act("delete", { acceptedBefore: wrong.now() - 2 * HOUR })).changed, 0);
        assert.equal((await store.queueAdmin.act("delete", { acceptedBefore: wrong.now() - HOUR / 2 })).changed, 1);
        // What the wrong one takes is as old to the right one.
        await put(store, "WRONG", wrong.now());
        await right.queueAdmin.act("retry", {});
        const other = await claimOne(right, systemClock);
        near(other.envelope.acceptedAt, systemClock.now(), "its age");
      });
    });
  });
}

test("a clock that is set while the replica runs changes nothing of what waits", async () => {
  const clock = wrongClock(0);
  await withReplica(clock, async (store) => {
    await put(store, "M1", clock.now());
    await postpone(store, await claimOne(store, clock), clock.now() + HOUR);
    clock.by = 5 * DAY;
    assert.deepEqual(await store.claim({ now: clock.now(), limit: 9, exclude: new Set() }), []);
    await store.queueAdmin.act("retry", {});
    const work = await claimOne(store, clock);
    near(work.envelope.acceptedAt, clock.now(), "its age");
    await postpone(store, work, clock.now() + HOUR);
    clock.by = -5 * DAY;
    // The next look at the queue sees it by the new clock.
    const deadline = clock.monotonic() + PATIENCE_MILLISECONDS;
    while (((await store.nextDueAt()) ?? 0) > clock.now() + 2 * HOUR) {
      assert.ok(clock.monotonic() < deadline, "what waits is due by the clock as it was");
      await delay(50);
    }
    near(await store.nextDueAt(), clock.now() + HOUR, "due after the clock was set back");
  });
});
