import assert from "node:assert/strict";
import { test } from "node:test";
import type { Outcome } from "../../src/policy/disposition.ts";
import type { Envelope, RecipientRequest, Settled, Work } from "../../src/spool/message.ts";
import type { AdministeredStore, QueueAction, QueueChange, QueueFilter, QueuePosition } from "../../src/spool/queueAdmin.ts";

/** What the operator's hands do on every store. The factory's store is empty; `reopen` opens the same queue again after it is closed. */
export type AdministeredFixture = {
  store: AdministeredStore;
  reopen: () => Promise<AdministeredStore>;
  dispose: () => Promise<void>;
};

const T0 = 1_700_000_000_000;
const HOUR = 3_600_000;
/** Later than anything that is queued here, and than this test's own clock. */
const FAR = T0 * 4;

function deferredBy(text: string): Outcome {
  return { kind: "deferred", status: "4.4.1", cause: { kind: "connect", text, host: "mx.dest.example" } };
}
const delivered: Outcome = {
  kind: "delivered",
  reply: { code: 250, enhanced: "2.0.0", lines: ["ok"] },
  security: { tls: "dane", dane: "authenticated" },
};

function to(destination: string, local = "user"): RecipientRequest {
  return { address: `${local}@${destination}`, destination };
}

async function put(
  { store }: AdministeredFixture,
  id: string,
  recipients: readonly [RecipientRequest, ...RecipientRequest[]],
  changes: Partial<Envelope> = {},
): Promise<void> {
  const flags = { smtpUtf8: false, eightBitMime: false, requireTls: false, tlsRequiredNo: false };
  const content = Buffer.from(`content of ${id}\r\n`);
  const envelope = { id, sender: "a@sender.example", acceptedAt: T0, size: content.length, ...flags, ...changes };
  await store.add({ envelope, recipients }, content);
}

async function claimed(store: AdministeredStore, now = FAR): Promise<readonly Work[]> {
  return await store.claim({ now, limit: 1000, exclude: new Set() });
}

/** Tries everything that is due, and records what `outcomeOf` says of each recipient. */
async function attempt(store: AdministeredStore, outcomeOf: (address: string) => Outcome, now = T0, again = FAR): Promise<void> {
  for (const work of await claimed(store, now)) {
    const settled = work.recipients.map(({ index, address }): Settled => {
      const outcome = outcomeOf(address);
      return { index, outcome, ...(outcome.kind === "deferred" ? { nextAttemptAt: again } : {}) };
    });
    await store.settle(work, settled, []);
  }
}

async function listed({ queueAdmin }: AdministeredStore, filter: QueueFilter = {}): Promise<string[]> {
  const names: string[] = [];
  let after: QueuePosition | undefined;
  do {
    const page = await queueAdmin.list(filter, { limit: 2, ...(after === undefined ? {} : { after }) });
    assert.ok(page.entries.length <= 2);
    names.push(...page.entries.map(({ id, destination }) => `${id} ${destination}`));
    after = page.next;
  } while (after !== undefined);
  return names;
}

function change(changed: number, rest: Partial<QueueChange> = {}): QueueChange {
  return { changed, unchanged: 0, busy: 0, unknown: [], ...rest };
}

function due(works: readonly Work[]): string[] {
  return works.map(({ envelope, destination }) => `${envelope.id} ${destination}`).sort();
}

export function queueAdminBehaviour(name: string, create: () => Promise<AdministeredFixture>): void {
  const behaves = (what: string, run: (fixture: AdministeredFixture) => Promise<void>): void => {
    test(`${name}: ${what}`, async () => {
      const fixture = await create();
      try {
        await run(fixture);
      } finally {
        await fixture.dispose();
      }
    });
  };
  listBehaviour(behaves);
  showBehaviour(behaves);
  actBehaviour(behaves);
}

type Behaves = (what: string, run: (fixture: AdministeredFixture) => Promise<void>) => void;

/** M1 two destinations, deferred; M2 held; M3 active; M4 never tried. */
async function mixedQueue(fixture: AdministeredFixture): Promise<Work> {
  const { store } = fixture;
  await put(fixture, "M1", [to("a.example", "x"), to("b.sub.example"), to("a.example", "y")], { acceptedAt: T0 });
  await put(fixture, "M2", [to("a.example")], { acceptedAt: T0 + 1, sender: "" });
  await attempt(store, (address) => deferredBy(`${address} greylisted "50%" İ`), T0 + 1);
  assert.deepEqual(await store.queueAdmin.act("hold", { ids: ["M2"] }), change(1));
  await put(fixture, "M3", [to("c.example")], { acceptedAt: T0 + 2 });
  const [active] = await claimed(store, T0 + 2);
  assert.ok(active !== undefined);
  await put(fixture, "M4", [to("sub.example")], { acceptedAt: T0 + 3 });
  return active;
}

const LISTS: readonly { filter: QueueFilter; expected: readonly string[] }[] = [
  { filter: {}, expected: ["M1 a.example", "M1 b.sub.example", "M2 a.example", "M3 c.example", "M4 sub.example"] },
  { filter: { ids: ["M4", "M1", "M9"] }, expected: ["M1 a.example", "M1 b.sub.example", "M4 sub.example"] },
  { filter: { ids: [] }, expected: [] },
  { filter: { domain: "a.example" }, expected: ["M1 a.example", "M2 a.example"] },
  { filter: { domain: ".sub.example" }, expected: ["M1 b.sub.example"] },
  {
    filter: { domain: ".example" },
    expected: ["M1 a.example", "M1 b.sub.example", "M2 a.example", "M3 c.example", "M4 sub.example"],
  },
  { filter: { domain: "example" }, expected: [] },
  { filter: { domain: "%.example" }, expected: [] },
  { filter: { sender: "" }, expected: ["M2 a.example"] },
  { filter: { sender: "a@sender.example", domain: "a.example" }, expected: ["M1 a.example"] },
  { filter: { sender: "sender.example" }, expected: [] },
  { filter: { state: "incoming" }, expected: ["M4 sub.example"] },
  { filter: { state: "active" }, expected: ["M3 c.example"] },
  { filter: { state: "deferred" }, expected: ["M1 a.example", "M1 b.sub.example"] },
  { filter: { state: "held" }, expected: ["M2 a.example"] },
  { filter: { state: "held", domain: "c.example" }, expected: [] },
  { filter: { acceptedBefore: T0 }, expected: [] },
  { filter: { acceptedBefore: T0 + 2 }, expected: ["M1 a.example", "M1 b.sub.example", "M2 a.example"] },
  { filter: { reason: "GREYlisted" }, expected: ["M1 a.example", "M1 b.sub.example", "M2 a.example"] },
  { filter: { reason: '"50%"' }, expected: ["M1 a.example", "M1 b.sub.example", "M2 a.example"] },
  { filter: { reason: "y@a.example" }, expected: ["M1 a.example"] },
  { filter: { reason: "g%d" }, expected: [] },
  { filter: { reason: "attempts" }, expected: [] },
  { filter: { reason: "greylisted", state: "held", domain: "a.example", acceptedBefore: T0 + 9 }, expected: ["M2 a.example"] },
];

function listBehaviour(behaves: Behaves): void {
  behaves("list: every filter, in pages, oldest first", async (fixture) => {
    const active = await mixedQueue(fixture);
    for (const { filter, expected } of LISTS)
      assert.deepEqual(await listed(fixture.store, filter), expected, JSON.stringify(filter));
    await fixture.store.settle(active, [{ index: 0, outcome: deferredBy("later"), nextAttemptAt: FAR }], []);
    assert.deepEqual(await listed(fixture.store, { state: "deferred", domain: "c.example" }), ["M3 c.example"]);
  });

  behaves("list: what an entry says", async (fixture) => {
    await mixedQueue(fixture);
    const { entries } = await fixture.store.queueAdmin.list({}, { limit: 10 });
    const base = { sender: "a@sender.example", size: 15 };
    const tried = (address: string) => ({
      address,
      attempts: 1,
      status: "4.4.1",
      reason: `${address} greylisted "50%" İ`,
    });
    assert.deepEqual(entries, [
      {
        ...base,
        id: "M1",
        destination: "a.example",
        state: "deferred",
        acceptedAt: T0,
        nextAttemptAt: FAR,
        recipients: [tried("x@a.example"), tried("y@a.example")],
      },
      {
        ...base,
        id: "M1",
        destination: "b.sub.example",
        state: "deferred",
        acceptedAt: T0,
        nextAttemptAt: FAR,
        recipients: [tried("user@b.sub.example")],
      },
      {
        ...base,
        id: "M2",
        sender: "",
        destination: "a.example",
        state: "held",
        acceptedAt: T0 + 1,
        recipients: [tried("user@a.example")],
      },
      {
        ...base,
        id: "M3",
        destination: "c.example",
        state: "active",
        acceptedAt: T0 + 2,
        recipients: [{ address: "user@c.example", attempts: 0 }],
      },
      {
        ...base,
        id: "M4",
        destination: "sub.example",
        state: "incoming",
        acceptedAt: T0 + 3,
        nextAttemptAt: T0 + 3,
        recipients: [{ address: "user@sub.example", attempts: 0 }],
      },
    ]);
  });

  behaves("list: pages are stable while entries come and go", async (fixture) => {
    const { queueAdmin } = fixture.store;
    for (const [index, id] of ["M1", "M2", "M3", "M4", "M5"].entries()) {
      await put(fixture, id, [to("a.example")], { acceptedAt: T0 + index });
    }
    const first = await queueAdmin.list({}, { limit: 2 });
    assert.deepEqual(
      first.entries.map(({ id }) => id),
      ["M1", "M2"],
    );
    // The place of the page's end is gone, and something older came in late.
    await queueAdmin.act("delete", { ids: ["M2", "M3"] });
    await put(fixture, "M0", [to("a.example")], { acceptedAt: T0 - 1 });
    assert.ok(first.next !== undefined);
    const second = await queueAdmin.list({}, { limit: 2, after: first.next });
    assert.deepEqual(
      second.entries.map(({ id }) => id),
      ["M4", "M5"],
    );
    assert.equal(second.next, undefined);
    assert.deepEqual(await listed(fixture.store), ["M0 a.example", "M1 a.example", "M4 a.example", "M5 a.example"]);
  });

  behaves("list: a long queue, page by page, each entry once", async (fixture) => {
    const ids = Array.from({ length: 2500 }, (_, i) => `M${String(i).padStart(4, "0")}`);
    await Promise.all(ids.map((id, i) => put(fixture, id, [to(`d${i % 7}.example`)], { acceptedAt: T0 + (i >> 2) })));
    for (const [domain, expected] of [
      [undefined, ids],
      ["d3.example", ids.filter((_, i) => i % 7 === 3)],
      [".example", ids],
    ] as const) {
      const seen: string[] = [];
      let after: QueuePosition | undefined;
      do {
        const filter = domain === undefined ? {} : { domain };
        const page = await fixture.store.queueAdmin.list(filter, { limit: 700, ...(after === undefined ? {} : { after }) });
        seen.push(...page.entries.map(({ id }) => id));
        after = page.next;
      } while (after !== undefined);
      assert.deepEqual(seen, expected);
    }
  });

  behaves("statistics: by destination and by reason, most recipients first", async (fixture) => {
    await mixedQueue(fixture);
    const { queueAdmin } = fixture.store;
    const reason = (domain: string) => `*@${domain} greylisted "50%" İ`;
    assert.deepEqual(await queueAdmin.statistics("destination", 10), [
      { key: "a.example", messages: 2, recipients: 3, oldestAcceptedAt: T0, reason: reason("a.example") },
      { key: "b.sub.example", messages: 1, recipients: 1, oldestAcceptedAt: T0, reason: reason("b.sub.example") },
      { key: "c.example", messages: 1, recipients: 1, oldestAcceptedAt: T0 + 2 },
      { key: "sub.example", messages: 1, recipients: 1, oldestAcceptedAt: T0 + 3 },
    ]);
    assert.deepEqual(await queueAdmin.statistics("reason", 2), [
      { key: reason("a.example"), messages: 2, recipients: 3, oldestAcceptedAt: T0 },
      { key: "not tried yet", messages: 2, recipients: 2, oldestAcceptedAt: T0 + 2 },
    ]);
  });
}

function showBehaviour(behaves: Behaves): void {
  behaves("show: the whole history, also of recipients that are settled for good", async (fixture) => {
    const { store } = fixture;
    await put(fixture, "M1", [to("a.example", "x"), to("a.example", "y")]);
    await attempt(store, (address) => (address.startsWith("x") ? delivered : deferredBy("busy")), T0, T0 + 1);
    await attempt(store, () => deferredBy("busy again"), T0 + 1);
    const shown = await store.queueAdmin.show("M1");
    assert.equal(shown?.envelope.id, "M1");
    assert.deepEqual(
      shown?.entries.map(({ destination, state, recipients }) => [destination, state, recipients]),
      [["a.example", "deferred", [{ address: "y@a.example", attempts: 2, status: "4.4.1", reason: "busy again" }]]],
    );
    const history = shown?.attempts.map(({ at, ...record }) => {
      assert.ok(at > T0);
      return record;
    });
    const host = "mx.dest.example";
    assert.deepEqual(
      history?.sort((one, other) => one.number - other.number || (one.recipient < other.recipient ? -1 : 1)),
      [
        { recipient: "x@a.example", number: 1, outcome: "delivered", status: "2.0.0", reason: "ok" },
        { recipient: "y@a.example", number: 1, outcome: "deferred", status: "4.4.1", reason: "busy", host },
        { recipient: "y@a.example", number: 2, outcome: "deferred", status: "4.4.1", reason: "busy again", host },
      ],
    );
  });

  behaves("show: a message that is not there", async ({ store }) => {
    assert.equal(await store.queueAdmin.show("M1"), undefined);
  });
}

function actBehaviour(behaves: Behaves): void {
  behaves("retry: due now, and the engine hears of it", async (fixture) => {
    const { store } = fixture;
    await put(fixture, "M1", [to("a.example", "x"), to("a.example", "y")]);
    await put(fixture, "M2", [to("b.example")]);
    await attempt(store, () => deferredBy("busy"));
    assert.deepEqual(await claimed(store, T0 + HOUR), []);
    const heard: (readonly string[] | undefined)[] = [];
    store.onWork((destinations) => heard.push(destinations));
    assert.deepEqual(await store.queueAdmin.act("retry", { domain: "a.example" }), change(1));
    assert.ok(heard.length > 0);
    const [work, ...others] = await claimed(store, Date.now());
    assert.deepEqual(others, []);
    assert.deepEqual(
      work?.recipients.map(({ address, attempts }) => [address, attempts]),
      [
        ["x@a.example", 1],
        ["y@a.example", 1],
      ],
    );
  });

  behaves("hold: not claimed, not even when it is due, until it is released; durable", async (fixture) => {
    const { store } = fixture;
    await put(fixture, "M1", [to("a.example"), to("b.example")]);
    await put(fixture, "M2", [to("a.example")]);
    assert.deepEqual(await store.queueAdmin.act("hold", { domain: "a.example" }), change(2));
    assert.deepEqual(await store.queueAdmin.act("hold", { domain: "a.example" }), change(0, { unchanged: 2 }));
    assert.deepEqual(await store.queueAdmin.act("retry", { domain: "a.example" }), change(0, { unchanged: 2 }));
    assert.deepEqual(await store.counts(), { incoming: 0, active: 0, deferred: 0, held: 2, oldestAcceptedAt: T0 });
    assert.deepEqual(due(await claimed(store)), ["M1 b.example"]);
    await store.close();
    const again = await fixture.reopen();
    try {
      assert.deepEqual(due(await claimed(again)), ["M1 b.example"]);
      assert.deepEqual(await listed(again, { state: "held" }), ["M1 a.example", "M2 a.example"]);
      assert.deepEqual(await again.queueAdmin.act("release", {}), change(2, { busy: 1 }));
      assert.deepEqual(due(await claimed(again)), ["M1 a.example", "M2 a.example"]);
    } finally {
      await again.close();
    }
  });

  behaves("counts: held messages follow every change", async (fixture) => {
    const { store } = fixture;
    const counts = async (): Promise<readonly number[]> => {
      const { incoming, active, deferred, held } = await store.counts();
      return [incoming, active, deferred, held];
    };
    const act = (action: QueueAction, filter: QueueFilter): Promise<QueueChange> => store.queueAdmin.act(action, filter);
    await put(fixture, "M1", [to("a.example"), to("b.example")]);
    const works = await claimed(store);
    const b = works.find(({ destination }) => destination === "b.example");
    const a = works.find(({ destination }) => destination === "a.example");
    assert.ok(a !== undefined && b !== undefined);
    store.release(a);
    assert.deepEqual(await act("hold", {}), change(1, { busy: 1 }));
    assert.deepEqual(await counts(), [0, 1, 0, 0]);
    await store.settle(b, [{ index: b.recipients[0].index, outcome: deferredBy("busy"), nextAttemptAt: FAR }], []);
    assert.deepEqual(await counts(), [0, 0, 0, 1]);
    assert.deepEqual(await act("release", {}), change(1, { unchanged: 1 }));
    assert.deepEqual(await counts(), [0, 0, 1, 0]);
    await act("hold", { domain: "a.example" });
    await act("delete", { domain: "a.example" });
    assert.deepEqual(await counts(), [0, 0, 1, 0]);
    await act("hold", {});
    assert.deepEqual(await counts(), [0, 0, 0, 1]);
    await act("delete", {});
    assert.deepEqual(await counts(), [0, 0, 0, 0]);
    assert.deepEqual(await claimed(store), []);
  });

  behaves("delete: gone for good, with its content and its history; its id is unknown then", async (fixture) => {
    const { store } = fixture;
    await put(fixture, "M1", [to("a.example"), to("b.example")]);
    await attempt(store, () => deferredBy("busy"));
    assert.deepEqual(
      await store.queueAdmin.act("delete", { ids: ["M1", "M7", "M7"], domain: "a.example" }),
      change(1, { unknown: ["M7"] }),
    );
    assert.deepEqual(await listed(store), ["M1 b.example"]);
    assert.deepEqual(await store.queueAdmin.act("delete", { ids: ["M1"] }), change(1));
    assert.equal(await store.queueAdmin.show("M1"), undefined);
    assert.deepEqual(await store.queueAdmin.act("delete", { ids: ["M1"] }), change(0, { unknown: ["M1"] }));
    await store.close();
    const again = await fixture.reopen();
    try {
      assert.deepEqual(await claimed(again), []);
      assert.deepEqual(await again.counts(), { incoming: 0, active: 0, deferred: 0, held: 0 });
    } finally {
      await again.close();
    }
  });

  behaves("an entry that is being delivered is left alone, and its settlement counts", async (fixture) => {
    const { store } = fixture;
    await put(fixture, "M1", [to("a.example"), to("b.example")]);
    const works = await claimed(store);
    for (const action of ["retry", "hold", "release", "delete"] as const) {
      assert.deepEqual(await store.queueAdmin.act(action, { ids: ["M1"] }), change(0, { busy: 2 }), action);
    }
    const [first, second] = works;
    assert.ok(first !== undefined && second !== undefined);
    await store.settle(first, [{ index: first.recipients[0].index, outcome: delivered }], []);
    assert.deepEqual(await store.queueAdmin.act("delete", { state: "deferred" }), change(0));
    store.release(second);
    assert.deepEqual(await store.queueAdmin.act("delete", {}), change(1));
    assert.deepEqual(await store.counts(), { incoming: 0, active: 0, deferred: 0, held: 0 });
  });

  behaves("an action on a long queue reaches every entry once, while mail goes on", async (fixture) => {
    const { store } = fixture;
    const ids = Array.from({ length: 1200 }, (_, i) => `M${String(i).padStart(4, "0")}`);
    await Promise.all(ids.map((id, i) => put(fixture, id, [to(`d${i % 3}.example`)], { acceptedAt: T0 + (i >> 3) })));
    const [held, works] = await Promise.all([store.queueAdmin.act("hold", { domain: "d1.example" }), claimed(store)]);
    const busy = works.filter(({ destination }) => destination === "d1.example").length;
    assert.deepEqual([held.changed + held.busy, held.unchanged], [400, 0]);
    assert.ok(held.busy <= busy);
    for (const work of works) store.release(work);
    const rest = await store.queueAdmin.act("hold", { domain: "d1.example" });
    assert.deepEqual(rest, change(held.busy, { unchanged: held.changed }));
    assert.deepEqual(await store.queueAdmin.act("delete", { state: "held" }), change(400));
    assert.deepEqual(await store.queueAdmin.act("retry", {}), change(800));
    assert.equal((await store.counts()).incoming, 800);
  });
}
