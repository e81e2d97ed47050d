import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openSqliteStore } from "../../src/spool/sqliteStore.ts";
import { SmtpClient } from "../fake/smtpClient.ts";
import { takeAll, withoutTrace } from "../fake/submissionServer.ts";
import { SubmissionChild } from "./submissionChild.ts";

/**
 * design.md §5: kill -9 at any instant loses no acknowledged message. Ten rounds on one spool: a thousand submissions are begun over 20
 * connections, and in the middle of them the process dies; the next one goes on with the same spool.
 */
const HOST = "127.16.3.1";
const ROUNDS = 10;
const SUBMISSIONS = 1000;
const SESSIONS = 20;
const LARGE_EVERY = 10;
const LARGE_OCTETS = 200_000;

type Round = { acknowledged: string[]; unanswered: string[] };

/** The content that belongs to a token: a small or a large one, different in every line. */
function contentOf(token: string): string {
  const [, number = "0"] = token.split("-");
  const octets = Number(number) % LARGE_EVERY === 0 ? LARGE_OCTETS : 4000;
  const head = `Subject: ${token}\r\nDate: x\r\nMessage-ID: <${token}>\r\n\r\n`;
  const line = `${token} ${"x".repeat(60)}\r\n`;
  return head + line.repeat(Math.ceil(octets / line.length));
}

async function submit(address: string, tokens: Iterator<string>, round: Round, onAcknowledged: () => void): Promise<void> {
  const client = await SmtpClient.open(address);
  for (let next = tokens.next(); next.done !== true; next = tokens.next()) {
    const token = next.value;
    if (!(await client.begin()).startsWith("354")) return;
    client.write(`${contentOf(token)}.\r\n`);
    const reply = await client.reply();
    if (reply.startsWith("250 ")) {
      round.acknowledged.push(token);
      onAcknowledged();
    } else {
      assert.equal(reply, "", `${token}: ${reply}`);
      round.unanswered.push(token);
      return;
    }
  }
}

async function killedRound(directory: string, number: number): Promise<Round> {
  const child = await SubmissionChild.start(directory, HOST);
  assert.equal(child.refusal, undefined);
  const killAfter = 100 + 85 * number;
  const round: Round = { acknowledged: [], unanswered: [] };
  const tokens = Array.from({ length: SUBMISSIONS }, (_, i) => `r${number}-${i}`).values();
  let killed: Promise<void> | undefined;
  const acknowledged = (): void => {
    if (round.acknowledged.length === killAfter) killed = child.kill();
  };
  await Promise.all(Array.from({ length: SESSIONS }, () => submit(child.address, tokens, round, acknowledged)));
  assert.ok(killed !== undefined, "the process was killed in the middle");
  await killed;
  return round;
}

test("kill -9 in the middle of 1,000 submissions, ten times over, loses no acknowledged message", async () => {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-kill-"));
  try {
    const rounds: Round[] = [];
    for (let number = 0; number < ROUNDS; number += 1) rounds.push(await killedRound(directory, number));
    const acknowledged = rounds.flatMap((round) => round.acknowledged);
    const unanswered = new Set(rounds.flatMap((round) => round.unanswered));
    // Each kill hit messages between their final dot and their 250.
    for (const round of rounds) assert.ok(round.unanswered.length > 0);

    const store = await openSqliteStore({ directory, reserveBytes: 0 });
    try {
      const stored = new Map<string, number>();
      let large = 0;
      for (const { content } of await takeAll(store)) {
        const token = /^Subject: (.*)$/m.exec(content.toString("latin1"))?.[1]?.trimEnd() ?? "none";
        assert.equal(withoutTrace(content), contentOf(token), token);
        stored.set(token, (stored.get(token) ?? 0) + 1);
        if (content.length > LARGE_OCTETS) large += 1;
      }
      for (const token of acknowledged) assert.equal(stored.get(token), 1, `${token} was acknowledged`);
      for (const [token, times] of stored) {
        assert.equal(times, 1, token);
        assert.ok(unanswered.has(token) || acknowledged.includes(token), token);
      }
      assert.ok(large > 0);
      // What was written for messages that were never committed is swept.
      assert.equal(readdirSync(join(directory, "bodies")).length, large);
      console.log(`${acknowledged.length} acknowledged, ${stored.size} stored, ${unanswered.size} without an answer`);
    } finally {
      await store.close();
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
