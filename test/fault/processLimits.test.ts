import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { SmtpClient } from "../fake/smtpClient.ts";
import { type Peer, startPeer } from "../fake/smtpPeer.ts";
import { withoutTrace } from "../fake/submissionServer.ts";
import { contentOf, tokenOf } from "./killLoad.ts";
import { MortalRelay, type RelayPlan } from "./mortalRelay.ts";

/**
 * The relay as a process that runs out of what the system gives it: it says 4yz, loses nothing, does not end, and goes on by itself as soon as
 * there is enough again.
 */
const RELAY = { address: "127.113.4.1", port: 2525 };
const RECEIVER = "127.113.4.2";
const PATIENCE_MILLISECONDS = 180_000;

type World = { relay: MortalRelay; peer: Peer; directory: string };

async function withRelay(plan: Partial<RelayPlan>, run: (world: World) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-limits-"));
  const peer = await startPeer({ address: RECEIVER });
  const relay = new MortalRelay({ directory, listen: RELAY, next: peer, ...plan });
  try {
    assert.equal(await relay.ready(), "ready", relay.log());
    await run({ relay, peer, directory });
    assert.equal(await relay.stop(), "0", relay.log());
  } finally {
    await relay.kill();
    await peer.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

function limit(relay: MortalRelay, what: "nofile" | "fsize", value: number | "unlimited"): void {
  execFileSync("prlimit", ["--pid", String(relay.pid), `--${what}=${value}:`]);
}

/** A new descriptor would have this number. */
function nextDescriptor({ pid }: MortalRelay): number {
  const taken = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  let next = 0;
  while (taken.has(next)) next += 1;
  return next;
}

function stuffed(token: string): string {
  return contentOf(token).replaceAll("\r\n.", "\r\n..");
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MILLISECONDS;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `${what}: not within ${PATIENCE_MILLISECONDS} ms`);
    await delay(20);
  }
}

/** Each token arrived, once, as it was sent. */
async function arrived(peer: Peer, tokens: readonly string[]): Promise<void> {
  await until("every message arrives", () => peer.messages.length >= tokens.length);
  for (const { content } of peer.messages) assert.equal(withoutTrace(content), contentOf(tokenOf(content)));
  assert.deepEqual(peer.messages.map(({ content }) => tokenOf(content)).toSorted(), tokens.toSorted());
}

/** Until there is something to write with again; the replies that came before. */
async function submitPersistently(client: SmtpClient, token: string): Promise<string[]> {
  const refusals: string[] = [];
  for (let reply = ""; !reply.startsWith("250 "); ) {
    reply = await client.send(stuffed(token));
    if (reply.startsWith("250 ")) break;
    assert.match(reply, /^4\d\d 4\.3\./);
    refusals.push(reply);
    await delay(50);
  }
  return refusals;
}

// Tokens whose number divides by six are too large for the database: each needs a file.
test("out of file descriptors: 4yz to what needs one, the rest goes on, and all goes on when there are some again", async () => {
  await withRelay({}, async ({ relay, peer }) => {
    const client = await SmtpClient.open(relay.address);
    const tokens = ["fd-1"];
    // A large message needs a descriptor for its body; what the start had open may be closed only now.
    for (let number = 12; ; number += 6) {
      limit(relay, "nofile", nextDescriptor(relay));
      const reply = await client.send(stuffed(`fd-${number}`));
      if (reply.startsWith("451 4.3.0 the mail queue cannot be written")) break;
      assert.match(reply, /^250 /);
      tokens.push(`fd-${number}`);
    }
    // A small one does not: it is taken, though no connection can be opened to deliver it.
    assert.match(await client.send(stuffed("fd-1")), /^250 /);
    // New clients cannot be served; they are turned away, and the process lives.
    const turnedAway = await SmtpClient.connect(relay.address);
    await turnedAway.closed();
    await until("an attempt fails", () => relay.log().includes("EMFILE"));
    limit(relay, "nofile", 1024);
    assert.deepEqual(await submitPersistently(client, "fd-6"), []);
    await arrived(peer, [...tokens, "fd-6"]);
  });
});

test("files may grow no further: 4yz, nothing lost, and on it goes without a restart", async () => {
  await withRelay({}, async ({ relay, peer, directory }) => {
    const client = await SmtpClient.open(relay.address);
    const tokens: string[] = [];
    for (let number = 0; number < 12; number += 1) {
      assert.match(await client.send(stuffed(`size-${number}`)), /^250 /);
      tokens.push(`size-${number}`);
    }
    await arrived(peer, tokens);
    // The kernel refuses every write beyond this, to the database's log as to bodies.
    limit(relay, "fsize", 4096);
    assert.match(await client.send(stuffed("size-13")), /^4\d\d 4\.3\.\d the mail queue (?:cannot be written|is full)/);
    assert.match(await client.send(stuffed("size-18")), /^4\d\d 4\.3\.\d the mail queue (?:cannot be written|is full)/);
    limit(relay, "fsize", "unlimited");
    await submitPersistently(client, "size-19");
    await arrived(peer, [...tokens, "size-19"]);
    assert.deepEqual(readdirSync(join(directory, "spool", "bodies")), []);
  });
});

test("a flood at a memory limit: what was acknowledged arrives, and the process lives", async () => {
  await withRelay({ nodeOptions: ["--max-old-space-size=48"], submission: { maxConnections: 150 } }, async ({ relay, peer }) => {
    const tokens: string[] = [];
    const one = async (index: number): Promise<void> => {
      const client = await SmtpClient.open(relay.address);
      for (let number = 0; number < 6; number += 1) {
        const token = `flood${index}-${number}`;
        const reply = await client.send(stuffed(token));
        assert.match(reply, /^(?:250|4\d\d) /);
        if (reply.startsWith("250 ")) tokens.push(token);
      }
      client.destroy();
    };
    await Promise.all(Array.from({ length: 120 }, (_, index) => one(index)));
    assert.ok(tokens.length > 0);
    await arrived(peer, tokens);
  });
});
