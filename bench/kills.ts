import { killCampaign, reportLines } from "../test/fault/killCampaign.ts";
import type { Place } from "./endToEnd.ts";

/** The fault campaign of test/fault/killCampaign.ts with as many kills as wanted; rejects at the first message that is lost, torn or doubled. */
const FIRST_PLACE = 30;

export async function benchKills(kills: number, seed: string, { directory, block }: Place): Promise<string[]> {
  const lanes = [0, 2].map((n) => ({ relay: block.address(FIRST_PLACE + n), receiver: block.address(FIRST_PLACE + n + 1) }));
  const began = performance.now();
  const report = await killCampaign({ kills, seed, directory, lanes });
  return [`seed ${seed}, ${((performance.now() - began) / 60_000).toFixed(1)} minutes`, ...reportLines(report)];
}
