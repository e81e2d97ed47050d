import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { stringify } from "yaml";
import { SmtpClient } from "../fake/smtpClient.ts";
import { type Peer, startPeer } from "../fake/smtpPeer.ts";

/**
 * Worker processes: what one of them that dies has acknowledged is delivered, and so is what fewer workers find in the others' shards; to the
 * operator they are one relay.
 */
const NETWORK = "127.118.4";
const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts");
const ADMIN_PORT = 9025;
/** Far above what anything here takes: whoever needs this long waits for ever. */
const PATIENCE_MILLISECONDS = 120_000;
const LANES = 6;

type Serving = { process: ChildProcess; ended: Promise<string>; log: () => string; address: string; admin: string };

let places = 0;

async function withDirectory(run: (directory: string, address: string) => Promise<void>): Promise<void> {
  places += 2;
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-workers-"));
  try {
    await run(directory, `${NETWORK}.${places}`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function serve(directory: string, address: string, next: string, workers: number): Serving {
  const file = join(directory, "relay.yaml");
  const listen = `${address}:2525`;
  const token = join(directory, "token");
  writeFileSync(token, "the-first-token-of-this-test", { mode: 0o600 });
  const configuration = {
    hostname: "relay.example",
    workers,
    submission: { listen: [listen] },
    admin: { listen: `${address}:${ADMIN_PORT}`, tokenFile: token },
    spool: `file:${join(directory, "spool")}`,
    // No server is there, and no question is asked: routes by address need no DNS.
    resolver: { mode: "forward", upstreams: ["127.0.0.1:9"] },
    mtaSts: { enabled: false },
    delivery: { allowLoopback: true, routes: [{ domain: "*", nextHop: next }], retry: { initialSeconds: 1, maximumSeconds: 2 } },
  };
  writeFileSync(file, stringify(configuration));
  const logFile = join(directory, "log");
  const log = openSync(logFile, "a");
  const child = spawn(process.execPath, [MAIN, "serve", "--config", file], { stdio: ["ignore", log, log] });
  closeSync(log);
  const ended = once(child, "exit").then(([code, signal]) => String(signal ?? code));
  return {
    process: child,
    ended,
    log: () => readFileSync(logFile, "utf8"),
    address: listen,
    admin: `http://${address}:${ADMIN_PORT}`,
  };
}

async function until(condition: () => boolean | Promise<boolean>, what: () => string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MILLISECONDS;
  while (!(await condition())) {
    if (performance.now() > deadline) assert.fail(`not in time: ${what()}`);
    await delay(50);
  }
}

async function get(serving: Serving, path: string): Promise<string> {
  const response = await fetch(`${serving.admin}${path}`).catch(() => undefined);
  return response === undefined ? "" : `${response.status} ${await response.text()}`;
}

async function ready(serving: Serving): Promise<void> {
  let last = "";
  await until(
    async () => {
      last = await get(serving, "/readyz");
      return last.startsWith("200");
    },
    () => `ready: ${last}\n${serving.log()}`,
  );
}

/** Sends one message; yes: it was acknowledged. */
async function send(address: string, subject: string): Promise<"acknowledged" | "not"> {
  try {
    const client = await SmtpClient.open(address);
    try {
      for (const command of ["MAIL FROM:<a@example.org>", "RCPT TO:<b@example.net>", "DATA"]) await client.command(command);
      const reply = await client.command(`Subject: ${subject}\r\n\r\ntext\r\n.`);
      return reply.startsWith("250") ? "acknowledged" : "not";
    } finally {
      client.destroy();
    }
  } catch (error) {
    // Its worker died, or the connection came while it did.
    assert.ok(error instanceof Error);
    return "not";
  }
}

function subjects(peer: Peer): string[] {
  return peer.messages.map(({ content }) => /^Subject: (.*)\r$/m.exec(content.toString())?.[1] ?? "");
}

function workerPids({ process: { pid } }: Serving): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").map(Number);
}

async function queued(serving: Serving): Promise<number | undefined> {
  const gauges = [...(await get(serving, "/metrics")).matchAll(/^dane_relay_queue_messages\{state="\w+"\} (\d+)$/gm)];
  return gauges.length === 0 ? undefined : gauges.reduce((sum, [, value]) => sum + Number(value), 0);
}

async function stopped(serving: Serving): Promise<string> {
  serving.process.kill("SIGTERM");
  return await serving.ended;
}

test("a worker is killed under load: what it acknowledged arrives; the queue of all is one; with fewer workers what is left over arrives", () =>
  withDirectory(async (directory, address) => {
    let verdict = "250 2.1.5 ok";
    const peer = await startPeer({ address: `${NETWORK}.${places + 1}`, replies: { RCPT: () => verdict } });
    const next = `[${peer.address}]:${peer.port}`;
    const left = Array.from({ length: 12 }, (_, n) => `left${n}`);
    try {
      const two = serve(directory, address, next, 2);
      try {
        await ready(two);
        await killedUnderLoad(two, peer);
        verdict = "451 4.3.2 later";
        for (const subject of left) assert.equal(await send(two.address, subject), "acknowledged");
        assert.equal(await queued(two), left.length);
        await oneQueue(two, directory, left.length);
        await onePage(two, peer, left.length);
        await queueCommand(directory, "release", "--all");
        for (const shard of ["shard-1", "shard-2"])
          assert.equal(statSync(join(directory, "spool", shard, "control.sock")).mode & 0o777, 0o600, shard);
        assert.equal(await stopped(two), "0", two.log());
      } finally {
        two.process.kill("SIGKILL");
        await two.ended;
      }
      // Of the parts of a relay that does not serve.
      assert.equal((await queueCommand(directory, "list", "--json")).trim().split("\n").length, left.length);
      verdict = "250 2.1.5 ok";
      const one = serve(directory, address, next, 1);
      try {
        await until(
          () => [1, 2].every((n) => one.log().includes(`"shard":"shard-${n}","state":"emptied"`)),
          () => one.log(),
        );
        const arrived = subjects(peer).filter((subject) => subject.startsWith("left"));
        assert.deepEqual(arrived.toSorted(), left.toSorted());
        await ready(one);
        assert.equal(await send(one.address, "new"), "acknowledged");
        await until(
          () => subjects(peer).includes("new"),
          () => "the new message",
        );
        assert.equal(await stopped(one), "0", one.log());
      } finally {
        one.process.kill("SIGKILL");
        await one.ended;
      }
    } finally {
      await peer.close();
    }
  }));

async function killedUnderLoad(serving: Serving, peer: Peer): Promise<void> {
  const acknowledged = new Set<string>();
  let number = 0;
  let state: "going" | "over" = "going";
  const lane = async (): Promise<void> => {
    while (state === "going") {
      number += 1;
      const subject = `m${number}`;
      if ((await send(serving.address, subject)) === "acknowledged") acknowledged.add(subject);
    }
  };
  const lanes = Array.from({ length: LANES }, lane);
  const more = async (count: number): Promise<void> => {
    const wanted = acknowledged.size + count;
    await until(
      () => acknowledged.size >= wanted,
      () => `${wanted} messages: ${acknowledged.size}`,
    );
  };
  await more(50);
  const [victim = 0, ...others] = workerPids(serving);
  assert.equal(others.length, 1, "two workers");
  process.kill(victim, "SIGKILL");
  await until(
    () => serving.log().includes('"state":"restarted"'),
    () => serving.log(),
  );
  await more(50);
  state = "over";
  await Promise.all(lanes);
  const missing = (): string[] => {
    const arrived = new Set(subjects(peer));
    return [...acknowledged].filter((subject) => !arrived.has(subject));
  };
  await until(
    () => missing().length === 0,
    () => `lost: ${missing().join(" ")}`,
  );
  await until(
    async () => (await queued(serving)) === 0,
    () => "an empty queue",
  );
  const times = new Map<string, number>();
  for (const subject of subjects(peer)) times.set(subject, (times.get(subject) ?? 0) + 1);
  assert.deepEqual(
    [...times].filter(([, count]) => count > 2),
    [],
    "no more than one repetition for one kill",
  );
  const report = await get(serving, "/readyz");
  for (const check of ["shard-1 spool", "shard-1 submission", "shard-2 spool", "shard-2 submission"])
    assert.match(report, new RegExp(`^ok +${check}: `, "m"));
}

/** The API of the supervisor and the command see the parts of all workers as one queue, with the token that a reload brought. */
async function oneQueue(serving: Serving, directory: string, expected: number): Promise<void> {
  const token = join(directory, "token");
  const [first, second] = ["the-first-token-of-this-test", "the-second-token-of-this-test"];
  const authorized = (value: string): { headers: Record<string, string> } => ({ headers: { authorization: `Bearer ${value}` } });
  const json = async (path: string, options: RequestInit): Promise<{ status: number; body: Record<string, unknown> }> => {
    const response = await fetch(`${serving.admin}/api/v1/${path}`, options);
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  assert.equal((await json("status", {})).status, 401);
  assert.equal((await json("status", authorized(first))).status, 200);
  writeFileSync(token, second);
  serving.process.kill("SIGHUP");
  await until(
    () => serving.log().split('"state":"reloaded"').length > 3,
    () => serving.log(),
  );
  assert.equal((await json("status", authorized(first))).status, 401);
  assert.match(serving.log(), /"event":"authentication","result":"failed","client":"127\.[0-9.]+","reason":"not the token/);
  const { body } = await json("status", authorized(second));
  const { incoming, active, deferred } = body.queue as Record<string, number>;
  assert.equal((incoming ?? 0) + (active ?? 0) + (deferred ?? 0), expected);
  assert.ok((body.deliveries as unknown[]).length > 0, "deliveries");
  assert.equal((body.checks as unknown[]).length, 6, "the checks of both");
  const { statistics } = (await json("queue/statistics", authorized(second))).body as { statistics: { messages: number }[] };
  assert.deepEqual(
    statistics.map(({ messages }) => messages),
    [expected],
  );
  const { entries } = (await json("queue", authorized(second))).body as { entries: { id: string }[] };
  assert.equal(entries.length, expected);
  const ids = entries.map(({ id }) => id);
  const held = { method: "POST", body: JSON.stringify({ action: "hold", ids }) };
  const headers = { ...authorized(second).headers, "content-type": "application/json" };
  // What is being tried at that moment is left alone.
  let told: Record<string, unknown> = {};
  await until(
    async () => {
      told = (await json("queue/actions", { ...held, headers })).body;
      return Number(told.changed) + Number(told.unchanged) === expected;
    },
    () => JSON.stringify(told),
  );
  assert.deepEqual([told.busy, told.unknown], [0, []]);
  assert.match(serving.log(), /"event":"audit","who":"token","client":"127\.[0-9.]+","action":"hold"/);
  // By the workers' own sockets.
  assert.match(await queueCommand(directory, "release", "--all"), new RegExp(`^${expected} entries released`));
}

/** The operator's page of the supervisor: what waits in all parts, an action on it, and an explanation that a worker makes. */
async function onePage(serving: Serving, peer: Peer, expected: number): Promise<void> {
  const form = (fields: Record<string, string>, headers = {}): RequestInit => ({
    method: "POST",
    body: new URLSearchParams(fields),
    headers,
    redirect: "manual",
  });
  assert.match(await get(serving, "/queue"), /^401 .*name="token"/s);
  const opened = await fetch(`${serving.admin}/login`, form({ token: "the-second-token-of-this-test", back: "/" }));
  assert.equal(opened.status, 303);
  const headers = { cookie: opened.headers.get("set-cookie")?.split(";")[0] ?? "" };
  const page = async (path: string): Promise<string> => (await fetch(`${serving.admin}${path}`, { headers })).text();
  const overview = await page("/");
  assert.match(overview, /The relay is degraded/, "its resolver is broken");
  assert.match(overview, /shard-1 spool.*shard-2 spool/s);
  assert.match(overview, /example\.net<\/a>/);
  assert.doesNotMatch(overview, /No delivery was attempted/);
  const listed = await page("/queue");
  const ids = [...listed.matchAll(/name="id" value="(\w+)"/g)].map(([, id]) => id);
  assert.equal(ids.length, expected);
  const csrf = /name="csrf" value="([^"]+)"/.exec(listed)?.[1] ?? "";
  const held = await fetch(
    `${serving.admin}/queue/act`,
    form({ csrf, action: "hold", id: ids[0] ?? "", back: "/queue" }, headers),
  );
  assert.equal(held.status, 303);
  assert.match(serving.log(), /"event":"audit","who":"session","client":"127\.[0-9.]+","action":"hold","filter":\{"ids":/);
  assert.match(await page("/queue"), /role="status"><p>1 (?:entry held|left alone)/);
  assert.match(await page(`/queue/${ids[1]}`), /Who still waits.*451 4\.3\.2 later.*How the last attempts were protected/s);
  assert.match(await page("/explain?domain=example.net"), new RegExp(`<h3>${peer.address.replaceAll(".", "\\.")}:${peer.port} `));
  assert.match(await page(`/explain?domain=${encodeURIComponent("[127.0.0.1]:22")}`), /next hops of delivery\.routes only/);
}

async function queueCommand(directory: string, ...words: string[]): Promise<string> {
  const args = [MAIN, "queue", ...words, "--config", join(directory, "relay.yaml")];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  await once(child, "close");
  return out;
}

test("workers that cannot listen end the relay, with the reason in the log", () =>
  withDirectory(async (directory, address) => {
    const holder = createServer().listen({ host: address, port: 2525 });
    await once(holder, "listening");
    const serving = serve(directory, address, "[127.118.4.1]:9", 2);
    try {
      assert.equal(await serving.ended, "1");
      assert.match(serving.log(), /cannot accept mail on 127\.118\.4\.\d+:2525: .*EADDRINUSE/);
      assert.match(
        serving.log(),
        /"because":"failure","reason":"the relay could not start: the worker of .*shard-\d ended at its start/,
      );
    } finally {
      serving.process.kill("SIGKILL");
      await serving.ended;
      holder.close();
    }
  }));
