import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../../src/clock.ts";
import { Scheduler } from "../../src/delivery/scheduler.ts";
import type { Work } from "../../src/spool/message.ts";
import { openSqliteStore } from "../../src/spool/sqliteStore.ts";
import type { Store } from "../../src/spool/store.ts";

/** A long list beside single messages of others, in a real spool: who waits is counted in deliveries, not in time. */
const AT_ONCE = 500;
type Row = { title: string; list: number; senderOf: (i: number) => string; destinationOf: (i: number) => string };

/** A single message may find a few of the list on their way, and what was claimed with them. */
const SMALL_SHARE = 100;
const DELIVERED = {
  kind: "delivered",
  reply: { code: 250, lines: ["ok"] },
  security: { tls: "may:none", dane: "no-tlsa" },
} as const;

async function put(store: Store, id: string, sender: string, destination: string): Promise<void> {
  const flags = { smtpUtf8: false, eightBitMime: false, requireTls: false, tlsRequiredNo: false };
  const envelope = { id, sender, acceptedAt: Date.now(), size: 0, ...flags };
  await store.add({ envelope, recipients: [{ address: `user@${destination}`, destination }] }, Buffer.from("x"));
}

async function putList(store: Store, { list, senderOf, destinationOf }: Row): Promise<void> {
  for (let from = 0; from < list; from += AT_ONCE)
    await Promise.all(
      Array.from({ length: AT_ONCE }, (_, k) => put(store, `L${from + k}`, senderOf(from + k), destinationOf(from + k))),
    );
}

/** Delivers everything; the ids in the order in which their attempts began. `during` is called with each. */
async function deliverAll(store: Store, total: number, during: (begun: number) => Promise<void>): Promise<readonly string[]> {
  const order: string[] = [];
  const done = Promise.withResolvers<void>();
  const run = async (work: Work): Promise<"answered"> => {
    order.push(work.envelope.id);
    await during(order.length);
    await store.settle(work, [{ index: 0, outcome: DELIVERED }], []);
    if (order.length === total) done.resolve();
    return "answered";
  };
  const limits = { maxConnections: 50, maxConnectionsPerDestination: 20 };
  const scheduler = new Scheduler({ store, clock: systemClock, run, ...limits, onError: (error) => done.reject(error) });
  scheduler.start();
  await done.promise;
  await scheduler.stop();
  return order;
}

const SINGLES = 10;
const rows: readonly Row[] = [
  { title: "one sender, one destination", list: 3_000, senderOf: () => "news@list.example", destinationOf: () => "d0.example" },
  {
    title: "one sender, 1,000 destinations",
    list: 2_500,
    senderOf: () => "news@list.example",
    destinationOf: (i) => `d${i % 1000}.example`,
  },
  {
    title: "a sender address a message (VERP), one destination",
    list: 2_500,
    senderOf: (i) => `news-${i}@list.example`,
    destinationOf: () => "d0.example",
  },
];

for (const row of rows) {
  const { title, list } = row;
  test(`a list of ${list} (${title}) keeps no single message waiting, also after a restart`, async () => {
    const directory = mkdtempSync(join(tmpdir(), "dane-relay-starvation-"));
    try {
      const first = await openSqliteStore({ directory, reserveBytes: 0 });
      await putList(first, row);
      for (let i = 0; i < SINGLES; i += 1)
        await put(first, `S${i}`, `person${i}@other${i}.example`, i % 2 === 0 ? "d0.example" : `e${i}.example`);
      await first.close();

      const store = await openSqliteStore({ directory, reserveBytes: 0 });
      // A late one comes when half of the list has gone.
      const late = async (begun: number): Promise<void> => {
        if (begun === list / 2) await put(store, "LATE", "late@other.example", "d0.example");
      };
      const order = await deliverAll(store, list + SINGLES + 1, late);
      await store.close();
      assert.equal(new Set(order).size, list + SINGLES + 1);
      for (let i = 0; i < SINGLES; i += 1) assert.ok(order.indexOf(`S${i}`) < SMALL_SHARE, `S${i} at ${order.indexOf(`S${i}`)}`);
      assert.ok(order.indexOf("LATE") < list / 2 + SMALL_SHARE, `LATE at ${order.indexOf("LATE")}`);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
}
