import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeliveryEngine } from "../../../src/delivery/engine.ts";
import type { LogEvent } from "../../../src/log.ts";
import { stopDelivery } from "../../../src/relay/delivery.ts";
import type { QueueCounts } from "../../../src/spool/store.ts";

const EMPTY: QueueCounts = { incoming: 0, active: 0, deferred: 0, held: 0 };

async function told(drain: "transactions" | "queue", counts: QueueCounts): Promise<readonly LogEvent[]> {
  const events: LogEvent[] = [];
  const log = {
    event: (event: LogEvent) => void events.push(event),
    reconfigure: () => undefined,
    flush: () => Promise.resolve(),
  };
  const engine = { stop: () => Promise.resolve(drain) } as unknown as DeliveryEngine;
  await stopDelivery(engine, { counts: () => Promise.resolve(counts) }, { log });
  return events;
}

test("after a drain of the queue the log says what stays", async () => {
  const [event, ...more] = await told("queue", { ...EMPTY, deferred: 3, held: 1 });
  assert.deepEqual(more, []);
  assert.ok(event?.event === "queue");
  assert.deepEqual([event.state, event.incoming, event.deferred, event.held], ["left-behind", 0, 3, 1]);
  assert.match(event.reason ?? "", /^4 messages stay in the spool/);
});

test("nothing stays: nothing is said", async () => assert.deepEqual(await told("queue", EMPTY), []));

test("without a drain the queue stays as it is meant to", async () =>
  assert.deepEqual(await told("transactions", { ...EMPTY, incoming: 5 }), []));
