import assert from "node:assert/strict";
import { test } from "node:test";
import { matchCertificate } from "../../../src/dane/certificateMatch.ts";
import { name } from "../../../src/dns/name.ts";
import { HOST, matchCases } from "./matchCases.ts";

const NOW = Date.parse("2026-11-02T12:00:00Z");

for (const { name: title, chain, records, expect } of matchCases) {
  test(title, () => {
    const verdict = matchCertificate({ records, chain: chain.map(({ der }) => der), identifiers: [name(HOST)], now: NOW });
    if ("match" in expect) {
      assert.equal(verdict.kind, "match", verdict.kind === "mismatch" ? verdict.tried.map((t) => t.because).join("; ") : "");
      assert.equal(verdict.kind === "match" ? verdict.depth : -1, expect.match);
      return;
    }
    assert.equal(verdict.kind, "mismatch");
    assert.equal(
      verdict.kind === "mismatch" ? verdict.tried[0]?.failure : "",
      expect.failure,
      JSON.stringify(verdict.kind === "mismatch" ? verdict.tried.map((t) => t.because) : ""),
    );
  });
}
