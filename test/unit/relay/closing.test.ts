import assert from "node:assert/strict";
import { test } from "node:test";
import { closeInTurn } from "../../../src/relay/closing.ts";

test("all are closed, one after the other, although two cannot be; the first error is told", async () => {
  const closed: string[] = [];
  const parts = [
    () => void closed.push("a"),
    () => Promise.reject(new Error("b")),
    async () => {
      await new Promise((resolve) => setImmediate(resolve));
      closed.push("c");
    },
    () => {
      throw new Error("d");
    },
    () => void closed.push("e"),
  ];
  await assert.rejects(closeInTurn(parts), /^Error: b$/);
  assert.deepEqual(closed, ["a", "c", "e"]);
});
