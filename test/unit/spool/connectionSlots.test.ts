import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectionSlots } from "../../../src/spool/connectionSlots.ts";

test("turns are taken in order of arrival, as many at a time as there are slots", async () => {
  const slots = new ConnectionSlots(2, 60_000);
  const entered: number[] = [];
  const turns = [0, 1, 2, 3].map((who) => slots.enter().then(() => entered.push(who)));
  await Promise.all(turns.slice(0, 2));
  await new Promise(setImmediate);
  assert.deepEqual(entered, [0, 1]);
  slots.leave();
  await turns[2];
  assert.deepEqual(entered, [0, 1, 2]);
  slots.leave();
  await turns[3];
  for (let left = 0; left < 2; left += 1) slots.leave();
  await Promise.all([slots.enter(), slots.enter()]);
});

test("who waits too long is told, and takes nobody's turn", async () => {
  const slots = new ConnectionSlots(1, 20);
  await slots.enter();
  await assert.rejects(slots.enter(), /in use for 0.02 s/);
  slots.leave();
  await slots.enter();
});
