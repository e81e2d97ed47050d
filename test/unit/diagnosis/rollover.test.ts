import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { riskOf, rolloversOf } from "../../../src/diagnosis/rollover.ts";
import { hostRollovers, RolloverCount } from "../../../src/diagnosis/rolloverSurvey.ts";
import { makeLeaf, tlsaFor } from "../../fake/certificates.ts";
import { endEntity, HOUR, type Noise, type Plan, renewed, START, TTL_SECONDS, underAuthority, yearOf } from "./rolloverYear.ts";

const quiet: Noise = () => "seen";
/** In every 100 hours: two without an answer of DNS, three without the host, and two that nobody looked in. */
const noisy: Noise = (hour) => {
  const at = (hour * 37) % 100;
  return at < 2 ? "unresolved" : at < 5 ? "unreachable" : at < 7 ? "missed" : "seen";
};

const MONTH = 30 * 24;

/** One of each kind, a month apart; then again, with other distances. */
const YEAR: readonly Plan[] = [
  { kind: "correct", to: endEntity(1), introduced: MONTH - 48, changed: MONTH, retired: MONTH + 24 },
  { kind: "early-retirement", to: endEntity(2), introduced: 2 * MONTH - 30, changed: 2 * MONTH, retired: 2 * MONTH - 30 },
  { kind: "late-introduction", to: endEntity(3), introduced: 3 * MONTH + 20, changed: 3 * MONTH, retired: 3 * MONTH + 20 },
  { kind: "keep-key", to: renewed(3), introduced: 3 * MONTH + 20, changed: 4 * MONTH, retired: 4 * MONTH },
  { kind: "no-introduction", to: endEntity(4), changed: 5 * MONTH, retired: 6 * MONTH + 1 },
  { kind: "late-introduction", to: endEntity(5), introduced: 6 * MONTH, changed: 6 * MONTH, retired: 6 * MONTH + 1 },
  { kind: "correct", to: endEntity(6), introduced: 7 * MONTH - 200, changed: 7 * MONTH, retired: 7 * MONTH + 1 },
  { kind: "correct", to: underAuthority(0), introduced: 8 * MONTH - 40, changed: 8 * MONTH, retired: 8 * MONTH + 40 },
  { kind: "ca-rollover", to: underAuthority(1), introduced: 9 * MONTH - 40, changed: 9 * MONTH, retired: 9 * MONTH + 40 },
  { kind: "ca-rollover", to: underAuthority(2), introduced: 10 * MONTH + 10, changed: 10 * MONTH, retired: 10 * MONTH + 10 },
  { kind: "correct", to: endEntity(7), introduced: 11 * MONTH - 24, changed: 11 * MONTH, retired: 11 * MONTH },
];

describe("a year of hourly sights", () => {
  for (const [title, noise] of [
    ["quiet", quiet],
    ["with gaps and unreachable hours", noisy],
  ] as const)
    test(`${title}: each rollover is what was planted`, () => {
      const found = rolloversOf(yearOf(endEntity(0), YEAR, noise));
      assert.deepEqual(
        found.map(({ kind }) => kind),
        YEAR.map(({ kind }) => kind),
      );
      found.forEach(({ at }, i) => {
        const planned = START + (YEAR[i]?.changed ?? 0) * HOUR;
        assert.ok(at >= planned && at <= planned + 4 * HOUR, `${i}: ${at} for ${planned}`);
      });
    });

  test("the windows in which senders failed", () => {
    const found = rolloversOf(yearOf(endEntity(0), YEAR, quiet));
    const hours = found.map(({ windows }) =>
      windows.map(({ from, to, senders }) => [(from - START) / HOUR, (to - START) / HOUR, senders]),
    );
    const ttl = TTL_SECONDS / 3600;
    assert.deepEqual(hours.slice(0, 6), [
      [],
      [
        [2 * MONTH - 30, 2 * MONTH - 30 + ttl, "some"],
        [2 * MONTH - 30 + ttl, 2 * MONTH, "all"],
      ],
      [
        [3 * MONTH, 3 * MONTH + 20, "all"],
        [3 * MONTH + 20, 3 * MONTH + 20 + ttl, "some"],
      ],
      [],
      [[5 * MONTH, 6 * MONTH, "all"]],
      [[6 * MONTH, 6 * MONTH + ttl, "some"]],
    ]);
    assert.deepEqual(found.map(({ timing }) => timing).slice(8, 10), ["correct", "late-introduction"]);
  });

  test("any distances, any noise of a few hours", () => {
    const long = fc.integer({ min: 12, max: 200 });
    const plan = fc.record({
      kind: fc.constantFrom("correct", "early-retirement", "late-introduction", "no-introduction"),
      distance: long,
      overlap: long,
    });
    fc.assert(
      fc.property(
        fc.array(plan, { minLength: 1, maxLength: 4 }),
        fc.infiniteStream(fc.integer({ min: 0, max: 99 })),
        (drawn, draws) => {
          // What follows upon a host without any record is no rollover under DANE.
          const kept = drawn.filter(({ kind }, i) => kind !== "no-introduction" || i === drawn.length - 1);
          const plans: Plan[] = kept.map(({ kind, distance, overlap }, i) => {
            const changed = (i + 1) * 600;
            const to = endEntity(i + 1);
            const next = (i + 2) * 600 - 250;
            if (kind === "correct") return { kind, to, changed, introduced: changed - distance, retired: changed + overlap };
            if (kind === "early-retirement")
              return { kind, to, changed, introduced: changed - distance, retired: changed - distance };
            if (kind === "late-introduction")
              return { kind, to, changed, introduced: changed + distance, retired: changed + distance };
            return { kind, to, changed, retired: next };
          });
          const numbers = draws[Symbol.iterator]();
          // At most six hours in a row.
          let run = 0;
          const noise: Noise = () => {
            const number = numbers.next().value ?? 99;
            run = number < 30 && run < 6 ? run + 1 : 0;
            return run === 0 ? "seen" : number < 10 ? "unreachable" : number < 20 ? "missed" : "unresolved";
          };
          const found = rolloversOf(yearOf(endEntity(0), plans, noise, plans.length * 600 + 590));
          assert.deepEqual(
            found.map(({ kind }) => kind),
            plans.map(({ kind }) => kind),
          );
        },
      ),
      { numRuns: 25, seed: 7 },
    );
  });
});

describe("what is no rollover, or not known for certain", () => {
  test("a host without DANE, certificates that take turns, one sight only", () => {
    const [a, b] = [endEntity(0), endEntity(1)];
    assert.deepEqual(
      rolloversOf(
        yearOf({ ...a, records: [] }, [{ kind: "correct", to: { ...b, records: [] }, changed: 50, retired: 50 }], quiet, 100),
      ),
      [],
    );
    const both = { chain: a.chain, records: [...a.records, ...b.records] };
    const turns: Plan[] = Array.from({ length: 20 }, (_, i) => ({
      kind: "correct",
      to: { chain: i % 2 === 0 ? b.chain : a.chain, records: both.records },
      introduced: 0,
      changed: 40 + i,
      retired: 0,
    }));
    assert.deepEqual(
      rolloversOf(yearOf(both, turns, quiet, 100)).map(({ kind }) => kind),
      ["correct"],
    );
    assert.deepEqual(rolloversOf(yearOf(a, [], quiet, 1)), []);
    assert.deepEqual(rolloversOf([]), []);
  });

  test("looked at once a day: in time for all that was seen", () => {
    const daily: Noise = (hour) => (hour % 24 === 0 ? "seen" : "missed");
    const [swapped] = rolloversOf(
      yearOf(endEntity(0), [{ kind: "correct", to: endEntity(1), introduced: 100, changed: 100, retired: 100 }], daily, 300),
    );
    assert.equal(swapped?.timing, "correct");
    assert.equal(swapped?.certainty, "assumed");
  });

  test("several addresses that get one certificate: one rollover, the first", () => {
    const plan = (changed: number): readonly Plan[] => [
      { kind: "late-introduction", to: endEntity(1), introduced: 150, changed, retired: 150 },
    ];
    const byAddress = new Map([
      ["192.0.2.1", yearOf(endEntity(0), plan(120), quiet, 300)],
      ["192.0.2.2", yearOf(endEntity(0), plan(110), quiet, 300)],
    ]);
    assert.deepEqual(
      hostRollovers(byAddress).map(({ at, kind }) => [(at - START) / HOUR, kind]),
      [[110, "late-introduction"]],
    );
    const count = new RolloverCount(START);
    count.add("mx.example.org", byAddress);
    const { totals, failures, hosts } = count.result();
    assert.equal(hosts, 1);
    assert.equal(totals["late-introduction"], 1);
    assert.deepEqual(
      failures.map(({ host }) => host),
      ["mx.example.org"],
    );
  });

  test("at risk: near its end under a record that pins the certificate, or without a second one", () => {
    const leaf = makeLeaf({ names: ["mx.example.org"], notAfter: new Date(START + 10 * 86_400_000) });
    const next = makeLeaf({ names: ["mx.example.org"] });
    const state = (...records: ReturnType<typeof tlsaFor>[]) => ({
      firstSeen: START,
      lastSeen: START,
      chain: [leaf.der],
      tlsa: { status: "secure" as const, ttlSeconds: 3600, records },
    });
    const at = (records: ReturnType<typeof tlsaFor>[], now = START) => riskOf("mx.example.org", state(...records), now)?.class;
    assert.equal(at([tlsaFor(leaf.der, 3, 0, 1)]), "rollover-at-risk");
    assert.equal(at([tlsaFor(leaf.der, 3, 1, 1)]), "rollover-at-risk");
    assert.equal(at([tlsaFor(leaf.der, 3, 1, 1), tlsaFor(next.der, 3, 1, 1)]), undefined);
    assert.equal(at([tlsaFor(leaf.der, 3, 1, 1)], START - 60 * 86_400_000), undefined);
    assert.equal(at([tlsaFor(next.der, 3, 1, 1)]), undefined);
  });
});
