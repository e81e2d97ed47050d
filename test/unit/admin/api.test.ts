import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Access } from "../../../src/admin/access.ts";
import { AdminToken, readToken } from "../../../src/admin/adminToken.ts";
import { Api, type AuditRecord } from "../../../src/admin/api.ts";
import { type ControlSocket, openControlSocket } from "../../../src/admin/controlSocket.ts";
import { DeliveryRing } from "../../../src/admin/deliveryRing.ts";
import { type Admin, createAdmin } from "../../../src/admin/server.ts";
import { TokenGuesses } from "../../../src/admin/tokenGuesses.ts";
import { controlClient } from "../../../src/relay/controlClient.ts";
import type { AdministeredStore } from "../../../src/spool/queueAdmin.ts";
import { openSqliteStore } from "../../../src/spool/sqliteStore.ts";

/** The real API on a real spool, over TCP and over the control socket: who may do what, and what is answered. */
const ADDRESS = "127.115.2.1";
const TOKEN = "the-token-of-this-test-0123456789";
const WRONG = "not-the-token-of-this-test-012345";
const NOW = 1_700_000_100_000;
const T0 = 1_700_000_000_000;

const directory = mkdtempSync(join(tmpdir(), "dane-relay-api-"));
const audits: AuditRecord[] = [];
const ring = new DeliveryRing(3);
let store: AdministeredStore;
let admin: Admin;
let control: ControlSocket;
let token: Access["token"] = { kind: "none" };

const TRACE = {
  domain: "a.example",
  tls: "dane",
  dane: "authenticated",
  dnssec: { mx: "secure", address: "secure", tlsa: "secure" },
  seconds: 0.1,
} as const;

before(async () => {
  store = await openSqliteStore({ directory, reserveBytes: 0 });
  for (const [index, id] of ["M1", "M2", "M3"].entries()) {
    const flags = { smtpUtf8: false, eightBitMime: false, requireTls: false, tlsRequiredNo: false };
    const envelope = { id, sender: "s@sender.example", acceptedAt: T0 + 1000 * index, size: 1, ...flags };
    await store.add(
      {
        envelope,
        recipients: [{ address: `u@${id === "M3" ? "b" : "a"}.example`, destination: `${id === "M3" ? "b" : "a"}.example` }],
      },
      Buffer.from("x"),
    );
  }
  const api = new Api({
    queueAdmin: store.queueAdmin,
    access: () => ({ token, hostnames: new Set(["relay.example"]) }),
    state: async () => ({
      version: "1.2.3",
      hostname: "relay.example",
      startedAt: NOW - 5000,
      now: NOW,
      checks: [{ name: "spool", status: "ok", text: "fine" }],
      validation: { kind: "validating", mode: "forward", source: "upstream", reason: "good" },
      counts: await store.counts(),
      exceptions: [{ domain: "x.example", level: "may", expiresAt: NOW + 1 }],
    }),
    ring,
    now: () => NOW,
    monotonic: () => performance.now(),
    onAudit: (record) => audits.push(record),
  });
  const checks = () => Promise.resolve([]);
  admin = await createAdmin({ listen: { address: ADDRESS, port: 0 }, api, metrics: () => Promise.resolve(""), checks });
  control = await openControlSocket(api, directory);
});
after(async () => {
  await control.close();
  await admin.close();
  await store.close();
  rmSync(directory, { recursive: true, force: true });
});

type Reply = { status: number; body: Record<string, unknown>; headers: Record<string, unknown> };

function ask(path: string, options: { method?: string; headers?: Record<string, string>; body?: string } = {}): Promise<Reply> {
  const { method = "GET", headers = {}, body } = options;
  return new Promise((resolve, reject) => {
    const asking = request({ host: ADDRESS, port: admin.listening.port, path, method, headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text), headers: response.headers }));
    });
    asking.on("error", reject);
    asking.end(body);
  });
}

const JSON_TYPE = { "content-type": "application/json" };

function act(body: unknown, headers: Record<string, string> = {}): Promise<Reply> {
  return ask("/api/v1/queue/actions", { method: "POST", headers: { ...JSON_TYPE, ...headers }, body: JSON.stringify(body) });
}

/** Nothing in the queue is changed by it. */
const HARMLESS = { action: "release", filter: { domain: "nowhere.example" } };
const READS = [
  "/api/v1/status",
  "/api/v1/queue",
  "/api/v1/queue/M1",
  "/api/v1/queue/statistics",
  "/api/v1/destinations",
  "/api/v1/messages/M1/history",
];

/** What each caller gets, without a token configured and with one: for reading, and for acting. */
const CALLERS: readonly {
  name: string;
  headers: Record<string, string>;
  none: [read: number, act: number];
  token: [number, number];
}[] = [
  { name: "no token", headers: {}, none: [200, 403], token: [401, 401] },
  { name: "the token", headers: { authorization: `Bearer ${TOKEN}` }, none: [200, 403], token: [200, 200] },
  { name: "another token", headers: { authorization: `Bearer ${WRONG}` }, none: [200, 403], token: [401, 401] },
  {
    name: "a prefix of the token",
    headers: { authorization: `Bearer ${TOKEN.slice(0, -1)}` },
    none: [200, 403],
    token: [401, 401],
  },
  { name: "an empty token", headers: { authorization: "Bearer " }, none: [200, 403], token: [401, 401] },
  { name: "another scheme", headers: { authorization: `Basic ${TOKEN}` }, none: [200, 403], token: [401, 401] },
  {
    name: "another site's page",
    headers: { authorization: `Bearer ${TOKEN}`, origin: "https://evil.example" },
    none: [403, 403],
    token: [403, 403],
  },
  {
    name: "a sandboxed page",
    headers: { authorization: `Bearer ${TOKEN}`, origin: "null" },
    none: [403, 403],
    token: [403, 403],
  },
  {
    name: "another site, by Sec-Fetch-Site",
    headers: { authorization: `Bearer ${TOKEN}`, "sec-fetch-site": "cross-site" },
    none: [403, 403],
    token: [403, 403],
  },
  {
    name: "the same site, another host",
    headers: { authorization: `Bearer ${TOKEN}`, "sec-fetch-site": "same-site" },
    none: [403, 403],
    token: [403, 403],
  },
  {
    name: "our own page",
    headers: {
      authorization: `Bearer ${TOKEN}`,
      host: "relay.example:9025",
      origin: "https://relay.example:9025",
      "sec-fetch-site": "same-origin",
    },
    none: [200, 403],
    token: [200, 200],
  },
  { name: "a rebound name", headers: { host: "evil.example" }, none: [421, 403], token: [401, 401] },
  { name: "a rebound name and a port", headers: { host: "evil.example:9025" }, none: [421, 403], token: [401, 401] },
  { name: "a name that begins like ours", headers: { host: "relay.example.evil.example" }, none: [421, 403], token: [401, 401] },
  { name: "localhost", headers: { host: "LOCALHOST:80" }, none: [200, 403], token: [401, 401] },
  { name: "an IPv6 address", headers: { host: "[::1]:9025" }, none: [200, 403], token: [401, 401] },
  { name: "a proxy", headers: { "x-forwarded-for": "192.0.2.1" }, none: [401, 403], token: [401, 401] },
  {
    name: "a proxy, with the token",
    headers: { authorization: `Bearer ${TOKEN}`, forwarded: "for=192.0.2.1" },
    none: [401, 403],
    token: [200, 200],
  },
];

for (const caller of CALLERS) {
  test(`access: ${caller.name}`, async () => {
    for (const configured of ["none", "token"] as const) {
      token = configured === "none" ? { kind: "none" } : { kind: "configured", matches: (presented) => presented === TOKEN };
      const [read, action] = caller[configured];
      for (const path of READS) {
        const { status, body, headers } = await ask(path, { headers: caller.headers });
        // Nothing was tried for M1 yet.
        const expected = read === 200 && path.endsWith("history") ? 404 : read;
        assert.equal(status, expected, `${configured} ${path} ${JSON.stringify(body)}`);
        assert.equal(headers["www-authenticate"], status === 401 ? "Bearer" : undefined);
        if (status >= 400) assert.ok(typeof body.error === "string" && typeof body.message === "string");
      }
      const before = audits.length;
      const acted = await act(HARMLESS, caller.headers);
      assert.equal(acted.status, action, `${configured} ${JSON.stringify(acted.body)}`);
      assert.equal(audits.length - before, action === 200 ? 1 : 0);
    }
  });
}

const LIMITED: readonly { name: string; path: string; status: number; message: RegExp }[] = [
  { name: "an unknown parameter", path: "/api/v1/queue?domian=a.example", status: 400, message: /no parameter "domian"/ },
  {
    name: "a parameter twice",
    path: "/api/v1/queue?domain=a.example&domain=b.example",
    status: 400,
    message: /domain is given twice/,
  },
  { name: "a state that is none", path: "/api/v1/queue?state=lost", status: 400, message: /state is one of incoming, active/ },
  { name: "no page", path: "/api/v1/queue?limit=0", status: 400, message: /limit is a whole number/ },
  { name: "a page too large", path: "/api/v1/queue?limit=1001", status: 400, message: /from 1 to 1000/ },
  { name: "a page of words", path: "/api/v1/queue?limit=", status: 400, message: /limit/ },
  { name: "no position", path: "/api/v1/queue?after=x", status: 400, message: /after is what an earlier page gave/ },
  { name: "an age of words", path: "/api/v1/queue?olderThanSeconds=2h", status: 400, message: /number of seconds/ },
  { name: "no domain", path: "/api/v1/queue?domain=a%20b", status: 400, message: /domain is a domain name/ },
  { name: "a statistic that is none", path: "/api/v1/queue/statistics?by=size", status: 400, message: /by is one of/ },
  { name: "a message that is not there", path: "/api/v1/queue/M9", status: 404, message: /no message M9/ },
  { name: "a path that is none", path: "/api/v1/queue/M1/x", status: 404, message: /there is no/ },
  { name: "an id that is none", path: "/api/v1/queue/..%2f", status: 404, message: /there is no/ },
];

for (const { name, path, status, message } of LIMITED) {
  test(`reading: ${name}`, async () => {
    token = { kind: "none" };
    const reply = await ask(path);
    assert.equal(reply.status, status);
    assert.match(String(reply.body.message), message);
  });
}

const WITH_TOKEN = { authorization: `Bearer ${TOKEN}` };

test("actions: only POST, only JSON, only what is meant", async () => {
  token = { kind: "configured", matches: (presented) => presented === TOKEN };
  const path = "/api/v1/queue/actions";
  assert.equal((await ask(path, { headers: WITH_TOKEN })).status, 405);
  const form = { ...WITH_TOKEN, "content-type": "application/x-www-form-urlencoded" };
  assert.equal((await ask(path, { method: "POST", headers: form, body: "action=delete" })).status, 415);
  const plain = { ...WITH_TOKEN, "content-type": "text/plain" };
  assert.equal((await ask(path, { method: "POST", headers: plain, body: JSON.stringify(HARMLESS) })).status, 415);
  const bad = await ask(path, { method: "POST", headers: { ...WITH_TOKEN, ...JSON_TYPE }, body: "{" });
  assert.equal(bad.body.error, "bad-request");
  for (const [body, error] of [
    [{ action: "delete" }, "filter-required"],
    [{ action: "delete", filter: {} }, "filter-required"],
    [{ action: "delete", all: "yes" }, "bad-request"],
    [{ action: "drop", all: true }, "bad-request"],
    [{ action: "delete", filter: { dom: "x" } }, "bad-request"],
    [{ action: "delete", ids: "M1" }, "bad-request"],
    [{ action: "delete", ids: ["../x"] }, "bad-request"],
    [{ action: "delete", filter: { domain: 1 } }, "bad-request"],
    [{ action: "delete", filter: [], all: true }, "bad-request"],
    [["delete"], "bad-request"],
  ] as const) {
    assert.equal((await act(body, WITH_TOKEN)).body.error, error, JSON.stringify(body));
  }
  // Of no Date: the audit log could not say it, and what it cannot say is not done.
  for (const acceptedBefore of [9_000_000_000_000_000, -9_000_000_000_000_000, 8_640_000_000_000_001, 1.5]) {
    const before = audits.length;
    const never = await act({ action: "hold", filter: { acceptedBefore } }, WITH_TOKEN);
    assert.deepEqual([never.status, never.body.error, audits.length - before], [400, "bad-request", 0]);
  }
  const large = await ask(path, { method: "POST", headers: { ...WITH_TOKEN, ...JSON_TYPE }, body: "x".repeat(1_100_000) });
  assert.deepEqual([large.status, large.headers.connection], [413, "close"]);
  assert.equal((await store.counts()).incoming, 3);
});

test("a reader's method: GET and HEAD", async () => {
  token = { kind: "none" };
  const posted = await ask("/api/v1/queue", { method: "DELETE" });
  assert.deepEqual([posted.status, posted.headers.allow], [405, "GET, HEAD"]);
});

test("list in pages, show, statistics, status, destinations", async () => {
  token = { kind: "none" };
  const first = await ask("/api/v1/queue?domain=A.example.&limit=1");
  assert.deepEqual([(first.body.entries as { id: string }[]).map(({ id }) => id), typeof first.body.next], [["M1"], "string"]);
  const second = await ask(`/api/v1/queue?domain=a.example&limit=1&after=${encodeURIComponent(String(first.body.next))}`);
  assert.deepEqual([(second.body.entries as { id: string }[]).map(({ id }) => id), second.body.next], [["M2"], undefined]);
  const old = await ask(`/api/v1/queue?olderThanSeconds=${(NOW - T0) / 1000 - 1}`);
  assert.deepEqual(
    (old.body.entries as { id: string }[]).map(({ id }) => id),
    ["M1"],
  );
  const shown = await ask("/api/v1/queue/M1");
  assert.equal((shown.body.envelope as { sender: string }).sender, "s@sender.example");
  assert.equal(shown.headers["cache-control"], "no-store");
  const counted = await ask("/api/v1/queue/statistics?by=reason&limit=1");
  assert.deepEqual(counted.body, {
    by: "reason",
    statistics: [{ key: "not tried yet", messages: 3, recipients: 3, oldestAcceptedAt: T0 }],
  });
  for (const [id, outcome] of [
    ["M7", "delivered"],
    ["M1", "deferred"],
    ["M8", "delivered"],
    ["M1", "failed"],
  ] as const) {
    const reason = outcome === "delivered" ? {} : { reason: "no" };
    ring.add({ ...TRACE, at: NOW, id, recipient: "u@a.example", attempt: 1, outcome, status: "2.0.0", ...reason });
  }
  const status = await ask("/api/v1/status");
  assert.deepEqual(
    [status.body.version, status.body.uptimeSeconds, (status.body.dnssec as { state: string }).state],
    ["1.2.3", 5, "validating"],
  );
  assert.deepEqual(
    (status.body.deliveries as { id: string }[]).map(({ id }) => id),
    ["M8"],
  );
  assert.deepEqual(
    (status.body.failing as { destination: string }[]).map(({ destination }) => destination),
    ["a.example"],
  );
  const destinations = await ask("/api/v1/destinations");
  const rows = destinations.body.destinations as { destination: string; messages: number; recent: unknown; reason?: string }[];
  assert.deepEqual(
    rows.map(({ destination, messages, recent, reason }) => [destination, messages, recent, reason]),
    [
      ["a.example", 2, { delivered: 1, deferred: 1, failed: 1 }, "no"],
      ["b.example", 1, { delivered: 0, deferred: 0, failed: 0 }, undefined],
    ],
  );
  const history = await ask("/api/v1/messages/M1/history");
  assert.deepEqual(
    (history.body.history as { outcome: string }[]).map(({ outcome }) => outcome),
    ["deferred", "failed"],
  );
});

test("an action is done, and who did it is told", async () => {
  token = { kind: "configured", matches: (presented) => presented === TOKEN };
  audits.length = 0;
  const held = await act({ action: "hold", filter: { domain: "a.example" } }, WITH_TOKEN);
  assert.deepEqual([held.status, held.body], [200, { changed: 2, unchanged: 0, busy: 0, unknown: [] }]);
  const local = await controlClient(directory);
  assert.ok(local !== undefined);
  assert.deepEqual(await local.act("release", { ids: ["M1", "M9"] }), { changed: 1, unchanged: 0, busy: 0, unknown: ["M9"] });
  const found = await local.list({ state: "held", acceptedBefore: NOW }, { limit: 10 });
  assert.deepEqual(
    found.entries.map(({ id }) => id),
    ["M2"],
  );
  assert.equal(await local.show("M9"), undefined);
  assert.deepEqual(await local.act("release", {}), { changed: 1, unchanged: 2, busy: 0, unknown: [] });
  assert.deepEqual(
    audits.map(({ actor, action, filter }) => [actor, action, filter]),
    [
      [{ who: "token", client: "127.0.0.1" }, "hold", { domain: "a.example" }],
      [{ who: "local" }, "release", { ids: ["M1", "M9"] }],
      [{ who: "local" }, "release", {}],
    ],
  );
});

test("a path too long for a socket; nobody at the socket", async () => {
  const long = join(directory, "x".repeat(120));
  assert.equal(await controlClient(long), undefined);
  const other = await openSqliteStore({ directory: long, reserveBytes: 0 });
  assert.equal(await controlClient(long), undefined);
  const api = new Api({
    queueAdmin: other.queueAdmin,
    access: () => ({ token: { kind: "none" }, hostnames: new Set() }),
    state: () => Promise.reject(new Error("not asked")),
    ring,
    now: () => NOW,
    monotonic: () => 0,
    onAudit: () => undefined,
  });
  // What a relay that was killed left behind is replaced.
  writeFileSync(join(long, "control.sock"), "");
  const socket = await openControlSocket(api, long);
  const client = await controlClient(long);
  assert.deepEqual(await client?.list({}, { limit: 1 }), { entries: [] });
  await socket.close();
  assert.equal(await controlClient(long), undefined);
  await other.close();
});

test("wrong tokens are slowed down by address, told of, and forgotten after a right one", async () => {
  let now = 0;
  const told: string[] = [];
  const placeOf = (address: string): string => address.replace(/[.]\d+$/, "");
  const guesses = new TokenGuesses({ monotonic: () => now, placeOf, onWrong: (address) => told.push(address) });
  token = { kind: "configured", matches: (presented) => presented === TOKEN, guesses };
  const wrong = { authorization: `Bearer ${WRONG}` };
  const status = async (headers: Record<string, string>): Promise<number> => (await ask("/api/v1/queue", { headers })).status;
  // A right one between them: no slower than before.
  for (let n = 0; n < 4; n += 1) assert.equal(await status(wrong), 401);
  assert.equal(await status(WITH_TOKEN), 200);
  for (let n = 0; n < 5; n += 1) assert.equal(await status(wrong), 401);
  const slowed = await ask("/api/v1/queue", { headers: WITH_TOKEN });
  assert.deepEqual([slowed.status, slowed.body.error, slowed.headers["retry-after"]], [429, "too-many-guesses", "1"]);
  assert.equal((await act(HARMLESS, WITH_TOKEN)).status, 429);
  assert.equal(told.length, 9);
  assert.equal(guesses.waitSeconds("192.0.2.1"), 0);
  now += 1000;
  assert.equal(await status(wrong), 401);
  assert.equal(guesses.waitSeconds("127.0.0.7"), 2);
  for (let n = 0; n < 20; n += 1) {
    now += 60_000;
    assert.equal(await status(wrong), 401);
  }
  assert.equal(guesses.waitSeconds("127.0.0.1"), 60);
  now += 60_000;
  assert.equal(await status(WITH_TOKEN), 200);
  assert.equal(guesses.waitSeconds("127.0.0.1"), 0);
  // Without any, nothing was guessed.
  for (let n = 0; n < 10; n += 1) assert.equal(await status({}), 401);
  assert.equal(guesses.waitSeconds("127.0.0.1"), 0);
});

test("the token's file is read again", () => {
  const file = join(directory, "token");
  writeFileSync(file, `${TOKEN}\n`, { mode: 0o600 });
  let now = 0;
  const changes: string[] = [];
  const watched = new AdminToken({ file, monotonic: () => now, onChange: ({ kind }) => changes.push(kind) }, TOKEN);
  assert.ok(watched.matches(TOKEN) && !watched.matches(WRONG));
  writeFileSync(file, "short");
  now += 10_000;
  assert.ok(watched.matches(TOKEN));
  now += 10_000;
  assert.ok(!watched.matches("short"));
  writeFileSync(file, WRONG);
  now += 10_000;
  assert.ok(watched.matches(WRONG) && !watched.matches(TOKEN));
  // One that others may read is not taken over, and what was read last stays.
  writeFileSync(file, TOKEN);
  chmodSync(file, 0o644);
  now += 10_000;
  assert.ok(watched.matches(WRONG) && !watched.matches(TOKEN));
  assert.deepEqual(changes, ["unusable", "renewed", "unusable"]);
});

for (const [mode, usable] of [
  [0o600, "yes"],
  [0o400, "yes"],
  [0o640, "yes"],
  [0o440, "yes"],
  [0o644, "no"],
  [0o604, "no"],
  [0o660, "no"],
  [0o602, "no"],
] as const) {
  test(`a token's file of mode ${mode.toString(8)}: ${usable === "yes" ? "taken" : "refused"}`, () => {
    const file = join(directory, `token-${mode}`);
    writeFileSync(file, TOKEN);
    chmodSync(file, mode);
    const reading = readToken(file);
    assert.equal(reading.kind, usable === "yes" ? "token" : "unusable");
    if (reading.kind === "unusable") assert.match(reading.reason, new RegExp(`mode 0${mode.toString(8)}: .*chmod 0640`));
  });
}
