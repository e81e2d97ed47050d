import assert from "node:assert/strict";
import { mock, test } from "node:test";
import type { ConnectionResult, SmtpSession } from "../../../src/delivery/connection.ts";
import { ConnectionPool, type PoolOptions, type SessionSource } from "../../../src/delivery/connectionPool.ts";

/** A session that only has a state, and remembers how it ended. */
class StubSession implements SmtpSession {
  readonly security = { kind: "clear", starttlsOffered: false } as const;
  readonly extensions = new Set<string>();
  state: "idle" | "busy" | "closed" = "idle";
  ended: "no" | "quit" | "destroyed" = "no";

  transact(): Promise<[]> {
    return Promise.resolve([]);
  }

  quit(): Promise<void> {
    this.state = "closed";
    this.ended = "quit";
    return Promise.resolve();
  }

  destroy(): void {
    this.state = "closed";
    this.ended = "destroyed";
  }
}

function fixture(options: Omit<PoolOptions, "clock"> = {}) {
  const sessions: StubSession[] = [];
  let monotonic = 0;
  const clock = { now: () => 0, monotonic: () => monotonic };
  const pool = new ConnectionPool({ clock, ...options });
  const open = (): Promise<ConnectionResult> => {
    const session = new StubSession();
    sessions.push(session);
    return Promise.resolve({ kind: "ready", session });
  };
  const acquire = async (key: string, source: SessionSource = "pool-or-new"): Promise<SmtpSession> => {
    const result = await pool.acquire(key, source, open);
    assert.ok(result.kind === "ready");
    return result.session;
  };
  const advance = (milliseconds: number): void => {
    monotonic += milliseconds;
  };
  return { pool, sessions, open, acquire, advance };
}

/** Lets everything run that can run without time passing. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a released session serves the next one of its key, and only of its key", async () => {
  const { pool, sessions, open, acquire } = fixture();
  const first = await acquire("a");
  pool.release(first);
  assert.deepEqual(await pool.acquire("a", "pool-or-new", open), { kind: "ready", session: first, reused: "yes" });
  pool.release(first);
  assert.notEqual(await acquire("b"), first);
  assert.equal(sessions.length, 2);
  assert.equal(pool.open, 2);
  await pool.close();
});

test("who wants a new connection gets one, also where idle ones fill the limit of the key", async () => {
  const { pool, sessions, acquire } = fixture({ maxConnectionsPerKey: 1 });
  const idle = await acquire("a");
  pool.release(idle);
  assert.notEqual(await acquire("a", "new"), idle);
  assert.deepEqual(
    sessions.map(({ ended }) => ended),
    ["quit", "no"],
  );
  await pool.close();
});

test("a busy session is not shared", async () => {
  const { pool, acquire } = fixture();
  const [first, second] = await Promise.all([acquire("a"), acquire("a")]);
  assert.notEqual(first, second);
  await pool.close();
});

test("a session that is closed, or busy, when released is not kept", async () => {
  const { pool, acquire } = fixture();
  for (const state of ["closed", "busy"] as const) {
    const session = (await acquire("a")) as StubSession;
    session.state = state;
    pool.release(session);
    assert.equal(session.ended, "destroyed");
    assert.equal(pool.open, 0);
  }
});

test("a session that its server ended while idle is passed over", async () => {
  const { pool, acquire } = fixture();
  const session = (await acquire("a")) as StubSession;
  pool.release(session);
  session.state = "closed";
  assert.notEqual(await acquire("a"), session);
  assert.equal(pool.open, 1);
});

test("idle for too long: QUIT", async (t) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const { pool, sessions, acquire } = fixture({ idleSeconds: 3 });
  pool.release(await acquire("a"));
  mock.timers.tick(2_999);
  pool.release(await acquire("a"));
  mock.timers.tick(2_999);
  assert.deepEqual(
    sessions.map(({ ended }) => ended),
    ["no"],
  );
  mock.timers.tick(1);
  assert.deepEqual(
    sessions.map(({ ended }) => ended),
    ["quit"],
  );
  assert.equal(pool.open, 0);
});

test("used too often, or too old: QUIT", async () => {
  const often = fixture({ maxTransactionsPerConnection: 2 });
  often.pool.release(await often.acquire("a"));
  often.pool.release(await often.acquire("a"));
  assert.deepEqual(
    often.sessions.map(({ ended }) => ended),
    ["quit"],
  );
  const old = fixture({ maxAgeSeconds: 10 });
  const session = await old.acquire("a");
  old.advance(10_000);
  old.pool.release(session);
  assert.deepEqual(
    old.sessions.map(({ ended }) => ended),
    ["quit"],
  );
});

test("the limit for a key holds; a release lets the one who waits go on", async () => {
  const { pool, sessions, acquire } = fixture({ maxConnectionsPerKey: 1 });
  const first = await acquire("a");
  const waiting = acquire("a");
  await settle();
  assert.equal(sessions.length, 1);
  pool.release(first);
  assert.equal(await waiting, first);
  await acquire("b");
  assert.equal(sessions.length, 2);
});

test("the limit in all holds; the connection that was idle longest makes room", async () => {
  const { pool, sessions, acquire } = fixture({ maxConnections: 2 });
  const [first, second] = await Promise.all([acquire("a"), acquire("b")]);
  const waiting = acquire("c");
  await settle();
  assert.equal(sessions.length, 2);
  pool.release(second);
  pool.release(first);
  await waiting;
  assert.deepEqual(
    sessions.map(({ ended }) => ended),
    ["no", "quit", "no"],
  );
  assert.equal(pool.open, 2);
});

test("a connection that did not come about leaves its place", async () => {
  const { pool, acquire } = fixture({ maxConnections: 1 });
  const failed = { kind: "failed", failure: { stage: "connect", text: "no" } } as const;
  assert.deepEqual(await pool.acquire("a", "pool-or-new", () => Promise.resolve(failed)), failed);
  await assert.rejects(
    pool.acquire("a", "pool-or-new", () => Promise.reject(new Error("bug"))),
    /bug/,
  );
  assert.equal(pool.open, 0);
  await acquire("a");
});

test("close: idle ones QUIT, who waits is told, and what comes back later is closed too", async () => {
  const { pool, sessions, acquire, open } = fixture({ maxConnections: 2 });
  const busy = await acquire("a");
  pool.release(await acquire("b"));
  const full = await acquire("c");
  const waiting = pool.acquire("d", "pool-or-new", open);
  await settle();
  await pool.close();
  const told = await waiting;
  assert.ok(told.kind === "failed" && /stopping/.test(told.failure.text));
  pool.release(busy);
  pool.release(full);
  assert.ok(sessions.every(({ ended }) => ended === "quit"));
  assert.equal(pool.open, 0);
});

test("releasing what is not out is a bug", async () => {
  for (const maxTransactionsPerConnection of [1, 2]) {
    const { pool, acquire } = fixture({ maxTransactionsPerConnection });
    const session = await acquire("a");
    pool.release(session);
    assert.throws(() => pool.release(session), /not acquired/);
    await pool.close();
  }
});
