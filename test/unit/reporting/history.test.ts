import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { TlsaSight } from "../../../src/diagnosis/rollover.ts";
import { type History, type HostSight, openHistory } from "../../../src/reporting/history.ts";
import { HostHistory } from "../../../src/reporting/hostHistory.ts";
import { openScanStore } from "../../../src/reporting/scanStore.ts";
import { makeAuthority, makeLeaf, tlsaFor } from "../../fake/certificates.ts";

const directory = mkdtempSync(join(tmpdir(), "dane-relay-history-"));
after(() => rmSync(directory, { recursive: true }));

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.UTC(2027, 0, 1);
const CA = makeAuthority({ commonName: "CA" });
const [ONE, TWO] = [makeLeaf({ issuer: CA }), makeLeaf({ issuer: CA })];
const RECORD = tlsaFor(ONE, 3, 1, 1);
const SECURE: TlsaSight = { status: "secure", ttlSeconds: 600, records: [RECORD] };

let files = 0;
function fresh(): { file: string; history: History } {
  files += 1;
  const file = join(directory, `${files}.db`);
  const opened = openHistory(file, "write", 1000);
  assert.ok(opened.kind === "history");
  return { file, history: opened.history };
}

function sight(hours: number, parts: Partial<HostSight> = {}): HostSight {
  const at = START + hours * HOUR;
  return {
    host: "mx.test",
    address: "192.0.2.1",
    at,
    chain: [ONE.der, CA.der],
    tlsa: SECURE,
    verdict: "authenticated",
    ...parts,
  };
}

describe("the history of hosts", () => {
  test("a row for each change, with when it was seen first and last", () => {
    const { history } = fresh();
    history.record([sight(0), sight(1, { tlsa: { ...SECURE, ttlSeconds: 3600 } }), sight(2)]);
    history.record([sight(3, { chain: [TWO.der, CA.der], verdict: "mismatch" }), sight(4, { verdict: "changed" })]);
    history.record([sight(1), { ...sight(5), address: "192.0.2.2" }]);
    const states = history.statesOf("mx.test");
    assert.deepEqual([...states.keys()], ["192.0.2.1", "192.0.2.2"]);
    const first = states.get("192.0.2.1") ?? [];
    assert.deepEqual(
      first.map(({ firstSeen, lastSeen }) => [(firstSeen - START) / HOUR, (lastSeen - START) / HOUR]),
      [
        [0, 2],
        [3, 3],
        [4, 4],
      ],
    );
    assert.deepEqual(first[0]?.chain, [ONE.der, CA.der]);
    assert.deepEqual(first[0]?.tlsa, { status: "secure", ttlSeconds: 3600, records: [RECORD] });
    assert.deepEqual([...history.hosts()], ["mx.test"]);
    const seen = history
      .certificatesOf("mx.test")
      .map(({ der, firstSeen, lastSeen }) => [der, (firstSeen - START) / HOUR, (lastSeen - START) / HOUR]);
    assert.deepEqual(seen, [
      [ONE.der, 0, 5],
      [CA.der, 0, 5],
      [TWO.der, 3, 3],
    ]);
    history.close();
  });

  test("servers that take turns behind one address are one stretch each, as long as the records stay", () => {
    const { history } = fresh();
    const other = { chain: [TWO.der, CA.der], verdict: "mismatch" };
    const unknown: TlsaSight = { status: "failed", ttlSeconds: 0, records: [] };
    for (let hour = 0; hour < 200; hour += 1) {
      const records = hour < 100 ? SECURE : { ...SECURE, records: [tlsaFor(TWO, 3, 1, 1)] };
      const tlsa = hour % 10 === 5 ? unknown : records;
      history.record([sight(hour, { tlsa, ...(hour % 3 === 0 ? other : {}) })]);
    }
    const [states = []] = history.statesOf("mx.test").values();
    const spans = states
      .filter(({ tlsa }) => tlsa.status !== "failed")
      .map(({ chain, firstSeen, lastSeen }) => [
        chain?.[0]?.equals(ONE.der) === true ? "one" : "two",
        (firstSeen - START) / HOUR,
        (lastSeen - START) / HOUR,
      ]);
    assert.deepEqual(spans, [
      ["two", 0, 99],
      ["one", 1, 98],
      ["one", 100, 199],
      ["two", 102, 198],
    ]);
    assert.ok(states.length <= 16, `${states.length} stretches`);
    // A day later it is another stretch.
    history.record([sight(240), sight(241, other), sight(280)]);
    assert.equal([...history.statesOf("mx.test").values()][0]?.length, states.length + 3);
    history.close();
  });

  test("what is old is forgotten, with certificates that nobody shows any more", () => {
    const { history } = fresh();
    history.record([sight(0), { ...sight(0, { chain: [TWO.der] }), host: "old.test" }, sight(24 * 20)]);
    history.prune(START + 25 * DAY, 10);
    assert.deepEqual([...history.hosts()], ["mx.test"]);
    assert.deepEqual(history.certificatesOf("old.test"), []);
    history.record([{ ...sight(24 * 25, { chain: [TWO.der] }), host: "old.test" }]);
    assert.deepEqual(
      history.certificatesOf("old.test").map(({ der }) => der),
      [TWO.der],
    );
    history.close();
  });

  test("files that are none", () => {
    assert.equal(openHistory(join(directory, "none.db"), "read", 10).kind, "missing");
    const scans = join(directory, "scan.db");
    const store = openScanStore(scans);
    assert.ok(store.kind === "store");
    store.store.close();
    assert.equal(openHistory(scans, "write", 10).kind, "refused");
    const { file, history } = fresh();
    history.close();
    assert.equal(openScanStore(file).kind, "refused");
  });
});

describe("what deliveries see", () => {
  const clock = { now: () => START, monotonic: () => 0 };
  const open = (file: string, troubles: unknown[]): HostHistory =>
    new HostHistory({ file, days: 100, clock, onTrouble: (error) => troubles.push(error) });

  test("is written in batches, and counted", async () => {
    const file = join(directory, "deliveries.db");
    const troubles: unknown[] = [];
    const history = open(file, troubles);
    const { at: _, ...seen } = sight(0);
    for (let i = 0; i < 100; i += 1) history.record(seen);
    assert.deepEqual(history.certificatesOf("mx.test"), []);
    history.flush();
    assert.equal(history.certificatesOf("mx.test").length, 2);
    await history.recount();
    assert.equal(history.rollovers?.hosts, 1);
    history.record({ ...seen, host: "late.test" });
    await history.close();
    const reader = openHistory(file, "read", 1000);
    assert.ok(reader.kind === "history");
    assert.deepEqual([...reader.history.hosts()], ["late.test", "mx.test"]);
    reader.history.close();
    assert.deepEqual(troubles, []);
  });

  test("a file that cannot be used, or is locked, is told once and fails nothing", async () => {
    const { at: _, ...seen } = sight(0);
    const unusable = join(directory, "directory.db");
    mkdirSync(unusable);
    const garbage = join(directory, "garbage.db");
    writeFileSync(garbage, "this is no database, but long enough to be taken for one".repeat(100));
    for (const file of [unusable, garbage]) {
      const troubles: unknown[] = [];
      const history = open(file, troubles);
      history.record(seen);
      history.flush();
      await history.recount();
      assert.deepEqual(history.certificatesOf("mx.test"), []);
      await history.close();
      assert.equal(troubles.length, 1, file);
    }
  });
});
