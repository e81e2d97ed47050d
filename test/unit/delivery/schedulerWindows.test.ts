import assert from "node:assert/strict";
import { test } from "node:test";
import { DestinationWindows } from "../../../src/delivery/destinationWindows.ts";
import { SteppedClock } from "./schedulerClock.ts";

const MAXIMUM = 8;

/** Plays a script on one destination: `+` answered, `-` unavailable, `?` nothing learned, a number of seconds passes; the windows after each. */
function windowsAfter(script: string, maximum = MAXIMUM): number[] {
  const clock = new SteppedClock();
  const windows = new DestinationWindows({ clock, maximum: () => maximum });
  return script.split(" ").map((step) => {
    if (step === "+") windows.report("a.example", "answered");
    else if (step === "-") windows.report("a.example", "unavailable");
    else if (step === "?") windows.report("a.example", "nothing");
    else clock.advance(Number(step));
    return windows.window("a.example");
  });
}

const CASES: readonly (readonly [string, string, readonly number[], number?])[] = [
  ["unknown: a few at once", "0", [5]],
  ["never more than is configured", "0 +", [3, 3], 3],
  ["grows by one with each answer, up to the maximum", "+ + + + +", [6, 7, 8, 8, 8]],
  ["halves with each failure", "- - -", [2, 1, 1]],
  ["an answer in between: no rest", "- - - - + - - - -", [2, 1, 1, 1, 2, 1, 1, 1, 1]],
  ["our own trouble changes nothing", "- ? ? ? ? ? ?", [2, 2, 2, 2, 2, 2, 2]],
  ["five failures in a row: rests, then one at a time", "- - - - - 29 1", [2, 1, 1, 1, 0, 0, 1]],
  ["each rest is twice as long as the one before", "- - - - - 30 - 59 1 - 119 1", [2, 1, 1, 1, 0, 1, 0, 0, 1, 0, 0, 1]],
  ["failures of what began before the rest do not prolong it", "- - - - - - - - 30", [2, 1, 1, 1, 0, 0, 0, 0, 1]],
  ["an answer ends the rest", "- - - - - + +", [2, 1, 1, 1, 0, 2, 3]],
  [
    "no rest is longer than ten minutes",
    `${"- - - - - 600 - 600 - 600 - 600 - 600 - 599"} 1`,
    [2, 1, 1, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0, 1],
  ],
];

for (const [title, script, expected, maximum] of CASES) {
  test(title, () => assert.deepEqual(windowsAfter(script, maximum), expected));
}

test("standing: unproven, working after an answer, failing until the next one", () => {
  const windows = new DestinationWindows({ clock: new SteppedClock(), maximum: () => MAXIMUM });
  const standings = ["answered", "unavailable", "answered"] as const;
  assert.equal(windows.standing("a.example"), "unproven");
  assert.deepEqual(
    standings.map((feedback) => {
      windows.report("a.example", feedback);
      return windows.standing("a.example");
    }),
    ["working", "failing", "working"],
  );
  assert.equal(windows.standing("b.example"), "unproven");
});

test("the end of the first rest; none when nobody rests", () => {
  const clock = new SteppedClock();
  const windows = new DestinationWindows({ clock, maximum: () => MAXIMUM });
  const fail = (destination: string): void => {
    for (let i = 0; i < 5; i += 1) windows.report(destination, "unavailable");
  };
  assert.equal(windows.nextRestEnd(), undefined);
  fail("a.example");
  clock.advance(10);
  fail("b.example");
  assert.equal(windows.nextRestEnd(), clock.monotonic() + 20_000);
  windows.report("a.example", "answered");
  assert.equal(windows.nextRestEnd(), clock.monotonic() + 30_000);
  clock.advance(30);
  assert.equal(windows.nextRestEnd(), undefined);
});

test("the destination that was heard of least recently is forgotten", () => {
  const windows = new DestinationWindows({ clock: new SteppedClock(), maximum: () => MAXIMUM, maxRemembered: 2 });
  for (const destination of ["a", "b", "a", "c"]) windows.report(destination, "answered");
  assert.deepEqual(
    ["a", "b", "c"].map((destination) => windows.standing(destination)),
    ["working", "unproven", "working"],
  );
});
