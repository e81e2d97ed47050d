import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { killCampaign, reportLines } from "./killCampaign.ts";

/** The campaign of killCampaign.ts as it runs each time; thousands of kills are for `npm run bench -- kills`. */
const KILLS = Number(process.env.KILL_CAMPAIGN_KILLS ?? 200);
const SEED = process.env.KILL_CAMPAIGN_SEED ?? String(randomInt(2 ** 31));
const LANES = [
  { relay: "127.113.3.1", receiver: "127.113.3.2" },
  { relay: "127.113.3.3", receiver: "127.113.3.4" },
];

test(`${KILLS} kills lose no acknowledged message, repeat none within a life, tear none (KILL_CAMPAIGN_SEED=${SEED})`, async (context) => {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-kills-"));
  try {
    const report = await killCampaign({ kills: KILLS, seed: SEED, directory, lanes: LANES });
    for (const line of reportLines(report)) context.diagnostic(line);
    for (const [where, count] of report.landed) assert.ok(count > 0, `no kill landed ${where}`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
