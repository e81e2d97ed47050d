import assert from "node:assert/strict";
import { describe, mock, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Pace } from "../../../src/clock/pace.ts";

/** Work that was begun, and ends when it is told to. */
type Begun = { name: string; at: number; end: () => void; fail: (error: Error) => void };

describe("the pace at one server", () => {
  test("so many at a time, so long apart, in order; other servers are not kept waiting", async () => {
    mock.timers.enable({ apis: ["setTimeout"] });
    try {
      let now = 0;
      const pace = new Pace({ most: 2, gapMilliseconds: 1000 }, { now: () => now, monotonic: () => now });
      const begun: Begun[] = [];
      const results: string[] = [];
      const run = (server: string, name: string): void => {
        const work = (): Promise<string> =>
          new Promise((resolve, reject) => {
            begun.push({ name, at: now, end: () => resolve(name), fail: reject });
          });
        pace.run(server, work).then(
          (result) => results.push(result),
          (error: Error) => results.push(error.message),
        );
      };
      const pass = async (milliseconds: number): Promise<void> => {
        now += milliseconds;
        mock.timers.tick(milliseconds);
        await turn();
      };
      for (const name of ["a", "b", "c", "d"]) run("one", name);
      run("two", "x");
      await pass(0);
      const names = (): string[] => begun.map((one) => `${one.name}@${one.at}`);
      assert.deepEqual(names(), ["a@0", "x@0"]);
      await pass(1000);
      assert.deepEqual(names(), ["a@0", "x@0", "b@1000"]);
      await pass(5000);
      assert.equal(begun.length, 3);
      begun[0]?.end();
      await turn();
      assert.deepEqual(names().slice(3), ["c@6000"]);
      begun[2]?.fail(new Error("b failed"));
      await turn();
      assert.equal(begun.length, 4);
      await pass(1000);
      assert.deepEqual(names().slice(4), ["d@7000"]);
      for (const { end } of begun) end();
      await turn();
      assert.deepEqual(results.sort(), ["a", "b failed", "c", "d", "x"]);
    } finally {
      mock.timers.reset();
    }
  });
});
