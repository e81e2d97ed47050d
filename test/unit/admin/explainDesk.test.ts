import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { type DeskAnswer, ExplainDesk } from "../../../src/admin/explainDesk.ts";
import type { TargetError } from "../../../src/delivery/explain.ts";

let unfinished: readonly { end: (reason: string) => void }[] = [];
/** What still waits would keep the process from its end. */
afterEach(() => {
  for (const { end } of unfinished) end("the test is over");
});

/** A desk whose explanations end when the test says so, on a clock that it moves. */
function desk(patienceMilliseconds = 60_000) {
  const waiting: { target: string; end: (reason: string) => void; fail: (error: Error) => void }[] = [];
  unfinished = waiting;
  const clock = { now: 0 };
  const explain = (target: string) =>
    new Promise<TargetError>((resolve, reject) => {
      waiting.push({ target, end: (reason) => resolve({ kind: "error", reason }), fail: reject });
    });
  return { waiting, clock, desk: new ExplainDesk({ explain, monotonic: () => clock.now, patienceMilliseconds }) };
}

async function settled(answer: Promise<DeskAnswer>): Promise<DeskAnswer> {
  const answered = await answer;
  await new Promise((resolve) => setImmediate(resolve));
  return answered;
}

test("two at a time; the same target twice is one", async () => {
  const { desk: at, waiting } = desk();
  const first = at.ask("a.example");
  const again = at.ask(" A.example ");
  const second = at.ask("b.example");
  assert.deepEqual(await at.ask("c.example"), { kind: "busy", because: "2 explanations are being made already" });
  assert.deepEqual(
    waiting.map(({ target }) => target),
    ["a.example", "b.example"],
  );
  for (const { end, target } of waiting) end(target);
  assert.deepEqual(await settled(first), { kind: "error", reason: "a.example" });
  assert.deepEqual(await settled(again), await first);
  assert.deepEqual(await settled(second), { kind: "error", reason: "b.example" });
  void at.ask("c.example");
  assert.equal(waiting.length, 3, "there is room again");
});

test("ten in a minute, however fast they are", async () => {
  const { desk: at, waiting, clock } = desk();
  for (let n = 0; n < 10; n += 1) {
    const answer = at.ask(`d${n}.example`);
    waiting.at(-1)?.end("done");
    await settled(answer);
  }
  assert.equal((await at.ask("late.example")).kind, "busy");
  assert.deepEqual(await at.ask("d9.example"), { kind: "error", reason: "done" }, "what is known costs nothing");
  clock.now += 60_001;
  void at.ask("late.example");
  assert.equal(waiting.at(-1)?.target, "late.example");
});

test("one that is slow goes on, and is there when it is asked for again; then it is asked for anew", async () => {
  const { desk: at, waiting, clock } = desk(1);
  assert.deepEqual(await at.ask("slow.example"), { kind: "slow" });
  waiting[0]?.end("at last");
  await new Promise((resolve) => setImmediate(resolve));
  clock.now += 100_000;
  assert.deepEqual(await at.ask("slow.example"), { kind: "error", reason: "at last" });
  assert.equal(waiting.length, 1);
  clock.now += 100_000;
  assert.equal((await at.ask("slow.example")).kind, "slow");
  assert.equal(waiting.length, 2);
});

test("an error of ours is told, and frees its place; nonsense is not asked", async () => {
  const { desk: at, waiting } = desk();
  const answer = at.ask("a.example");
  waiting[0]?.fail(new Error("a bug"));
  assert.deepEqual(await settled(answer), { kind: "failed", reason: "a bug" });
  assert.equal((await at.ask("x".repeat(400))).kind, "error");
  assert.equal(waiting.length, 1);
  void at.ask("b.example");
  void at.ask("c.example");
  assert.equal(waiting.length, 3);
});
