import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { attackProcess } from "./attackedProcess.ts";
import { loadRelay } from "./attackedRelay.ts";
import { isBelowPolicy, LANES, runCampaign } from "./attackerCampaign.ts";
import { scheduleOf } from "./attackSchedule.ts";
import { type AttackWorld, startAttackWorld } from "./attackWorld.ts";
import { PLANTED_BUGS, plant } from "./plantedBugs.ts";

/**
 * An active attacker on the wire and in the DNS, on every kind of policy. The judge sees what the attacker read and what the receivers
 * hold; `node test/lab/attackerCampaign.ts --schedules 5000 --seed N` plays thousands more.
 */
const SCHEDULES = 200;
/** Any seed will do; a failing one is worth keeping. */
const SEED = 7672;
/** With a message to each target in each. */
const ROUNDS = 3;
/** A bug is caught by the time so many schedules were played, or the campaign is not worth much. */
const SCHEDULES_TO_CATCH = 250;

describe("an active attacker", () => {
  let world: AttackWorld;
  let directory: string;

  before(async () => {
    world = await startAttackWorld(LANES);
    directory = await mkdtemp(join(tmpdir(), "dane-relay-planted-"));
  });

  after(async () => {
    await world?.stop();
    await rm(directory, { recursive: true, force: true });
  });

  test("gets no message below its policy, and stops none for longer than the attack", async () => {
    const code = await loadRelay();
    const result = await runCampaign({ code, world, seed: SEED, schedules: SCHEDULES, until: "end", idle: "also" });
    assert.deepEqual(
      result.violations.map((violation) => ({ ...violation, plan: scheduleOf(SEED, violation.schedule) })),
      [],
    );
    assert.equal(result.schedules, SCHEDULES);
    // An attack that stops everything, or nothing, would show little.
    const { delivered, deferred } = result.outcomes;
    assert.ok(delivered * 10 > result.messages && deferred * 10 > result.messages, JSON.stringify(result.outcomes));
  });

  test("gets no more from the relay as a process, which delivers when the attack is over", async () => {
    const result = await attackProcess(world, SEED, ROUNDS);
    assert.deepEqual(result.violations, []);
    assert.ok(result.messages > 0);
  });

  for (const [number, bug] of PLANTED_BUGS.entries()) {
    test(`catches a relay in which ${bug.name}`, async (context) => {
      const code = await loadRelay(await plant(bug, join(directory, String(number))));
      const result = await runCampaign({ code, world, seed: SEED, schedules: SCHEDULES_TO_CATCH, until: "first", idle: "never" });
      assert.ok(result.violations.some(isBelowPolicy), `not caught by ${result.schedules} schedules`);
      context.diagnostic(`after ${result.schedules} schedules: ${result.violations.find(isBelowPolicy)?.what}`);
    });
  }
});
