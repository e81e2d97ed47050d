import assert from "node:assert/strict";
import { test } from "node:test";
import { name } from "../../../src/dns/name.ts";
import { type CachedPolicy, isInForce, isRefreshDue, policyStep, type SeenRecord } from "../../../src/mtasts/policyCaching.ts";

const NOW = Date.parse("2027-01-31T12:00:00Z");
const DAY = 86_400;

function cached(ageSeconds: number, maxAgeSeconds: number, id = "one"): CachedPolicy {
  const policy = { mode: "enforce", maxAgeSeconds, mx: ["mx.example.org"] } as const;
  return { domain: name("example.org"), id, policy, fetchedAt: NOW - ageSeconds * 1000 };
}

type Cache = "nothing" | "fresh" | "day-old" | "expired" | "from the future";
const CACHES: Record<Cache, CachedPolicy | undefined> = {
  nothing: undefined,
  fresh: cached(60, 7 * DAY),
  "day-old": cached(DAY, 7 * DAY),
  expired: cached(7 * DAY + 1, 7 * DAY),
  "from the future": cached(-3600, 7 * DAY),
};
const SEEN: Record<string, SeenRecord> = {
  "the same id": { kind: "record", id: "one" },
  "another id": { kind: "record", id: "two" },
  "no record": { kind: "none" },
  "no answer": { kind: "unknown" },
};

/** Written from RFC 8461 §3.3, §5.1 and §10.2: every combination. "fetch|x": fetch, and until that succeeds x. */
const TABLE: Record<Cache, Record<keyof typeof SEEN, string>> = {
  nothing: { "the same id": "fetch one|none", "another id": "fetch two|none", "no record": "none", "no answer": "none" },
  fresh: { "the same id": "use", "another id": "fetch two|one", "no record": "use", "no answer": "use" },
  "day-old": {
    "the same id": "use, refresh",
    "another id": "fetch two|one",
    "no record": "use, refresh",
    "no answer": "use, refresh",
  },
  expired: { "the same id": "fetch one|none", "another id": "fetch two|none", "no record": "none", "no answer": "none" },
  "from the future": {
    "the same id": "use, refresh",
    "another id": "fetch two|one",
    "no record": "use, refresh",
    "no answer": "use, refresh",
  },
};

function described(cache: Cache, seen: string): string {
  const step = policyStep(CACHES[cache], SEEN[seen] ?? { kind: "unknown" }, NOW);
  switch (step.kind) {
    case "use":
      return step.refresh === "now" ? "use, refresh" : "use";
    case "fetch":
      return `fetch ${step.id}|${step.fallback?.id ?? "none"}`;
    case "none":
      return "none";
    default:
      return step satisfies never;
  }
}

for (const cache of Object.keys(CACHES) as Cache[])
  for (const seen of Object.keys(SEEN))
    test(`cache: ${cache}; TXT: ${seen}: ${TABLE[cache][seen]}`, () => assert.equal(described(cache, seen), TABLE[cache][seen]));

const IN_FORCE: readonly [ageSeconds: number, maxAgeSeconds: number, expected: boolean][] = [
  [0, 0, true],
  [1, 0, false],
  [604_800, 604_800, true],
  [604_801, 604_800, false],
  [-86_400, 60, true],
];
for (const [age, maxAge, expected] of IN_FORCE)
  test(`max_age ${maxAge}, fetched ${age} s ago: ${expected ? "in force" : "expired"}`, () =>
    assert.equal(isInForce(cached(age, maxAge), NOW), expected));

const REFRESH: readonly [ageSeconds: number, maxAgeSeconds: number, expected: boolean][] = [
  [DAY - 1, 365 * DAY, false],
  [DAY, 365 * DAY, true],
  [1799, 3600, false],
  [1800, 3600, true],
  [-1, 365 * DAY, true],
];
for (const [age, maxAge, expected] of REFRESH)
  test(`max_age ${maxAge}, fetched ${age} s ago: refresh ${expected ? "due" : "not yet due"}`, () =>
    assert.equal(isRefreshDue(cached(age, maxAge), NOW), expected));
