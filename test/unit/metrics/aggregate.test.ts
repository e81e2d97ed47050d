import assert from "node:assert/strict";
import { test } from "node:test";
import { aggregated, queuedMessages, type WorkerMetrics } from "../../../src/metrics/aggregate.ts";
import { createInstruments } from "../../../src/metrics/instruments.ts";

type Worker = { accepted: number; queue: number; age: number; validating: "validating" | "not-validating"; wait: number };

async function metricsOf({ accepted, queue, age, validating, wait }: Worker): Promise<WorkerMetrics> {
  const instruments = createInstruments();
  for (let n = 0; n < accepted; n += 1) instruments.messageAccepted();
  instruments.dnssecValidating(validating);
  instruments.queueWait(wait);
  instruments.observe({
    queue: { incoming: queue, active: 1, deferred: 0, held: 0 },
    oldestMessageAgeSeconds: age,
    connections: { inbound: 2, outbound: 3 },
    policyExceptions: 1,
    dnssecCache: { hits: 5, misses: 7 },
    unreadableFiles: [],
  });
  return await instruments.registry.getMetricsAsJSON();
}

test("counts are summed, and what is one thing for all is told once", async () => {
  const workers = await Promise.all([
    metricsOf({ accepted: 3, queue: 4, age: 10, validating: "validating", wait: 0.05 }),
    metricsOf({ accepted: 5, queue: 0, age: 30, validating: "not-validating", wait: 5 }),
  ]);
  const text = await aggregated(workers);
  for (const line of [
    "dane_relay_messages_accepted_total 8",
    'dane_relay_queue_messages{state="incoming"} 4',
    'dane_relay_queue_messages{state="active"} 2',
    "dane_relay_queue_oldest_message_age_seconds 30",
    "dane_relay_dnssec_validating 0",
    'dane_relay_connections_open{direction="outbound"} 6',
    "dane_relay_policy_exceptions_active 1",
    "dane_relay_dnssec_cache_hits_total 10",
    'dane_relay_queue_wait_seconds_bucket{le="0.1"} 1',
    "dane_relay_queue_wait_seconds_count 2",
  ])
    assert.ok(text.split("\n").includes(line), `${line}\n${text}`);
});

test("the queue of one worker, and one that could not be asked", async () => {
  const metrics = await metricsOf({ accepted: 0, queue: 4, age: 0, validating: "validating", wait: 1 });
  assert.equal(queuedMessages(metrics), 5);
  const instruments = createInstruments();
  instruments.observe("unknown");
  assert.equal(queuedMessages(await instruments.registry.getMetricsAsJSON()), undefined);
  assert.equal(queuedMessages([]), undefined);
});
