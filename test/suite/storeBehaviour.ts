import assert from "node:assert/strict";
import { test } from "node:test";
import type { Outcome } from "../../src/policy/disposition.ts";
import type { Envelope, NewMessage, RecipientRequest, Work } from "../../src/spool/message.ts";
import { type Store, StoreError } from "../../src/spool/store.ts";

/** What every Store does, whatever it is made of. The factory's store is empty; `reopen` opens the same queue again after `store` is closed. */
export type StoreFixture = { store: Store; reopen: () => Promise<Store>; dispose: () => Promise<void> };

const T0 = 1_700_000_000_000;
const HOUR = 3_600_000;
const NOBODY: ReadonlySet<string> = new Set();

const delivered: Outcome = {
  kind: "delivered",
  reply: { code: 250, enhanced: "2.0.0", lines: ["ok"] },
  security: { tls: "dane", dane: "authenticated" },
};
const deferred: Outcome = {
  kind: "deferred",
  status: "4.4.1",
  cause: { kind: "connect", text: "connection refused", host: "mx.dest.example" },
};
const failed: Outcome = { kind: "failed", status: "5.1.1", cause: { kind: "reply", text: "no such user" } };

function envelope(id: string, changes: Partial<Envelope> = {}): Envelope {
  const base = { sender: "a@sender.example", smtpUtf8: false, eightBitMime: false, requireTls: false, tlsRequiredNo: false };
  return { id, acceptedAt: T0, size: 0, ...base, ...changes };
}

function to(destination: string, local = "user"): RecipientRequest {
  return { address: `${local}@${destination}`, destination };
}

function message(id: string, recipients: NewMessage["recipients"], changes: Partial<Envelope> = {}): NewMessage {
  return { envelope: envelope(id, changes), recipients };
}

async function put(
  store: Store,
  id: string,
  recipients: NewMessage["recipients"],
  changes: Partial<Envelope> = {},
): Promise<void> {
  await store.add(message(id, recipients, changes), Buffer.from(`content of ${id}\r\n`));
}

async function claimAll(store: Store, now = T0, limit = 100, exclude = NOBODY): Promise<readonly Work[]> {
  return await store.claim({ now, limit, exclude });
}

async function only(store: Store, now = T0): Promise<Work> {
  const [work, ...others] = await claimAll(store, now);
  assert.ok(work !== undefined && others.length === 0, "exactly one work is due");
  return work;
}

async function contentOf(store: Store, id: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of store.content(id)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function isDue(at: number | undefined, now: number): boolean {
  return at !== undefined && at <= now;
}

function ids(works: readonly Work[]): string[] {
  return works.map((work) => work.envelope.id);
}

export function storeBehaviour(name: string, create: () => Promise<StoreFixture>): void {
  const behaves = (what: string, run: (fixture: StoreFixture) => Promise<void>): void => {
    test(`${name}: ${what}`, async () => {
      const fixture = await create();
      try {
        await run(fixture);
      } finally {
        await fixture.dispose();
      }
    });
  };

  contentBehaviour(behaves);
  claimBehaviour(behaves);
  settleBehaviour(behaves);
  survivalBehaviour(behaves);
}

type Behaves = (what: string, run: (fixture: StoreFixture) => Promise<void>) => void;

function contentBehaviour(behaves: Behaves): void {
  for (const [size, pieces] of [
    [0, 1],
    [1, 1],
    [5000, 3],
    [64 * 1024, 2],
    [64 * 1024 + 1, 2],
    [1_000_000, 7],
  ] as const) {
    behaves(`content of ${size} octets in ${pieces} pieces comes back as it was written`, async ({ store }) => {
      const content = Buffer.from(Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 0xff));
      const writer = store.begin();
      const step = Math.ceil(size / pieces);
      for (let at = 0; at < size; at += step) await writer.write(Buffer.from(content.subarray(at, at + step)));
      const { size: _, ...rest } = envelope("M1", {
        envelopeId: "e-1",
        returnContent: "HDRS",
        smtpUtf8: true,
        tlsRequiredNo: true,
        purpose: "tls-report",
      });
      await writer.commit(rest, [{ ...to("dest.example"), notify: ["FAILURE", "DELAY"], originalRecipient: "rfc822;x@y" }]);
      const work = await only(store);
      assert.deepEqual(work.envelope, { ...rest, size });
      assert.deepEqual(work.recipients, [
        {
          ...to("dest.example"),
          notify: ["FAILURE", "DELAY"],
          originalRecipient: "rfc822;x@y",
          index: 0,
          attempts: 0,
          delayWarned: false,
        },
      ]);
      if (work.content !== undefined) assert.ok(work.content.equals(content));
      assert.ok((await contentOf(store, "M1")).equals(content));
    });
  }

  behaves("an abandoned message leaves nothing", async ({ store }) => {
    const writer = store.begin();
    await writer.write(Buffer.alloc(200_000, "x"));
    writer.abort();
    assert.deepEqual(await claimAll(store), []);
    const { size: _, ...rest } = envelope("M1");
    await assert.rejects(writer.commit(rest, [to("dest.example")]), StoreError);
    await assert.rejects(writer.write(Buffer.from("x")), StoreError);
    assert.equal((await store.counts()).incoming, 0);
  });

  behaves("a commit that has begun cannot be aborted", async ({ store }) => {
    const writer = store.begin();
    await writer.write(Buffer.alloc(200_000, "x"));
    const { size: _, ...rest } = envelope("M1");
    const committed = writer.commit(rest, [to("dest.example")]);
    writer.abort();
    await committed;
    writer.abort();
    assert.equal((await contentOf(store, "M1")).length, 200_000);
  });

  behaves("content of a message that is not there is an error", async ({ store }) => {
    await assert.rejects(contentOf(store, "M9"), StoreError);
  });

  behaves("two messages cannot have one id, and the refusal takes no other message with it", async ({ store }) => {
    await put(store, "M1", [to("dest.example")]);
    const others = ["M2", "M1", "M3"].map((id) =>
      put(store, id, [to("dest.example")]).then(
        () => "stored",
        () => "refused",
      ),
    );
    assert.deepEqual(await Promise.all(others), ["stored", "refused", "stored"]);
    assert.deepEqual(ids(await claimAll(store)).sort(), ["M1", "M2", "M3"]);
  });
}

function claimBehaviour(behaves: Behaves): void {
  behaves("recipients of one message and destination are one work", async ({ store }) => {
    await put(store, "M1", [to("a.example", "x"), to("b.example", "y"), to("a.example", "z")]);
    const works = await claimAll(store);
    const seen = works.map((work) => [work.destination, work.recipients.map(({ index, address }) => [index, address])]);
    assert.deepEqual(
      new Map(seen as [string, unknown][]),
      new Map<string, unknown>([
        [
          "a.example",
          [
            [0, "x@a.example"],
            [2, "z@a.example"],
          ],
        ],
        ["b.example", [[1, "y@b.example"]]],
      ]),
    );
  });

  behaves("what is claimed is not claimed again until it is released", async ({ store }) => {
    await put(store, "M1", [to("a.example")]);
    const work = await only(store);
    assert.deepEqual(await claimAll(store), []);
    store.release(work);
    assert.equal((await only(store)).envelope.id, "M1");
  });

  behaves("the oldest due comes first, over all destinations, up to the limit", async ({ store }) => {
    for (const [index, order] of [5, 3, 1, 4, 2].entries())
      await put(store, `M${order}`, [to(`d${index % 2}.example`)], { acceptedAt: T0 + order, sender: `a@s${order}.example` });
    assert.deepEqual(ids(await claimAll(store, T0 + 10, 3)), ["M1", "M2", "M3"]);
    assert.deepEqual(ids(await claimAll(store, T0 + 10, 3)), ["M4", "M5"]);
  });

  behaves("what is not due is not claimed", async ({ store }) => {
    await put(store, "M1", [to("a.example")]);
    await store.settle(await only(store), [{ index: 0, outcome: deferred, nextAttemptAt: T0 + 1 }], []);
    assert.deepEqual(await claimAll(store, T0), []);
    assert.equal(await store.nextDueAt(), T0 + 1);
    assert.deepEqual(ids(await claimAll(store, T0 + 1)), ["M1"]);
    assert.equal(await store.nextDueAt(), undefined);
  });

  behaves("excluded destinations are passed over and come back later", async ({ store }) => {
    await put(store, "M1", [to("busy.example")]);
    await put(store, "M2", [to("idle.example")], { acceptedAt: T0 + 5 });
    const busy = new Set(["busy.example"]);
    assert.deepEqual(ids(await claimAll(store, T0 + 9, 10, busy)), ["M2"]);
    assert.deepEqual(await claimAll(store, T0 + 9, 10, busy), []);
    assert.ok(isDue(await store.nextDueAt(), T0));
    assert.equal(await store.nextDueAt(busy), undefined);
    assert.deepEqual(ids(await claimAll(store, T0 + 9)), ["M1"]);
  });

  behaves("a list does not keep others waiting, at its own destinations and elsewhere", async ({ store }) => {
    const list = Array.from({ length: 40 }, (_, i) => `L${String(i).padStart(2, "0")}`);
    for (const [i, id] of list.entries())
      await put(store, id, [to(i % 2 === 0 ? "a.example" : `d${i}.example`)], { acceptedAt: T0 + i });
    await put(store, "S1", [to("a.example")], { acceptedAt: T0 + 60, sender: "b@other.example" });
    await put(store, "S2", [to("b.example")], { acceptedAt: T0 + 61, sender: "c@third.example" });
    const got: string[] = [];
    for (let works = await claimAll(store, T0 + 99, 3); works.length > 0; works = await claimAll(store, T0 + 99, 3))
      got.push(...ids(works));
    assert.deepEqual(got, ["L00", "S1", "S2", ...list.slice(1)]);
  });

  behaves("room limits the works of one destination", async ({ store }) => {
    for (const id of ["M1", "M2", "M3"]) await put(store, id, [to("a.example")]);
    await put(store, "M4", [to("b.example")], { acceptedAt: T0 + 1 });
    const room = (destination: string): number => (destination === "a.example" ? 2 : 9);
    const works = await store.claim({ now: T0 + 1, limit: 10, exclude: NOBODY, room });
    assert.deepEqual(ids(works).sort(), ["M1", "M2", "M4"]);
  });

  behaves("a long queue of one destination is handed out once each, in order", async ({ store }) => {
    const all = Array.from({ length: 60 }, (_, i) => `M${String(i).padStart(3, "0")}`);
    await Promise.all(all.map((id, i) => put(store, id, [to("a.example")], { acceptedAt: T0 + i })));
    const got: string[] = [];
    for (let works = await claimAll(store, T0 + 99, 7); works.length > 0; works = await claimAll(store, T0 + 99, 7))
      got.push(...ids(works));
    assert.deepEqual(got, all);
  });

  behaves("listeners hear of new mail and of what was released", async ({ store }) => {
    let heard = 0;
    store.onWork(() => {
      heard += 1;
    });
    await put(store, "M1", [to("a.example")]);
    assert.equal(heard, 1);
    const work = await only(store);
    const released = new Promise<void>((resolve) => store.onWork(() => resolve()));
    store.release(work);
    await released;
    assert.equal(heard, 2);
  });
}

function settleBehaviour(behaves: Behaves): void {
  behaves("a message leaves with its last recipient, not before", async ({ store }) => {
    await put(store, "M1", [to("a.example", "x"), to("a.example", "y"), to("b.example")]);
    const [a, b] = [...(await claimAll(store))].sort((one, other) => (one.destination < other.destination ? -1 : 1));
    assert.ok(a !== undefined && b !== undefined);
    await store.settle(
      a,
      [
        { index: 0, outcome: delivered },
        { index: 1, outcome: deferred, nextAttemptAt: T0 + HOUR },
      ],
      [],
    );
    await store.settle(b, [{ index: 2, outcome: failed }], []);
    assert.deepEqual(await store.counts(), { incoming: 0, active: 0, deferred: 1, held: 0, oldestAcceptedAt: T0 });
    assert.deepEqual(await claimAll(store, T0 + HOUR - 1), []);
    const again = await only(store, T0 + HOUR);
    assert.deepEqual(again.recipients, [
      { ...to("a.example", "y"), index: 1, attempts: 1, delayWarned: false, lastOutcome: deferred },
    ]);
    await store.settle(again, [{ index: 1, outcome: delivered }], []);
    assert.deepEqual(await store.counts(), { incoming: 0, active: 0, deferred: 0, held: 0 });
    await assert.rejects(contentOf(store, "M1"), StoreError);
  });

  behaves("recipients of one work may be due at different times", async ({ store }) => {
    await put(store, "M1", [to("a.example", "x"), to("a.example", "y")]);
    await store.settle(
      await only(store),
      [
        { index: 0, outcome: deferred, nextAttemptAt: T0 + 2 * HOUR, delayWarned: true },
        { index: 1, outcome: deferred, nextAttemptAt: T0 + HOUR },
      ],
      [],
    );
    const early = await only(store, T0 + HOUR);
    assert.deepEqual(
      early.recipients.map(({ index }) => index),
      [1],
    );
    await store.settle(early, [{ index: 1, outcome: delivered }], []);
    const late = await only(store, T0 + 2 * HOUR);
    assert.deepEqual(
      late.recipients.map(({ index, delayWarned }) => [index, delayWarned]),
      [[0, true]],
    );
  });

  behaves("recipients that a settle does not name are due as before", async ({ store }) => {
    await put(store, "M1", [to("a.example", "x"), to("a.example", "y")]);
    await store.settle(await only(store), [{ index: 0, outcome: delivered }], []);
    assert.deepEqual(
      (await only(store)).recipients.map(({ index, attempts }) => [index, attempts]),
      [[1, 0]],
    );
  });

  behaves("generated messages are stored with the outcome that made them", async ({ store }) => {
    await put(store, "M1", [to("a.example")]);
    const report = { message: message("D1", [to("sender.example", "a")], { sender: "" }), content: Buffer.alloc(100_000, "r") };
    const small = { message: message("D2", [to("sender.example", "b")], { sender: "" }), content: Buffer.from("small") };
    let heard = 0;
    store.onWork(() => {
      heard += 1;
    });
    await store.settle(await only(store), [{ index: 0, outcome: failed }], [report, small]);
    assert.equal(heard, 1);
    const works = await claimAll(store);
    assert.deepEqual(ids(works).sort(), ["D1", "D2"]);
    assert.ok((await contentOf(store, "D1")).equals(report.content));
    assert.equal(report.content.length, 100_000);
    assert.equal(String(await contentOf(store, "D2")), "small");
    assert.deepEqual(works.map(({ envelope: { size } }) => size).sort(), [100_000, 5]);
  });

  behaves("a settle that cannot be stored changes nothing, and the claim stays", async ({ store }) => {
    await put(store, "M1", [to("a.example")]);
    const work = await only(store);
    const clash = { message: message("M1", [to("sender.example")]), content: Buffer.from("x") };
    const fresh = { message: message("D1", [to("sender.example")]), content: Buffer.alloc(100_000, "x") };
    await assert.rejects(store.settle(work, [{ index: 0, outcome: failed }], [fresh, clash]), StoreError);
    assert.deepEqual(await claimAll(store), []);
    assert.equal((await store.counts()).active, 1);
    await store.settle(work, [{ index: 0, outcome: failed }], [fresh]);
    assert.deepEqual(ids(await claimAll(store)), ["D1"]);
  });

  behaves("misuse is refused", async ({ store }) => {
    await put(store, "M1", [to("a.example")]);
    const work = await only(store);
    await assert.rejects(store.settle(work, [{ index: 7, outcome: delivered }], []), /recipient 7/);
    await assert.rejects(store.settle(work, [{ index: 0, outcome: deferred }], []), /without a time/);
    await store.settle(work, [{ index: 0, outcome: delivered }], []);
    await assert.rejects(store.settle(work, [{ index: 0, outcome: delivered }], []), /not claimed/);
    store.release(work);
    assert.deepEqual(await claimAll(store), []);
  });

  behaves("history leaves with its message", async ({ store }) => {
    for (const id of ["M1", "M2"]) {
      await put(store, id, [to("a.example")]);
      await store.settle(await only(store), [{ index: 0, outcome: deferred, nextAttemptAt: T0 + HOUR }], []);
      assert.deepEqual(await store.counts(), { incoming: 0, active: 0, deferred: 1, held: 0, oldestAcceptedAt: T0 }, id);
      await store.settle(await only(store, T0 + HOUR), [{ index: 0, outcome: delivered }], []);
      assert.deepEqual(await store.counts(), { incoming: 0, active: 0, deferred: 0, held: 0 }, id);
    }
  });

  behaves("counts follow messages through their states", async ({ store }) => {
    await put(store, "M1", [to("a.example"), to("b.example")], { acceptedAt: T0 });
    await put(store, "M2", [to("c.example")], { acceptedAt: T0 + 1 });
    assert.deepEqual(await store.counts(), { incoming: 2, active: 0, deferred: 0, held: 0, oldestAcceptedAt: T0 });
    const works = await claimAll(store, T0, 100, new Set(["c.example"]));
    assert.deepEqual(await store.counts(), { incoming: 1, active: 1, deferred: 0, held: 0, oldestAcceptedAt: T0 });
    const [first, second] = works;
    assert.ok(first !== undefined && second !== undefined);
    await store.settle(first, [{ index: first.recipients[0].index, outcome: deferred, nextAttemptAt: T0 + HOUR }], []);
    store.release(second);
    assert.deepEqual(await store.counts(), { incoming: 1, active: 0, deferred: 1, held: 0, oldestAcceptedAt: T0 });
  });
}

function survivalBehaviour(behaves: Behaves): void {
  behaves("everything is there after a restart, and claims are gone", async ({ store, reopen }) => {
    await put(store, "M1", [to("a.example")]);
    await put(store, "M2", [to("b.example")]);
    await put(store, "M3", [to("c.example")]);
    const works = await claimAll(store);
    const second = works.find((work) => work.envelope.id === "M2");
    const third = works.find((work) => work.envelope.id === "M3");
    assert.ok(second !== undefined && third !== undefined);
    await store.settle(second, [{ index: 0, outcome: deferred, nextAttemptAt: T0 + HOUR, delayWarned: true }], []);
    await store.settle(third, [{ index: 0, outcome: delivered }], []);
    await store.close();
    const again = await reopen();
    try {
      assert.deepEqual(await again.counts(), { incoming: 1, active: 0, deferred: 1, held: 0, oldestAcceptedAt: T0 });
      assert.ok(isDue(await again.nextDueAt(), T0));
      assert.deepEqual(ids(await claimAll(again, T0)), ["M1"]);
      assert.equal(await again.nextDueAt(), T0 + HOUR);
      const [work] = await claimAll(again, T0 + HOUR);
      assert.deepEqual(work?.recipients, [
        { ...to("b.example"), index: 0, attempts: 1, delayWarned: true, lastOutcome: deferred },
      ]);
      assert.equal(String(await contentOf(again, "M2")), "content of M2\r\n");
    } finally {
      await again.close();
    }
  });

  behaves("a closed store says so", async ({ store }) => {
    assert.deepEqual(await store.health(), { kind: "writable" });
    await store.close();
    await store.close();
    await assert.rejects(put(store, "M1", [to("a.example")]), (error) => error instanceof StoreError && error.kind === "closed");
    assert.equal((await store.health()).kind, "unwritable");
  });
}
