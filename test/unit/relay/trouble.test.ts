import assert from "node:assert/strict";
import { test } from "node:test";
import type { LogEvent } from "../../../src/log.ts";
import { reportTrouble } from "../../../src/relay/parts.ts";
import { StoreError } from "../../../src/spool/store.ts";

const rows: readonly [unknown, LogEvent][] = [
  [new StoreError("full", "no room"), { event: "queue", state: "unwritable", reason: "no room" }],
  [new Error("a bug"), { event: "queue", state: "trouble", reason: "delivery: a bug" }],
  ["words", { event: "queue", state: "trouble", reason: "delivery: words" }],
];

for (const [error, expected] of rows) {
  test(`${String(error)} is logged as ${JSON.stringify(expected)}`, () => {
    const events: LogEvent[] = [];
    const log = {
      event: (event: LogEvent) => void events.push(event),
      reconfigure: () => undefined,
      flush: () => Promise.resolve(),
    };
    reportTrouble({ log }, "delivery", error);
    assert.deepEqual(events, [expected]);
  });
}
