import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import type { Judging } from "../../../src/dnssec/evidence.ts";
import { Verifier } from "../../../src/resolver/verifier.ts";

/** A judgement of so many slices. */
function* slices(count: number): Judging<string> {
  for (let i = 1; i < count; i += 1) yield { kind: "pause" };
  return "judged";
}

/** How often the event loop turned while ten slices were computed that took `cost` milliseconds each. */
async function turnsWhile(cost: number): Promise<number> {
  let now = 0;
  const verifier = new Verifier(() => {
    now += cost;
    return now;
  });
  let turns = 0;
  let judging = true;
  const loop = (async () => {
    while (judging) {
      await setImmediate();
      turns += 1;
    }
  })();
  const result = await verifier.run(slices(10), () => Promise.reject(new Error("nothing is needed")));
  judging = false;
  const during = turns;
  await loop;
  assert.equal(result, "judged");
  return during;
}

describe("the event loop while an answer is judged", () => {
  test("turns between costly slices", async () => assert.ok((await turnsWhile(5)) >= 8));
  test("is not waited for between cheap ones", async () => assert.ok((await turnsWhile(0)) <= 1));
});

test("evidence is given to the judgement that asked for it", async () => {
  function* judging(): Judging<string> {
    const evidence = yield { kind: "anchor", name: "." as never };
    return evidence.kind;
  }
  assert.equal(await new Verifier().run(judging(), () => Promise.resolve({ kind: "failed", reason: "" })), "failed");
});
