import assert from "node:assert/strict";
import { test } from "node:test";
import { HEAD_START_MILLISECONDS, SenderTurns } from "../../../src/spool/senderTurns.ts";

const T0 = Date.UTC(2026, 10, 1);
const HOUR = 3_600_000;

/** Milliseconds that a message is put behind the first place. */
function behind(turns: SenderTurns, sender: string, acceptedAt = T0, address = "user@dest.example"): number {
  return turns.place({ sender, acceptedAt }, { address }) - (acceptedAt - HEAD_START_MILLISECONDS);
}

test("the first message is a day before its time; those after it a minute and a second each further behind", () => {
  const turns = new SenderTurns();
  assert.deepEqual(
    [0, 1, 2].map(() => behind(turns, "a@s.example")),
    [0, 61_000, 122_000],
  );
});

test("other senders are not put behind; another address of the domain a little", () => {
  const turns = new SenderTurns();
  for (let i = 0; i < 100; i += 1) behind(turns, "a@s.example");
  assert.equal(behind(turns, "b@S.EXAMPLE"), 100_000);
  assert.equal(behind(turns, "a@other.example"), 0);
});

test("a pause is forgiven: minute for minute", () => {
  const turns = new SenderTurns();
  for (let i = 0; i < 10; i += 1) behind(turns, "a@s.example");
  assert.equal(behind(turns, "a@s.example", T0 + 4 * 60_000), 6 * 60_000);
  assert.equal(behind(turns, "a@s.example", T0 + HOUR), 0);
});

test("never later than its own time, and one sender's mail stays in order", () => {
  const turns = new SenderTurns();
  let last = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < 30_000; i += 1) {
    const acceptedAt = T0 + i;
    const place = turns.place({ sender: "a@s.example", acceptedAt }, { address: "user@dest.example" });
    assert.ok(place > last && place <= acceptedAt, `message ${i}`);
    last = place;
  }
  assert.equal(last, T0 + 29_999);
});

test("a clock that went back puts nobody behind for longer than the bound", () => {
  const turns = new SenderTurns();
  behind(turns, "a@s.example");
  assert.equal(behind(turns, "a@s.example", T0 - 1000 * HOUR), 24 * HOUR);
});

test("notices are told apart by whom they are for", () => {
  const turns = new SenderTurns();
  for (let i = 0; i < 100; i += 1) behind(turns, "", T0, "owner@list.example");
  assert.equal(behind(turns, "", T0, "person@other.example"), 0);
  assert.equal(behind(turns, "", T0, "owner@list.example"), 100 * 61_000);
  assert.equal(behind(turns, "owner@list.example"), 0);
});

test("only so many senders are remembered, those that sent last", () => {
  const turns = new SenderTurns(2);
  behind(turns, "a@a.example");
  behind(turns, "b@b.example");
  behind(turns, "a@a.example");
  behind(turns, "c@c.example");
  assert.equal(behind(turns, "a@a.example"), 122_000);
  assert.equal(behind(turns, "b@b.example"), 0);
});
