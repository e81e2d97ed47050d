import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { type Disagreement, runCampaign } from "./campaign.ts";
import { DifferentialReport } from "./differentialReport.ts";
import { signings } from "./differentialWorld.ts";

/** A short run; the long one is `npm run differential -- --mutants 10000 --seed N`. */
const MUTANTS = 400;
const SEED = 1;

describe("our validator, Unbound and delv on mutants of signed answers", () => {
  const report = new DifferentialReport();

  before(async () => {
    const numbers = Array.from({ length: MUTANTS }, (_, i) => i);
    const onResult = report.result.bind(report);
    const onDisagreement = (one: Disagreement) => void report.disagreement(one);
    const { incomparable } = await runCampaign({ rows: signings("each"), seed: SEED, numbers, onResult, onDisagreement });
    assert.equal(incomparable, 0);
  });

  test("nothing that Unbound refuses is taken, but the zone's own answer", () => assert.deepEqual(report.downgrades, []));
  test("every disagreement is explained", () => assert.deepEqual(report.unexplained, []));
  test("the mutants were many, of many kinds, and led to every verdict", () => {
    assert.equal(report.mutants, MUTANTS);
    assert.ok(report.labels.size > 60, `${report.labels.size} kinds of change`);
    for (const verdict of ["secure records", "secure nodata", "secure nxdomain", "insecure records", "refused"])
      assert.ok((report.verdicts.get(verdict) ?? 0) >= 10, `${verdict}: ${report.verdicts.get(verdict)}`);
  });
});
