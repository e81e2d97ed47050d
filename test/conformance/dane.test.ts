import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { playDane } from "./dane.ts";

const FILE = join(import.meta.dirname, "../../../shared/conformance/dane/openssl-danetest.json");
const CASES = 41;

test("matches certificates as OpenSSL's own DANE tests say", async (t) => {
  if (!existsSync(FILE)) {
    const warning = `RAN WITHOUT ../shared/conformance/dane: none of OpenSSL's ${CASES} DANE cases was played`;
    console.error(warning);
    t.diagnostic(warning);
    return;
  }
  assert.deepEqual(await playDane(FILE), { passed: CASES, failed: 0 });
});
