import assert from "node:assert/strict";
import { createHash, randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { SmtpClient } from "../fake/smtpClient.ts";
import { type Peer, startPeer } from "../fake/smtpPeer.ts";
import { withoutTrace } from "../fake/submissionServer.ts";
import { RelayChild, type RelayPlan } from "./relayChild.ts";

/**
 * design.md §5 on the whole relay: ten times a thousand submissions are begun while the messages before them are being delivered, and the
 * process is killed at an instant drawn from a seed; then it starts again on the same spool. In the end every message that got its 250 has
 * arrived, unchanged, and again at most once for each kill.
 *
 * The receiver takes its time over each final dot, so that a kill finds messages between that dot and the record of its reply.
 */
const RELAY = { address: "127.20.3.1", port: 2525 };
const RECEIVER = "127.20.3.2";
const ROUNDS = 10;
const SUBMISSIONS = 1000;
const SESSIONS = 20;
const LARGE_EVERY = 40;
const LARGE_OCTETS = 100_000;
const RECEIVER_MILLISECONDS = 15;
/** Every third kill comes after all submissions, into what is still being delivered. */
const AFTER_SUBMISSIONS_EVERY = 3;
const LONGEST_DELAY_MILLISECONDS = 200;
const DRAIN_MILLISECONDS = 60_000;
const POLL_MILLISECONDS = 20;

const SEED = process.env.RELAY_KILL_SEED ?? String(randomInt(2 ** 31));

/** An integer below `limit` that follows from the seed and the name of what is drawn. */
function draw(name: string, limit: number): number {
  return createHash("sha256").update(`${SEED} ${name}`).digest().readUInt32BE() % limit;
}

/** The content that belongs to a token: different in every line, some lines with dots to stuff, some messages large. */
function contentOf(token: string): string {
  const [, number = "0"] = token.split("-");
  const octets = Number(number) % LARGE_EVERY === 0 ? LARGE_OCTETS : 2000;
  const line = `.${token} ${"x".repeat(60)}\r\n..\r\n\r\n`;
  return `Subject: ${token}\r\nDate: x\r\nMessage-ID: <${token}>\r\n\r\n${line.repeat(Math.ceil(octets / line.length))}`;
}

function stuffed(content: string): string {
  return content.replaceAll("\r\n.", "\r\n..");
}

type Tally = { acknowledged: Set<string>; unanswered: Set<string> };

async function submit(address: string, tokens: Iterator<string>, tally: Tally, onAcknowledged: () => void): Promise<void> {
  const client = await SmtpClient.open(address);
  for (let next = tokens.next(); next.done !== true; next = tokens.next()) {
    const token = next.value;
    if (!(await client.begin()).startsWith("354")) return;
    client.write(`${stuffed(contentOf(token))}.\r\n`);
    const reply = await client.reply();
    if (!reply.startsWith("250 ")) {
      assert.equal(reply, "", `${token}: ${reply}`);
      tally.unanswered.add(token);
      return;
    }
    tally.acknowledged.add(token);
    onAcknowledged();
  }
  client.destroy();
}

/** One life of the relay: a thousand submissions, and its death in the middle of them, or a while after them. */
async function killedRound(plan: RelayPlan, round: number, tally: Tally): Promise<void> {
  const relay = await RelayChild.start(plan);
  const afterwards = round % AFTER_SUBMISSIONS_EVERY === AFTER_SUBMISSIONS_EVERY - 1;
  const killAfter = afterwards ? SUBMISSIONS : 1 + draw(`round ${round}`, SUBMISSIONS - SESSIONS);
  const tokens = Array.from({ length: SUBMISSIONS }, (_, i) => `r${round}-${i}`).values();
  const killing = Promise.withResolvers<void>();
  let acknowledged = 0;
  const onAcknowledged = (): void => {
    acknowledged += 1;
    if (acknowledged !== killAfter) return;
    delay(afterwards ? draw(`delay ${round}`, LONGEST_DELAY_MILLISECONDS) : 0)
      .then(() => relay.kill())
      .then(killing.resolve, killing.reject);
  };
  await Promise.all(Array.from({ length: SESSIONS }, () => submit(relay.address, tokens, tally, onAcknowledged)));
  await killing.promise;
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + DRAIN_MILLISECONDS;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `${what}: not within ${DRAIN_MILLISECONDS} ms`);
    await delay(POLL_MILLISECONDS);
  }
}

function tokenOf(content: Buffer): string {
  return /^Subject: (.*)\r$/m.exec(content.toString("latin1"))?.[1] ?? "none";
}

/** How often each message came in each life of the relay; whatever came whole is checked octet by octet. */
class Arrivals {
  readonly lives = new Map<string, number[]>();
  #seen = 0;

  /** Takes what the receiver has said 250 to since the last time; called between two lives, when no connection of the one before is open. */
  take(peer: Peer, life: number): void {
    for (const { content } of peer.messages.slice(this.#seen)) {
      const token = tokenOf(content);
      this.lives.set(token, [...(this.lives.get(token) ?? []), life]);
    }
    this.#seen = peer.messages.length;
  }
}

function checkArrivals({ lives }: Arrivals, { acknowledged, unanswered }: Tally): { repeated: number } {
  const lost = [...acknowledged].filter((token) => !lives.has(token));
  assert.deepEqual(lost, [], "acknowledged and lost");
  let repeated = 0;
  for (const [token, when] of lives) {
    assert.ok(acknowledged.has(token) || unanswered.has(token), `${token} was never submitted in full`);
    assert.equal(new Set(when).size, when.length, `${token} came twice in one life of the relay: ${when.join(", ")}`);
    repeated += when.length - 1;
  }
  return { repeated };
}

test(`kill -9 of the relay, ten times (RELAY_KILL_SEED=${SEED})`, async (context) => {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-relay-kill-"));
  const peer = await startPeer({
    address: RECEIVER,
    replies: { CONTENT: { reply: "250 2.0.0 queued", delayMs: RECEIVER_MILLISECONDS } },
  });
  try {
    const plan = { directory, listen: RELAY, next: peer };
    const tally: Tally = { acknowledged: new Set(), unanswered: new Set() };
    const arrivals = new Arrivals();
    let waiting = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      await killedRound(plan, round, tally);
      await until("the receiver's connections end", () => peer.sessions.every(({ ended }) => ended));
      arrivals.take(peer, round);
      waiting += [...tally.acknowledged].filter((token) => !arrivals.lives.has(token)).length;
    }
    const relay = await RelayChild.start(plan);
    await until("the queue is empty", async () => (await relay.queued()) === 0);
    await relay.stop();
    arrivals.take(peer, ROUNDS);

    const { repeated } = checkArrivals(arrivals, tally);
    // Whatever came with its final dot, acknowledged or not, came whole.
    for (const content of peer.sessions.flatMap(({ contents }) => contents)) {
      assert.equal(withoutTrace(content), contentOf(tokenOf(content)));
    }
    // The kills landed where they were to: between DATA and 250, on queued messages, between the final dot and the record of its reply.
    assert.ok(tally.unanswered.size > 0 && waiting > 0 && repeated > 0, `${tally.unanswered.size} ${waiting} ${repeated}`);
    context.diagnostic(
      `${tally.acknowledged.size} acknowledged, ${tally.unanswered.size} killed before their 250, ${waiting} waiting at kills, ${repeated} repeated`,
    );
  } finally {
    await peer.close();
    rmSync(directory, { recursive: true, force: true });
  }
});
