import assert from "node:assert/strict";
import { type IncomingHttpHeaders, request } from "node:http";
import { after, before, beforeEach, test } from "node:test";
import type { Access } from "../../../src/admin/access.ts";
import { Api, type AuditRecord } from "../../../src/admin/api.ts";
import { DeliveryRing } from "../../../src/admin/deliveryRing.ts";
import type { Check } from "../../../src/admin/health.ts";
import { OutcomeSeries } from "../../../src/admin/outcomeSeries.ts";
import { OperatorPage } from "../../../src/admin/page.ts";
import type { RelayFacts } from "../../../src/admin/relayVerdict.ts";
import { type Admin, createAdmin } from "../../../src/admin/server.ts";
import type { QueueAdmin, QueueEntry } from "../../../src/spool/queueAdmin.ts";
import { StoreError } from "../../../src/spool/store.ts";

/** The operator's page over TCP: who may do what, what is escaped, and what it says when there is nothing to say. */
const ADDRESS = "127.122.1.1";
const TOKEN = "the-token-of-this-test-0123456789";
const NOW = 1_700_000_100_000;
const HOSTILE = `"><script>alert(1)</script>'<img src=x onerror=alert(1)>\r\nX-Evil: 1\u202e`;
const CONFIGURED: Access["token"] = { kind: "configured", matches: (presented) => presented === TOKEN };

let token: Access["token"] = CONFIGURED;
let entries: QueueEntry[] = [];
let store: "works" | "broken" = "works";
let checks: Check[] = [];
let validation: RelayFacts["validation"];
let acted: string[] = [];
let audits: AuditRecord[] = [];
let ring = new DeliveryRing();
let history: RelayFacts["hostsAtRisk"] | undefined;
let admin: Admin;
let logIns: string[] = [];

function entry(id: string, more: Partial<QueueEntry> = {}): QueueEntry {
  const recipients = [{ address: "user@a.example", attempts: 1, status: "4.7.5", reason: "no TLSA record matches" }];
  const base = {
    id,
    sender: "s@b.example",
    destination: "a.example",
    state: "deferred",
    acceptedAt: NOW - 60_000,
    size: 9,
  } as const;
  return { ...base, nextAttemptAt: NOW + 60_000, recipients, ...more };
}

function asked<T>(value: () => T): Promise<T> {
  return store === "works" ? Promise.resolve(value()) : Promise.reject(new StoreError("io", `the disk ${HOSTILE} is away`));
}

const queueAdmin: QueueAdmin = {
  list: (filter, { limit, after }) =>
    asked(() => {
      const matching = entries.filter(({ destination }) => filter.domain === undefined || filter.domain === destination);
      const from = after === undefined ? 0 : matching.findIndex(({ id }) => id === after.id) + 1;
      const page = matching.slice(from, from + limit);
      const last = page.at(-1);
      return { entries: page, ...(last === undefined || from + limit >= matching.length ? {} : { next: last }) };
    }),
  show: (id) =>
    asked(() => {
      const found = entries.find((one) => one.id === id);
      if (found === undefined) return undefined;
      const flags = { smtpUtf8: false, eightBitMime: false, requireTls: true, tlsRequiredNo: false };
      const attempt = { recipient: HOSTILE, number: 1, at: NOW, outcome: "deferred", reason: HOSTILE, host: HOSTILE } as const;
      const envelope = { id, sender: found.sender, acceptedAt: NOW, size: 9, envelopeId: HOSTILE, ...flags };
      return { envelope, entries: [found], attempts: [attempt] };
    }),
  statistics: () =>
    asked(() =>
      entries.map(({ destination }) => ({
        key: destination,
        messages: 1,
        recipients: 1,
        oldestAcceptedAt: NOW,
        reason: HOSTILE,
      })),
    ),
  act: (action, filter) =>
    asked(() => {
      acted.push(`${action} ${JSON.stringify(filter)}`);
      return { changed: 1, unchanged: 0, busy: 0, unknown: [] };
    }),
};

before(async () => {
  const facts = (): RelayFacts => ({
    version: "1.2.3",
    hostname: "relay.example",
    startedAt: NOW - 5000,
    now: NOW,
    validation,
    exceptions: [{ domain: HOSTILE, level: "may", reason: HOSTILE, expiresAt: NOW + 1000 }],
    connections: { inbound: 1, outbound: 2 },
    ...(history === undefined ? {} : { hostsAtRisk: history }),
  });
  const access = (): Access => ({ token, hostnames: new Set(["relay.example"]) });
  const counts = () => asked(() => ({ incoming: 0, active: 0, deferred: entries.length, held: 0 }));
  const state = async () => ({ ...facts(), checks, counts: await counts() });
  const monotonic = () => performance.now();
  const onAudit = (record: AuditRecord): number => audits.push(record);
  // A ring and a time of its own for each test; counts that are kept would be of another one.
  const api = new Api({ queueAdmin, access, ring, now: () => NOW, monotonic, state, onAudit });
  const page = new OperatorPage({
    api: { destinations: () => freshDestinations(), perform: (...action) => api.perform(...action) },
    ...{ queueAdmin, access, facts, counts, monotonic },
    checks: () => Promise.resolve(checks),
    ring: { ofMessage: (id: string) => ring.ofMessage(id) } as DeliveryRing,
    series: new OutcomeSeries(),
    onLogIn: (client) => void logIns.push(client),
    explain: (target) => Promise.resolve({ kind: "error", reason: `${target} is no domain` }),
  });
  const freshDestinations = () => new Api({ queueAdmin, access, ring, now: () => NOW, monotonic, state, onAudit }).destinations();
  const nothing = () => Promise.resolve([]);
  admin = await createAdmin({
    listen: { address: ADDRESS, port: 0 },
    api,
    page,
    metrics: () => Promise.resolve(""),
    checks: nothing,
  });
});
after(() => admin.close());
beforeEach(() => {
  token = CONFIGURED;
  entries = [];
  store = "works";
  checks = [{ name: "spool", status: "ok", text: "mail can be kept" }];
  validation = { kind: "validating", mode: "forward", source: "asking upstreams", reason: "a good signature holds" };
  acted = [];
  audits = [];
  logIns = [];
  ring = new DeliveryRing();
  history = [{ host: HOSTILE, explanation: HOSTILE }];
});

test("hosts that will break at their next renewal are named; none, and no history, are said to be that", async () => {
  token = { kind: "none" };
  history = [
    { host: "mx.example.org", explanation: "its certificate ends in 5 days, and the record names this very certificate" },
  ];
  assert.match((await ask("/")).body, /<h2 id="renewals">.*mx\.example\.org.*names this very certificate/s);
  history = [];
  assert.match((await ask("/")).body, /None of those that mail went to in the last week/);
  history = undefined;
  assert.match((await ask("/")).body, /No history of hosts is kept/);
});

type Answer = { status: number; body: string; headers: IncomingHttpHeaders };
type Ask = { method?: string; headers?: Record<string, string>; form?: Record<string, string> | URLSearchParams };

function ask(path: string, { method, headers = {}, form }: Ask = {}): Promise<Answer> {
  const type = form === undefined ? {} : { "content-type": "application/x-www-form-urlencoded" };
  const verb = method ?? (form === undefined ? "GET" : "POST");
  return new Promise((resolve, reject) => {
    const { port } = admin.listening;
    const asking = request(
      { host: ADDRESS, port, path, method: verb, headers: { ...type, ...headers }, agent: false },
      (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          body += chunk;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }));
      },
    );
    asking.on("error", reject);
    asking.end(form === undefined ? undefined : new URLSearchParams(form).toString());
  });
}

type Session = { cookie: string; csrf: string };

async function logIn(): Promise<Session> {
  const { status, headers } = await ask("/login", { form: { token: TOKEN, back: "/queue" } });
  assert.deepEqual([status, headers.location], [303, "/queue"]);
  assert.equal(logIns.pop(), "127.0.0.1", "the log hears of it");
  const [set = ""] = headers["set-cookie"] ?? [];
  assert.match(set, /^dane-relay-session-\d+=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/);
  const cookie = set.split(";")[0] ?? "";
  const { body } = await ask("/", { headers: { cookie } });
  return { cookie, csrf: /name="csrf" value="([^"]+)"/.exec(body)?.[1] ?? "" };
}

const PAGES = ["/", "/queue", "/queue/M1", "/queue?domain=a.example", "/explain", "/explain?domain=x.example"];

const READERS: readonly { who: string; headers: Record<string, string>; none: number; configured: number }[] = [
  { who: "somebody on this machine", headers: {}, none: 200, configured: 401 },
  { who: "a forged session", headers: { cookie: "dane-relay-session=AAAA" }, none: 200, configured: 401 },
  { who: "an empty session", headers: { cookie: "dane-relay-session=" }, none: 200, configured: 401 },
  { who: "the token as a header", headers: { authorization: `Bearer ${TOKEN}` }, none: 200, configured: 200 },
  { who: "another token as a header", headers: { authorization: "Bearer nothing-like-it" }, none: 200, configured: 401 },
  { who: "another site's page", headers: { "sec-fetch-site": "cross-site" }, none: 403, configured: 403 },
  {
    who: "another site, with the token",
    headers: { authorization: `Bearer ${TOKEN}`, origin: "https://evil.example" },
    none: 403,
    configured: 403,
  },
  { who: "a rebound name", headers: { host: "evil.example" }, none: 421, configured: 401 },
  { who: "through a proxy", headers: { "x-forwarded-for": "192.0.2.1" }, none: 401, configured: 401 },
];
for (const { who, headers, none, configured } of READERS) {
  test(`reading: ${who}`, async () => {
    entries = [entry("M1")];
    for (const path of PAGES) {
      token = { kind: "none" };
      assert.equal((await ask(path, { headers })).status, none, path);
      token = CONFIGURED;
      const { status, body } = await ask(path, { headers });
      assert.equal(status, configured, path);
      if (status !== 200) assert.doesNotMatch(body, /a\.example<|user@/, "nothing of the queue");
      if (status === 401) assert.match(body, /<input id="token" name="token" type="password"/);
    }
  });
}

test("every answer has the headers that keep a page to itself", async () => {
  const { cookie } = await logIn();
  for (const [path, headers] of [
    ["/", {}],
    ["/", { cookie }],
    ["/queue/%3Cx%3E", { cookie }],
    ["/login", {}],
    ["/favicon.svg", {}],
  ] as const) {
    const answer = await ask(path, { headers });
    const policy = String(answer.headers["content-security-policy"]);
    assert.match(
      policy,
      /^default-src 'none'; style-src 'sha256-[\w+/]{43}='; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'$/,
    );
    assert.equal(answer.headers["cache-control"], "no-store");
    assert.equal(answer.headers["x-content-type-options"], "nosniff");
    assert.equal(answer.headers["referrer-policy"], "same-origin");
    assert.doesNotMatch(answer.body, /<script|style="|javascript:/);
  }
});

const FORGED: readonly {
  what: string;
  change: (session: Session) => { headers?: Record<string, string>; form?: Record<string, string> };
  status: number;
}[] = [
  { what: "nothing forged", change: () => ({}), status: 303 },
  { what: "no session", change: () => ({ headers: { cookie: "" } }), status: 401 },
  { what: "no CSRF token", change: () => ({ form: { csrf: "" } }), status: 403 },
  { what: "another CSRF token", change: ({ csrf }) => ({ form: { csrf: `${csrf.slice(1)}A` } }), status: 403 },
  { what: "another site's form", change: () => ({ headers: { origin: "https://evil.example" } }), status: 403 },
  { what: "a sandboxed form", change: () => ({ headers: { origin: "null" } }), status: 403 },
  { what: "a page of another port", change: () => ({ headers: { "sec-fetch-site": "same-site" } }), status: 403 },
  { what: "no form", change: () => ({ headers: { "content-type": "application/json" } }), status: 415 },
  { what: "text as a form", change: () => ({ headers: { "content-type": "text/plain" } }), status: 415 },
];
for (const { what, change, status } of FORGED) {
  test(`acting: ${what}`, async () => {
    entries = [entry("M1")];
    const session = await logIn();
    const { headers, form } = change(session);
    const answer = await ask("/queue/act", {
      headers: { cookie: session.cookie, ...headers },
      form: { csrf: session.csrf, action: "hold", id: "M1", back: "/queue", ...form },
    });
    assert.equal(answer.status, status);
    assert.deepEqual(acted, status === 303 ? [`hold {"ids":["M1"]}`] : []);
    assert.equal(audits.length, acted.length);
    if (status === 303) assert.deepEqual(audits[0]?.actor, { who: "session", client: "127.0.0.1" });
  });
}

test("a session ends with its token, and at the log-out", async () => {
  const first = await logIn();
  token = { kind: "configured", matches: (presented) => presented === "another-token-from-now-on" };
  assert.equal((await ask("/queue", { headers: { cookie: first.cookie } })).status, 401);
  token = CONFIGURED;
  assert.equal((await ask("/queue", { headers: { cookie: first.cookie } })).status, 401, "what has ended does not come back");
  const second = await logIn();
  const out = await ask("/logout", { headers: { cookie: second.cookie }, form: { csrf: second.csrf } });
  assert.deepEqual([out.status, out.headers.location], [303, "/"]);
  assert.equal((await ask("/queue", { headers: { cookie: second.cookie } })).status, 401);
});

test("log-ins at several relays of one host, by port-forwards, do not end one another", async () => {
  const { cookie } = await logIn();
  const other = await ask("/login", { headers: { host: "127.0.0.1:9026" }, form: { token: TOKEN } });
  const [set = ""] = other.headers["set-cookie"] ?? [];
  assert.match(set, /^dane-relay-session-9026=/);
  // As a browser sends them: all that it has of the host.
  const both = `${set.split(";")[0]}; ${cookie}`;
  assert.equal((await ask("/queue", { headers: { cookie: both } })).status, 200);
  assert.equal((await ask("/queue", { headers: { cookie: both, host: "127.0.0.1:9026" } })).status, 200);
  assert.equal((await ask("/queue", { headers: { cookie, host: "127.0.0.1:9026" } })).status, 401);
});

test("without a token nobody logs in, and the page says how to change that", async () => {
  token = { kind: "none" };
  assert.equal((await ask("/login", { form: { token: TOKEN } })).status, 403);
  assert.match((await ask("/")).body, /read only, since no token is configured[\s\S]*admin\.tokenFile/);
  assert.match((await ask("/explain?domain=a.example")).body, /needs the token/);
});

test("a deletion, and what is for more than chosen messages, is asked about first", async () => {
  entries = [entry("M1")];
  const { cookie, csrf } = await logIn();
  const post = (form: Record<string, string>) => ask("/queue/act", { headers: { cookie }, form: { csrf, ...form } });
  const questions = [
    { action: "delete", id: "M1" },
    { action: "retry", scope: "all" },
    { action: "hold", scope: "filter", domain: "a.example" },
  ];
  for (const form of questions) {
    const { status, body } = await post(form);
    assert.equal(status, 200);
    assert.match(body, /name="confirmed" value="yes"/);
    assert.deepEqual(acted, []);
  }
  for (const form of questions) assert.equal((await post({ ...form, confirmed: "yes" })).status, 303);
  assert.deepEqual(acted, [`delete {"ids":["M1"]}`, "retry {}", `hold {"domain":"a.example"}`]);
  const told = await ask("/queue", { headers: { cookie } });
  assert.match(told.body, /role="status"><p>1 entry held\./);
  assert.doesNotMatch((await ask("/queue", { headers: { cookie } })).body, /role="status"/, "said once");
});

test("a log-in leads only to a page of ours", async () => {
  const { headers } = await ask("/login", { form: { token: TOKEN, back: "//evil.example/" } });
  assert.equal(headers.location, "/");
});

/** As they come from the network; what a page shows of them is text. */
test("nothing that comes from outside is markup", async () => {
  const recipients = [{ address: HOSTILE, attempts: 1, status: HOSTILE, reason: HOSTILE }];
  entries = [entry("M1", { destination: HOSTILE, sender: HOSTILE, recipients })];
  checks = [{ name: "spool", status: "degraded", text: HOSTILE }];
  validation = { kind: "notValidating", mode: "none", source: HOSTILE, reason: HOSTILE };
  const dnssec = { mx: "secure", address: "secure", tlsa: "secure" } as const;
  const record = {
    id: "M1",
    recipient: HOSTILE,
    domain: HOSTILE,
    attempt: 1,
    tls: "dane",
    dane: "mismatch",
    dnssec,
    status: "4.7.5",
    seconds: 1,
  } as const;
  ring.add({ ...record, at: NOW, outcome: "deferred", tlsa: HOSTILE, protocol: HOSTILE, reply: HOSTILE, reason: HOSTILE });
  const { cookie, csrf } = await logIn();
  const hostile = encodeURIComponent(HOSTILE);
  const answers = [
    await ask("/", { headers: { cookie } }),
    await ask("/queue", { headers: { cookie } }),
    await ask("/queue/M1", { headers: { cookie } }),
    ...(await Promise.all(
      ["domain", "sender", "reason", "state", "olderThanSeconds", "after", "limit", hostile].map((name) =>
        ask(`/queue?${name}=${hostile}`, { headers: { cookie } }),
      ),
    )),
    await ask(`/explain?domain=${hostile}`, { headers: { cookie } }),
    await ask(`/queue/${hostile}`, { headers: { cookie } }),
    await ask(`/queue?reason=${hostile}`),
    await ask("/login", { form: { token: HOSTILE, back: HOSTILE } }),
    await ask("/queue/act", {
      headers: { cookie },
      form: { csrf, action: "delete", scope: "filter", reason: HOSTILE, back: HOSTILE },
    }),
    await ask("/", { headers: { cookie, origin: `https://${encodeURIComponent("<script>")}"><script>` } }),
  ];
  store = "broken";
  answers.push(...(await Promise.all(["/", "/queue", "/queue/M1"].map((path) => ask(path, { headers: { cookie } })))));
  for (const { body, headers } of answers) {
    assert.doesNotMatch(body, /<script|<img|\u202e|[\r\n]X-Evil/);
    assert.equal(headers["x-evil"], undefined);
  }
});

test("with the store away every page says what it could not ask, and the relay is in trouble", async () => {
  const { cookie, csrf } = await logIn();
  store = "broken";
  checks = [{ name: "spool", status: "failed", text: "mail cannot be kept" }];
  const overview = await ask("/", { headers: { cookie } });
  assert.equal(overview.status, 200);
  assert.match(overview.body, /The relay is in trouble[\s\S]*the queue cannot be asked: the disk/);
  assert.match((await ask("/queue", { headers: { cookie } })).body, /The queue could not be asked: the disk/);
  assert.match((await ask("/queue/M1", { headers: { cookie } })).body, /The queue could not be asked: the disk/);
  await ask("/queue/act", { headers: { cookie }, form: { csrf, action: "retry", id: "M1", back: "/queue" } });
  assert.match((await ask("/queue", { headers: { cookie } })).body, /It failed, perhaps half way: the disk/);
  assert.equal(audits.at(-1)?.outcome, "failed");
});

test("an empty queue, and one that fits no page", async () => {
  const { cookie } = await logIn();
  const headers = { cookie };
  assert.match((await ask("/", { headers })).body, /The relay is fine[\s\S]*Nothing waits\.[\s\S]*No delivery was attempted/);
  assert.match((await ask("/queue", { headers })).body, /The queue is empty\./);
  assert.match((await ask("/queue?domain=a.example", { headers })).body, /Nothing in the queue matches\./);
  const long = "x".repeat(500);
  const recipients = Array.from({ length: 400 }, () => ({ address: `${long}@a.example`, attempts: 1, reason: long }));
  entries = Array.from({ length: 5000 }, (_, n) => entry(`M${n}`, { destination: `d${n}.example`, recipients }));
  for (const path of ["/", "/queue", "/queue/M0"]) {
    const { body } = await ask(path, { headers });
    assert.ok(body.length < 2_000_000, `${path} has ${body.length} characters`);
  }
  const seen: string[] = [];
  let path: string | undefined = "/queue";
  for (let pages = 0; path !== undefined && pages < 3; pages += 1) {
    const { body }: Answer = await ask(path, { headers });
    seen.push(...[...body.matchAll(/name="id" value="(M\d+)"/g)].map(([, id = ""]) => id));
    path = /rel="next" href="([^"]+)"/.exec(body)?.[1]?.replaceAll("&amp;", "&");
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 150 }, (_, n) => `M${n}`),
  );
});

test("other methods and other pages", async () => {
  const { cookie } = await logIn();
  assert.equal((await ask("/", { method: "PUT" })).status, 405);
  assert.equal((await ask("/queue", { form: { a: "b" } })).status, 405);
  assert.equal((await ask("/queue/a/b", { headers: { cookie } })).status, 404);
  assert.equal((await ask("/queue/M404", { headers: { cookie } })).status, 404);
  const head = await ask("/queue", { method: "HEAD", headers: { cookie } });
  assert.deepEqual([head.status, head.body], [200, ""]);
  const flood = new URLSearchParams({ token: "x".repeat(1_100_000) });
  assert.equal((await ask("/login", { form: flood })).status, 413);
  // What anybody may send is small; an operator's form has a box for each message.
  assert.equal((await ask("/login", { form: { token: "x".repeat(17_000) } })).status, 413);
});
