import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { SmtpClient } from "../fake/smtpClient.ts";
import { type Peer, startPeer } from "../fake/smtpPeer.ts";
import { contentOf, tokenOf } from "./killLoad.ts";
import { MortalRelay } from "./mortalRelay.ts";

/**
 * Clients that stand still at each point of the dialogue, and receivers that read nothing: whoever else submits is served and delivered
 * meanwhile. Counted, not timed: the slow ones are still there when the last message of the others has arrived.
 */
const RELAY = { address: "127.113.5.1", port: 2525 };
const RECEIVER = "127.113.5.2";
const SILENT = "127.113.5.3";
const SLOW_EACH = 20;
const MESSAGES = 60;
const TO_SILENT = 100;

function stuffed(token: string): string {
  return contentOf(token).replaceAll("\r\n.", "\r\n..");
}

/** Clients that have come so far, and go no further. */
const SLOW: Readonly<Record<string, (client: SmtpClient) => Promise<unknown>>> = {
  "after EHLO": () => Promise.resolve(),
  "after MAIL": (client) => client.command("MAIL FROM:<slow@sender.example>"),
  "in the middle of a command": async (client) => client.write("MAIL FR"),
  "after DATA": (client) => client.begin(),
  "in the middle of a small message": async (client) => {
    await client.begin();
    client.write(stuffed("slow-1").slice(0, 1000));
  },
  "in the middle of a large message": async (client) => {
    await client.begin();
    client.write(stuffed("slow-0").slice(0, 135_000));
  },
};

async function withWorld(run: (relay: MortalRelay, good: Peer, silent: Peer) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-slow-"));
  const good = await startPeer({ address: RECEIVER });
  const silent = await startPeer({ address: SILENT, greeting: { afterwards: "hang" } });
  const routes = [
    { domain: "silent.example", nextHop: `[${SILENT}]:${silent.port}` },
    { domain: "*", nextHop: `[${RECEIVER}]:${good.port}` },
  ];
  const relay = new MortalRelay({ directory, listen: RELAY, next: good, delivery: { routes } });
  try {
    assert.equal(await relay.ready(), "ready", relay.log());
    await run(relay, good, silent);
  } finally {
    await relay.kill();
    await good.close();
    await silent.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

test("slow clients and silent receivers keep nobody else's mail", { timeout: 300_000 }, async () => {
  await withWorld(async (relay, good, silent) => {
    const slow: SmtpClient[] = [];
    for (const stand of Object.values(SLOW)) {
      for (let i = 0; i < SLOW_EACH; i += 1) {
        const client = await SmtpClient.open(relay.address);
        await stand(client);
        slow.push(client);
      }
    }
    const client = await SmtpClient.open(relay.address);
    for (let i = 0; i < TO_SILENT; i += 1) {
      assert.match(await client.send(stuffed(`silent-${i}`), "a@sender.example", "u@silent.example"), /^250 /);
    }
    const tokens = Array.from({ length: MESSAGES }, (_, i) => `quick-${i}`);
    for (const token of tokens) assert.match(await client.send(stuffed(token)), /^250 /);
    await good.received(MESSAGES);
    assert.deepEqual(good.messages.map(({ content }) => tokenOf(content)).toSorted(), tokens.toSorted());
    // Nobody had to go for that.
    assert.equal(slow.filter(({ ended }) => ended).length, 0);
    assert.ok(silent.sessions.some(({ ended }) => !ended));
    assert.equal(silent.messages.length, 0);
    for (const one of slow) one.destroy();
  });
});
