import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../../src/clock.ts";
import { ConnectionPool } from "../../../src/delivery/connectionPool.ts";
import { type HostConnection, openHostSession, type SessionContext } from "../../../src/delivery/hostSession.ts";
import type { ChannelSecurity, SmtpSession } from "../../../src/delivery/smtpSession.ts";
import { TrustedRoots } from "../../../src/x509/serverIdentity.ts";

/** The last look at a session: what falls short is never used, and its place in the pool is free again. */
function fakeSession(security: ChannelSecurity): SmtpSession & { state: SmtpSession["state"] } {
  return {
    security,
    extensions: new Set<string>(),
    state: "idle",
    transact: () => Promise.reject(new Error("nothing is to be sent")),
    quit: () => Promise.resolve(),
    destroy() {
      this.state = "closed";
    },
  };
}

const CONNECTION: HostConnection = {
  host: "mx.example.org",
  address: "127.112.1.1",
  tls: { kind: "encrypt", wanted: "encrypt", got: "encrypt", success: "exempt" },
  sts: { kind: "none" },
  policies: { dane: { kind: "notApplicable", because: "exempt" }, sts: undefined, nextHop: undefined },
  unmet: "deferred",
  dnssec: { mx: "insecure", address: "insecure", tlsa: "not-asked" },
  request: { hostname: "relay.test", port: 25, implicitTls: false, timeouts: { connectSeconds: 1 } },
};

function contextOf(session: SmtpSession): { pool: ConnectionPool; context: SessionContext } {
  const pool = new ConnectionPool({ clock: systemClock });
  const context: SessionContext = {
    now: () => 0,
    trustedRoots: () => new TrustedRoots([]),
    matches: new WeakMap(),
    release: (given) => pool.release(given),
    connect: (key, _request, source) => pool.acquire(key, source, () => Promise.resolve({ kind: "ready", session })),
  };
  return { pool, context };
}

test("a session in clear text where TLS is demanded is destroyed, and its place is free", async () => {
  const session = fakeSession({ kind: "clear", starttlsOffered: false });
  const { pool, context } = contextOf(session);
  const opened = await openHostSession(CONNECTION, context, "pool-or-new");
  assert.equal(opened.kind, "failed");
  assert.match(opened.kind === "failed" ? opened.failure.text : "", /fell short of its policy \(encrypt\)/);
  assert.deepEqual([session.state, pool.open], ["closed", 0]);
});

test("a session that cannot be judged is destroyed, and its place is free", async () => {
  const session = fakeSession({ kind: "clear", starttlsOffered: false });
  Object.defineProperty(session, "security", {
    get: () => {
      throw new Error("a bug");
    },
  });
  const { pool, context } = contextOf(session);
  await assert.rejects(openHostSession(CONNECTION, context, "pool-or-new"), /^Error: a bug$/);
  assert.deepEqual([session.state, pool.open], ["closed", 0]);
});

const HERE = { address: "192.0.2.1", text: "out of file descriptors", blame: "here" } as const;
const THERE = { address: "192.0.2.2", text: "connection refused" } as const;
for (const [title, dialled, expected] of [
  ["what this machine is short of", [HERE], ["4.3.0", "local"]],
  ["one of two addresses refused", [HERE, THERE], ["4.4.1", "connect"]],
] as const) {
  test(`no connection, ${title}: ${expected.join(", ")}`, async () => {
    const { context } = contextOf(fakeSession({ kind: "clear", starttlsOffered: false }));
    const failure = { stage: "connect", text: dialled.map(({ text }) => text).join("; "), dialled } as const;
    const connect = () => Promise.resolve({ kind: "failed", failure } as const);
    const opened = await openHostSession(CONNECTION, { ...context, connect }, "new");
    assert.ok(opened.kind === "failed" && opened.outcome.kind === "deferred");
    assert.deepEqual([opened.outcome.status, opened.outcome.cause.kind], expected);
  });
}
