import { parseArgs } from "node:util";
import { runCampaign } from "./campaign.ts";
import { DifferentialReport } from "./differentialReport.ts";
import { signings } from "./differentialWorld.ts";

/**
 * The long run of the differential test: `--mutants N`, `--seed N`; `--from N` begins with that mutant; `--only N,N` plays some mutants of that seed; `--zones all` has every signer
 * sign with every algorithm and every kind of denial. Ends with 1 where a disagreement is not explained.
 */
const { values } = parseArgs({
  options: {
    mutants: { type: "string", default: "10000" },
    from: { type: "string", default: "0" },
    seed: { type: "string", default: "1" },
    zones: { type: "string", default: "each" },
    only: { type: "string" },
  },
});
const numbers =
  values.only === undefined
    ? Array.from({ length: Number(values.mutants) }, (_, i) => Number(values.from) + i)
    : values.only.split(",").map(Number);
const report = new DifferentialReport();
const { incomparable } = await runCampaign({
  rows: signings(values.zones === "all" ? "all" : "each"),
  seed: Number(values.seed),
  numbers,
  onResult: (result) => {
    report.result(result);
    if (report.mutants % 1000 === 0) console.error(`${report.mutants} mutants`);
  },
  onDisagreement: (one) => {
    const text = report.disagreement(one);
    if (text !== undefined) console.error(text);
  },
});
console.log(report.text());
console.log(`not compared, because Unbound could not look up the truth either: ${incomparable}`);
process.exitCode = report.unexplained.length + report.downgrades.length === 0 ? 0 : 1;
