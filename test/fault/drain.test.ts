import assert from "node:assert/strict";
import { test } from "node:test";
import { startRig } from "./deliveryRig.ts";

/** `delivery.drain` with the real delivery, a real spool and real receivers. */
const NETWORK = "127.112.254";
const TEST_MILLISECONDS = 60_000;
const QUEUED = 200;
const HOSTS: Parameters<typeof startRig>[1] = [
  { domain: "good.example", host: "mx.good.example", script: {} },
  { domain: "busy.example", host: "mx.busy.example", script: { greeting: "421 4.3.2 busy" } },
];

const to = (domain: string, count: number): string[] => Array.from({ length: count }, (_, i) => `user${i}@${domain}`);

test("queue: everything that is due is tried; what cannot be delivered stays", { timeout: TEST_MILLISECONDS }, async () => {
  const retry = { initialSeconds: 3600, maximumSeconds: 3600, lifetimeHours: 24, delayWarningHours: 4 };
  const rig = await startRig(NETWORK, HOSTS, { drain: "queue", drainSeconds: 50, retry });
  try {
    await rig.queue([...to("good.example", QUEUED), ...to("busy.example", 3)]);
    await rig.stop();
    assert.equal(rig.peers.get("mx.good.example")?.messages.length, QUEUED);
    const { incoming, active, deferred } = await rig.store.counts();
    assert.deepEqual([incoming, active, deferred], [0, 0, 3]);
  } finally {
    await rig.close();
  }
});

test("transactions: what has not begun stays as it was", { timeout: TEST_MILLISECONDS }, async () => {
  const rig = await startRig(NETWORK, HOSTS, { drain: "transactions" });
  try {
    const queued = rig.queue(to("good.example", QUEUED));
    await rig.stop();
    await queued;
    const { incoming, active, deferred } = await rig.store.counts();
    const delivered = rig.peers.get("mx.good.example")?.messages.length ?? 0;
    assert.deepEqual([active, deferred, incoming + delivered], [0, 0, QUEUED]);
    assert.ok(delivered < QUEUED, `${delivered} delivered`);
  } finally {
    await rig.close();
  }
});
