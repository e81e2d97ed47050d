import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { type Check, checksWithin, healthReport } from "../../../src/admin/health.ts";
import { type Admin, createAdmin } from "../../../src/admin/server.ts";

const ADDRESS = "127.18.1.1";
const OK: Check = { name: "spool", status: "ok", text: "writable" };
const DEGRADED: Check = { name: "dnssec", status: "degraded", text: "the upstream strips signatures:\n use another one" };
const FAILED: Check = { name: "spool", status: "failed", text: "the disk is full: free some space" };

let admin: Admin;
let checks: () => Promise<readonly Check[]> = () => Promise.resolve([OK]);
let metrics: () => Promise<string> = () => Promise.resolve("m 1\n");

before(async () => {
  admin = await createAdmin({ listen: { address: ADDRESS, port: 0 }, metrics: () => metrics(), checks: () => checks() });
});
after(() => admin.close());

function get(target: string, method = "GET"): Promise<Response> {
  return fetch(`http://${ADDRESS}:${admin.listening.port}${target}`, { method });
}

const REPORTS: readonly { name: string; checks: readonly Check[]; lenient: number; strict: number; body: string }[] = [
  { name: "all well", checks: [OK], lenient: 200, strict: 200, body: "ready\nok       spool: writable\n" },
  {
    name: "degraded",
    checks: [OK, DEGRADED],
    lenient: 200,
    strict: 503,
    body: "ready, but degraded\nok       spool: writable\ndegraded dnssec: the upstream strips signatures: use another one\n",
  },
  {
    name: "failed",
    checks: [FAILED, DEGRADED],
    lenient: 503,
    strict: 503,
    body: "not ready\nfailed   spool: the disk is full: free some space\ndegraded dnssec: the upstream strips signatures: use another one\n",
  },
  { name: "nothing checked", checks: [], lenient: 503, strict: 503, body: "not ready\n" },
];

for (const report of REPORTS) {
  test(`readyz: ${report.name}`, async () => {
    assert.deepEqual(healthReport(report.checks, "lenient"), { status: report.lenient, body: report.body });
    assert.equal(healthReport(report.checks, "strict").status, report.strict);
    checks = () => Promise.resolve(report.checks);
    const lenient = await get("/readyz");
    assert.equal(lenient.status, report.lenient);
    assert.equal(await lenient.text(), report.body);
    for (const target of ["/readyz?strict", "/readyz?a=b&strict=1"])
      assert.equal((await get(target)).status, report.strict, target);
  });
}

test("readyz: a check that throws or hangs has failed", async () => {
  checks = () => Promise.reject(new Error("worker gone"));
  const response = await get("/readyz");
  assert.equal(response.status, 503);
  assert.equal(await response.text(), "not ready\nfailed   checks: worker gone\n");
  const late = await checksWithin(5, () => new Promise(() => undefined));
  assert.equal(late[0]?.status, "failed");
  assert.match(late[0]?.text ?? "", /^no answer within 0\.005 s/);
});

test("metrics and livez: what they say, and that nobody stores it", async () => {
  const exposition = await get("/metrics");
  assert.equal(exposition.status, 200);
  assert.equal(exposition.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(exposition.headers.get("cache-control"), "no-store");
  assert.equal(await exposition.text(), "m 1\n");
  checks = () => Promise.resolve([FAILED]);
  assert.equal(await (await get("/livez")).text(), "alive\n");
  const head = await get("/livez", "HEAD");
  assert.equal(head.status, 200);
  assert.equal(head.headers.get("content-length"), "6");
});

test("metrics: a failure is said, not an empty success", async () => {
  metrics = () => Promise.reject(new Error("no registry"));
  const response = await get("/metrics");
  assert.equal(response.status, 500);
  assert.equal(await response.text(), "no registry\n");
});

test("anything else: 404 and 405", async () => {
  for (const target of ["/", "/metrics/", "/METRICS", "/readyz/x", "/livez%00", "//metrics"])
    assert.equal((await get(target)).status, 404, target);
  const post = await get("/livez", "POST");
  assert.equal(post.status, 405);
  assert.equal(post.headers.get("allow"), "GET, HEAD");
});

/** What comes back for raw octets, until the server closes. */
function raw(octets: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(admin.listening.port, ADDRESS, () => socket.write(octets));
    let received = "";
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      received += text;
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(received));
  });
}

test("bounds: a header too large is refused, a body ends the connection", async () => {
  assert.match(await raw(`GET /livez HTTP/1.1\r\nhost: x\r\na: ${"b".repeat(9000)}\r\n\r\n`), /^HTTP\/1\.1 431 /);
  assert.match(
    await raw("POST /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\nabc"),
    /^HTTP\/1\.1 405 [\s\S]*connection: close/i,
  );
});

/** Where a proxy and this server could differ in where a request ends, or whom it is for. */
const AMBIGUOUS: readonly [what: string, request: string, answer: RegExp][] = [
  ["two lengths", "POST /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nGET /", /^HTTP\/1\.1 400 /],
  [
    "chunks and a length",
    "POST /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    /^HTTP\/1\.1 400 /,
  ],
  [
    "another encoding behind chunks",
    "POST /livez HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, x\r\n\r\n0\r\n\r\n",
    /^HTTP\/1\.1 400 /,
  ],
  ["a blank before the colon", "GET /livez HTTP/1.1\r\nhost : x\r\n\r\n", /^HTTP\/1\.1 400 /],
  ["a folded field", "GET /livez HTTP/1.1\r\nhost: x\r\na: b\r\n c\r\nconnection: close\r\n\r\n", /^HTTP\/1\.1 (?:400|200) /],
  ["no host", "GET /livez HTTP/1.1\r\n\r\n", /^HTTP\/1\.1 400 /],
  ["no HTTP", "EHLO client.example\r\n\r\n", /^HTTP\/1\.1 400 /],
  ["a tunnel", "CONNECT 127.0.0.1:25 HTTP/1.1\r\nhost: x\r\n\r\n", /^$/],
  [
    "somebody else's address",
    "GET http://evil.example/metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    /^HTTP\/1\.1 404 /,
  ],
  ["a path that climbs", "GET /x/../metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", /^HTTP\/1\.1 404 /],
];
for (const [what, request, answer] of AMBIGUOUS) {
  test(`a request with ${what} gets ${answer.source}, and one answer at most`, async () => {
    const received = await raw(request);
    assert.match(received, answer);
    assert.ok(received.split("HTTP/1.1 ").length <= 2, received);
  });
}

test("close ends idle connections too; an address in use rejects", async () => {
  const other = await createAdmin({ listen: { address: ADDRESS, port: 0 }, metrics: () => metrics(), checks: () => checks() });
  const again = createAdmin({ listen: other.listening, metrics: () => metrics(), checks: () => checks() });
  await assert.rejects(again, /EADDRINUSE/);
  const response = await fetch(`http://${ADDRESS}:${other.listening.port}/livez`);
  assert.equal(await response.text(), "alive\n");
  await other.close();
  await assert.rejects(fetch(`http://${ADDRESS}:${other.listening.port}/livez`));
});

/** What a test of a bound needs: a listener of its own with that bound, and the answer's length where it counts. */
function bounded(bounds: { requestMilliseconds?: number; silenceMilliseconds?: number }, octets = 1): Promise<Admin> {
  const body = "x".repeat(octets);
  const metricsNow = (): Promise<string> => Promise.resolve(body);
  return createAdmin({ listen: { address: ADDRESS, port: 0 }, metrics: metricsNow, checks: () => checks(), ...bounds });
}

/** A client that begins a request and says no more. */
function silent({ listening }: Admin, localAddress: string): Socket {
  const socket = connect({ port: listening.port, host: ADDRESS, localAddress }, () =>
    socket.write("GET /livez HTTP/1.1\r\nhost: x\r\na: "),
  );
  return socket.on("error", () => undefined).resume();
}

test("one client takes its share of the connections, and gets it back; others are answered meanwhile", async () => {
  const other = await bounded({ requestMilliseconds: 60_000 });
  const greedy = Array.from({ length: 100 }, () => silent(other, "127.18.1.9"));
  const closed = new Set<Socket>();
  for (const socket of greedy) socket.once("close", () => closed.add(socket));
  const deadline = performance.now() + 30_000;
  while (closed.size < 60) {
    assert.ok(performance.now() < deadline, `${closed.size} of 100 were closed`);
    await delay(20);
  }
  assert.equal((await fetch(`http://${ADDRESS}:${other.listening.port}/livez`)).status, 200);
  assert.equal(closed.size, 60);
  for (const socket of greedy) socket.destroy();
  // What was closed is free again, as soon as the server has heard of it.
  const again = async (): Promise<string> => {
    const socket = connect({ port: other.listening.port, host: ADDRESS, localAddress: "127.18.1.9" });
    socket.on("error", () => undefined).setEncoding("latin1");
    socket.write("GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let received = "";
    socket.on("data", (text: string) => {
      received += text;
    });
    await new Promise((resolve) => socket.once("close", resolve));
    return received;
  };
  while (!(await again()).startsWith("HTTP/1.1 200 ")) assert.ok(performance.now() < deadline, "the share never came back");
  await other.close();
});

test("clients that never end their requests take nobody's place for longer than a request may take", async () => {
  const other = await bounded({ requestMilliseconds: 1000 });
  // Of several clients: one has its share only.
  const sockets = Array.from({ length: 100 }, (_, n) => silent(other, `127.18.1.${10 + (n % 4)}`));
  // Node's own interval would be 30 s.
  await Promise.all(sockets.map((socket) => once(socket, "close", { signal: AbortSignal.timeout(25_000) })));
  const response = await fetch(`http://${ADDRESS}:${other.listening.port}/livez`);
  assert.equal(response.status, 200);
  await other.close();
});

test("a client that does not read its answer loses it", async () => {
  const octets = 64 * 1024 * 1024;
  const other = await bounded({ silenceMilliseconds: 300 }, octets);
  const socket = connect(other.listening.port, ADDRESS, () => socket.write("GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"));
  socket.on("error", () => undefined);
  const closed = once(socket, "close", { signal: AbortSignal.timeout(60_000) });
  await once(socket, "readable");
  // The server's timer is one of this process too, and due long before.
  await delay(3000);
  let received = 0;
  socket.on("data", (chunk: Buffer) => {
    received += chunk.length;
  });
  socket.resume();
  await closed;
  assert.ok(received < octets, `${received}`);
  await other.close();
});
