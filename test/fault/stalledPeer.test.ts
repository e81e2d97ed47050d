import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { makeLeaf } from "../fake/certificates.ts";
import type { PeerScript } from "../fake/smtpPeer.ts";
import { type Rig, startRig } from "./deliveryRig.ts";

/** Receivers that fall silent, or go away, at each point of the dialogue: what waits is bounded, nothing is lost, nobody else waits with it. */
const NETWORK = "127.20.4";
/** A message that does not fit into the buffers of a connection whose other side reads nothing. */
const LARGE = Buffer.from(`Subject: large\r\n\r\n${`${"x".repeat(76)}\r\n`.repeat(200_000)}`);
/** What is given up is given up after this, and no busy machine is so slow; the tests wait side by side. */
const GIVEN_UP = { timeouts: { connectSeconds: 20, commandSeconds: 8 } };
/** Far above it: whoever needs this long waits for ever. */
const TEST_MILLISECONDS = 120_000;

const LEAF = makeLeaf();
const HANG = { afterwards: "hang" } as const;

async function withRig(
  hosts: Parameters<typeof startRig>[1],
  run: (rig: Rig) => Promise<void>,
  settings?: Parameters<typeof startRig>[2],
): Promise<void> {
  const rig = await startRig(NETWORK, hosts, settings);
  try {
    await run(rig);
  } finally {
    await rig.close();
  }
}

const ONE_DOMAIN = (script: Partial<PeerScript>): Parameters<typeof startRig>[1] => [
  { domain: "example.net", host: "mx1.example.net", script },
  { domain: "example.net", host: "mx2.example.net", script: {} },
];

function outcomes(rig: Rig): string[] {
  return rig.events.flatMap((event) => (event.kind === "attempted" ? [event.result.outcome.kind] : []));
}

const STALLS: readonly (readonly [string, Partial<PeerScript>])[] = [
  ["instead of its greeting", { greeting: HANG }],
  ["after EHLO", { replies: { EHLO: HANG } }],
  ["after MAIL", { replies: { MAIL: HANG } }],
  ["after RCPT", { replies: { RCPT: HANG } }],
  ["after DATA", { replies: { DATA: HANG } }],
  ["in the middle of the content, which it reads no further", { contentLimit: { octets: 1000, afterwards: "freeze" } }],
];

describe("one that falls silent, or goes", { concurrency: true }, () => {
  for (const [when, script] of STALLS) {
    test(`silence ${when}: given up in time, the next host gets the message`, { timeout: TEST_MILLISECONDS }, () =>
      withRig(
        ONE_DOMAIN(script),
        async (rig) => {
          await rig.queue(["user@example.net"], script.contentLimit === undefined ? undefined : LARGE);
          await rig.drained();
          assert.equal(rig.peers.get("mx1.example.net")?.messages.length, 0);
          assert.equal(rig.peers.get("mx2.example.net")?.messages.length, 1);
          assert.deepEqual(outcomes(rig), ["delivered"]);
        },
        GIVEN_UP,
      ),
    );
  }

  test("silence after STARTTLS: the same host gets the message in clear text", { timeout: TEST_MILLISECONDS }, () =>
    withRig(
      ONE_DOMAIN({ starttls: { broken: "hang" } }),
      async (rig) => {
        await rig.queue(["user@example.net"]);
        await rig.drained();
        // RFC 7435 §3: nothing was demanded of it.
        assert.deepEqual(
          rig.peers.get("mx1.example.net")?.messages.map(({ inTls }) => inTls),
          [false],
        );
      },
      GIVEN_UP,
    ),
  );

  for (const afterwards of ["reset", "close", "hang"] as const) {
    test(`${afterwards} after the final dot: tried again later, and no other host at once`, {
      timeout: TEST_MILLISECONDS,
    }, () => {
      let times = 0;
      const CONTENT = (): { reply?: string; afterwards?: typeof afterwards } => {
        times += 1;
        return times === 1 ? { afterwards } : { reply: "250 2.0.0 queued" };
      };
      return withRig(
        ONE_DOMAIN({ replies: { CONTENT } }),
        async (rig) => {
          await rig.queue(["user@example.net"]);
          await rig.drained();
          const [first, second] = [rig.peers.get("mx1.example.net"), rig.peers.get("mx2.example.net")];
          // RFC 5321 §4.5.3.2.6: the first may have taken it; a second host at once would make a duplicate likely.
          assert.equal(second?.sessions.length, 0);
          assert.equal(first?.messages.length, 1);
          assert.equal(times, 2);
          assert.deepEqual(outcomes(rig), ["deferred", "delivered"]);
        },
        GIVEN_UP,
      );
    });
  }
});

test("receivers that fall silent keep nobody else's mail", { timeout: TEST_MILLISECONDS }, () =>
  withRig(
    [
      { domain: "silent.example", host: "mx.silent.example", script: { greeting: HANG } },
      { domain: "slow.example", host: "mx.slow.example", script: { replies: { DATA: { reply: "354 go ahead", delayMs: 300 } } } },
      {
        domain: "live.example",
        host: "mx.live.example",
        script: { starttls: { accept: { key: LEAF.keyPem, cert: LEAF.certificatePem } } },
      },
    ],
    async (rig) => {
      const to = (domain: string, count: number): string[] => Array.from({ length: count }, (_, i) => `u${i}@${domain}`);
      const [silent, live] = [rig.peers.get("mx.silent.example"), rig.peers.get("mx.live.example")];
      await rig.queue([...to("silent.example", 100), ...to("slow.example", 100)]);
      await rig.queue(to("live.example", 50));
      await live?.received(50);
      // The silent one's first connections are still waited for: nobody had to wait for their end.
      assert.ok(silent?.sessions.some(({ ended }) => !ended));
      assert.deepEqual(
        outcomes(rig).filter((kind) => kind !== "delivered"),
        [],
      );
    },
    { timeouts: { connectSeconds: 30, commandSeconds: 30 } },
  ),
);

test("a crowd of dead destinations behind one host keeps nobody else's mail, and tries that host a few times only", {
  timeout: TEST_MILLISECONDS,
}, () => {
  const dead = Array.from({ length: 60 }, (_, i) => `dead${i}.example`);
  return withRig(
    [
      { domain: "live.example", host: "mx.live.example", script: {} },
      { domain: "dead.example", host: "mx.dead.example", script: { greeting: { reply: "421 4.3.2 busy", afterwards: "close" } } },
      ...dead.map((domain) => ({ domain, host: "mx.dead.example" })),
    ],
    async (rig) => {
      await rig.queue(["first@live.example"]);
      await rig.peers.get("mx.live.example")?.received(1);
      await rig.queue([...dead, ...dead, ...dead].map((domain) => `user@${domain}`));
      await rig.queue(Array.from({ length: 50 }, (_, i) => `u${i}@live.example`));
      await rig.peers.get("mx.live.example")?.received(51);
      while (outcomes(rig).filter((kind) => kind === "deferred").length < 180) await delay(10);
      // Those that were under way when the host began to rest, and no more: half of the connections at most.
      assert.ok((rig.peers.get("mx.dead.example")?.sessions.length ?? 0) <= 20);
    },
    { maxConnections: 40, retry: { initialSeconds: 600, maximumSeconds: 600, lifetimeHours: 1, delayWarningHours: 1 } },
  );
});
