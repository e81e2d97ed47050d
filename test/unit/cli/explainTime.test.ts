import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { momentOf } from "../../../src/cli/explainTime.ts";

const NOW = Date.parse("2026-11-22T10:00:00Z");

describe("--at", () => {
  const good: readonly [string, string][] = [
    ["+14d", "2026-12-06T10:00:00.000Z"],
    ["-1d", "2026-11-21T10:00:00.000Z"],
    ["+2w", "2026-12-06T10:00:00.000Z"],
    ["+36h", "2026-11-23T22:00:00.000Z"],
    ["+90m", "2026-11-22T11:30:00.000Z"],
    ["+5s", "2026-11-22T10:00:05.000Z"],
    ["2027-01-31", "2027-01-31T00:00:00.000Z"],
    ["2027-01-31T12:30Z", "2027-01-31T12:30:00.000Z"],
    ["2027-01-31T12:30:15+02:00", "2027-01-31T10:30:15.000Z"],
    ["2028-02-29", "2028-02-29T00:00:00.000Z"],
  ];
  for (const [text, moment] of good)
    test(text, () => assert.equal(new Date(momentOf(text, NOW) ?? Number.NaN).toISOString(), moment));

  const bad = [
    "",
    "14d",
    "+14",
    "+d",
    "+1y",
    "+1.5d",
    "2027-02-30",
    "2027-02-29",
    "2027-13-01",
    "2027-1-1",
    "tomorrow",
    "+9999999d",
    "2027-01-31T12:30",
  ];
  for (const text of bad) test(`${JSON.stringify(text)} is no moment`, () => assert.equal(momentOf(text, NOW), undefined));
});
