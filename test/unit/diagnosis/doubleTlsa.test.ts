import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  afterSight,
  exposures,
  type HostView,
  mayRetire,
  maySwitch,
  type OwnKey,
  type Rollover,
  recordOf,
  recordsToPublish,
  type ServerView,
  type Sight,
} from "../../../src/diagnosis/doubleTlsa.ts";

const [OLD, NEW, STRANGE] = ["aa".repeat(32), "bb".repeat(32), "cc".repeat(32)] as [string, string, string];
const T0 = Date.parse("2026-01-01T00:00:00Z");
const TTL = 3600;
const TWO_TTLS = 2 * TTL * 1000;

const active: OwnKey = { role: "active", fingerprint: OLD, publishedSince: T0 };
const standby: OwnKey = { role: "standby", fingerprint: NEW, publishedSince: T0 };

function rollover(...keys: readonly OwnKey[]): Rollover {
  return { host: "mx.example.org", port: 25, keys, largestTtlSeconds: TTL };
}

function server(name: string, ...fingerprints: readonly string[]): ServerView {
  return { kind: "records", server: name, records: fingerprints.map(recordOf), ttlSeconds: TTL };
}

const silent: ServerView = { kind: "failed", server: "ns3", reason: "no answer in time" };

function shown(address: string, fingerprint: string): HostView {
  return { kind: "key", address, fingerprint };
}

function sight(now: number, servers: readonly ServerView[], more: Partial<Sight> = {}): Sight {
  return { now, servers, dnssec: { status: "secure" }, hosts: [shown("192.0.2.1", OLD)], ...more };
}

const BOTH = [server("ns1", OLD, NEW), server("ns2", OLD, NEW)];

describe("since when a record is published everywhere", () => {
  const rows: readonly [string, OwnKey, Sight, number | undefined][] = [
    ["first seen at every server: now", { ...standby, publishedSince: undefined } as never, sight(T0 + 5, BOTH), T0 + 5],
    ["seen again: since before", standby, sight(T0 + 5, BOTH), T0],
    ["missing at one server: not any more", standby, sight(T0 + 5, [server("ns1", OLD, NEW), server("ns2", OLD)]), undefined],
    ["one server is silent: what was known stays", standby, sight(T0 + 5, [...BOTH, silent]), T0],
    ["one server is silent: nothing begins", { role: "standby", fingerprint: NEW }, sight(T0 + 5, [...BOTH, silent]), undefined],
    ["no server is known: nothing begins", { role: "standby", fingerprint: NEW }, sight(T0 + 5, []), undefined],
  ];
  for (const [name, key, seen, since] of rows) {
    test(name, () => {
      const { role, fingerprint, publishedSince } = key;
      const clean = publishedSince === undefined ? { role, fingerprint } : { role, fingerprint, publishedSince };
      const [, found] = afterSight(rollover(active, clean), seen).keys;
      assert.equal(found?.publishedSince, since);
    });
  }

  test("a record of the same key with other parameters does not count", () => {
    const other: ServerView = {
      kind: "records",
      server: "ns1",
      records: [{ ...recordOf(NEW), selector: 0 }, recordOf(OLD)],
      ttlSeconds: TTL,
    };
    assert.equal(afterSight(rollover(active, standby), sight(T0 + 5, [other])).keys[1]?.publishedSince, undefined);
  });

  test("the largest TTL that was ever seen is kept", () => {
    const lowered: ServerView = { ...server("ns1", OLD, NEW), ttlSeconds: 60 } as ServerView;
    assert.equal(afterSight(rollover(active, standby), sight(T0, [lowered])).largestTtlSeconds, TTL);
  });
});

describe("whether the host may show the standby key", () => {
  const LATE = T0 + TWO_TTLS;
  const rows: readonly [string, Rollover, Sight, RegExp | "safe"][] = [
    ["two TTLs have passed", rollover(active, standby), sight(LATE, BOTH), "safe"],
    ["a moment earlier", rollover(active, standby), sight(LATE - 1, BOTH), /caches may still hold/],
    [
      "its record is missing at one server",
      rollover(active, standby),
      sight(LATE, [...BOTH, server("ns3", OLD)]),
      /missing at ns3/,
    ],
    ["one server is silent", rollover(active, standby), sight(LATE, [...BOTH, silent]), /ns3 could not be asked/],
    ["no server is known", rollover(active, standby), sight(LATE, []), /no authoritative server/],
    ["the zone is not signed", rollover(active, standby), sight(LATE, BOTH, { dnssec: { status: "insecure" } }), /insecure/],
    [
      "the zone is bogus",
      rollover(active, standby),
      sight(LATE, BOTH, { dnssec: { status: "bogus", reason: "expired" } }),
      /bogus \(expired\)/,
    ],
    ["there is no standby key", rollover(active), sight(LATE, BOTH), /no standby key/],
    [
      "the one before is not finished",
      rollover(active, standby, { role: "retired", fingerprint: STRANGE }),
      sight(LATE, BOTH),
      /retire its old key first/,
    ],
    [
      "it was never seen everywhere",
      rollover(active, { role: "standby", fingerprint: NEW }),
      sight(LATE, BOTH),
      /not seen at every server/,
    ],
  ];
  for (const [name, state, seen, expected] of rows) {
    test(name, () => {
      const permission = maySwitch(state, seen);
      if (expected === "safe") assert.deepEqual(permission, { kind: "safe" });
      else assert.match(permission.kind === "unsafe" ? permission.because : "safe", expected);
    });
  }

  test("it says from when on", () => {
    const permission = maySwitch(rollover(active, standby), sight(T0 + 1, BOTH));
    assert.equal(permission.kind === "unsafe" ? permission.from : undefined, LATE);
  });
});

describe("whether the old record may go", () => {
  const now: OwnKey = { ...standby, role: "active" };
  const retired: OwnKey = { ...active, role: "retired" };
  const rows: readonly [string, Rollover, readonly HostView[], RegExp | "safe"][] = [
    ["every address shows the new key", rollover(now, retired), [shown("192.0.2.1", NEW), shown("2001:db8::1", NEW)], "safe"],
    [
      "one still shows the old key",
      rollover(now, retired),
      [shown("192.0.2.1", NEW), shown("2001:db8::1", OLD)],
      /2001:db8::1 shows the retired key/,
    ],
    ["one shows a key of nobody", rollover(now, retired), [shown("192.0.2.1", STRANGE)], /a key that is none of these/],
    [
      "one does not answer",
      rollover(now, retired),
      [{ kind: "failed", address: "192.0.2.1", reason: "refused" }],
      /could not be asked/,
    ],
    ["no address is known", rollover(now, retired), [], /no address/],
    ["nothing is retired", rollover(now), [shown("192.0.2.1", NEW)], /no retired key/],
  ];
  for (const [name, state, hosts, expected] of rows) {
    test(name, () => {
      const permission = mayRetire(state, sight(T0, BOTH, { hosts }));
      if (expected === "safe") assert.deepEqual(permission, { kind: "safe" });
      else assert.match(permission.kind === "unsafe" ? permission.because : "safe", expected);
    });
  }

  test("not while the new key's own record is missing anywhere", () => {
    const seen = sight(T0, [server("ns1", OLD)], { hosts: [shown("192.0.2.1", NEW)] });
    assert.equal(mayRetire(rollover(now, retired), seen).kind, "unsafe");
  });
});

test("what senders refuse now is said", () => {
  const seen = sight(T0, [server("ns1", OLD)], { hosts: [shown("192.0.2.1", NEW), shown("192.0.2.2", OLD)] });
  assert.deepEqual(exposures(rollover(active, standby), seen), [
    "192.0.2.1 shows the standby key, whose record is missing at ns1: senders refuse it",
  ]);
});

test("every key has its record published, the retired one too", () => {
  const all = rollover(active, standby, { role: "retired", fingerprint: STRANGE });
  assert.deepEqual(
    recordsToPublish(all).map(({ data }) => data.toString("hex")),
    [OLD, NEW, STRANGE],
  );
});
