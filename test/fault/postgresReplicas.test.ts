import assert from "node:assert/strict";
import { test } from "node:test";
import { FAULTS, runCampaign } from "./replicaCampaign.ts";

test("three replicas: one killed, one stopped, one cut off, the database crashed; nothing acknowledged is lost", async (context) => {
  const result = await runCampaign({ block: "127.114.2", rounds: 1, place: "memory" });
  for (const line of result.lines) context.diagnostic(line);
  context.diagnostic(
    `${result.acknowledged} acknowledged, ${result.refused} refused meanwhile, ${result.repetitions} repetitions`,
  );
  assert.deepEqual(result.lost, [], "acknowledged and lost");
  assert.ok(result.acknowledged > 100 && result.refused > 0, `${result.acknowledged} ${result.refused}`);
  assert.ok(result.mostRepetitions <= FAULTS.length, `a message came ${result.mostRepetitions} times more than once`);
});
