import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { TlsrptStore } from "../../../src/reporting/tlsrptStore.ts";
import { MAX_FAILURES, MAX_POLICIES, openTables } from "../../../src/reporting/tlsrptTables.ts";
import type { AppliedPolicy, SessionEnds, SessionResult } from "../../../src/tlsrpt/result.ts";

const DAY = Date.UTC(2027, 0, 31);
const NOON = DAY + 12 * 3_600_000;
const TLSA: AppliedPolicy = { type: "tlsa", domain: "mx.example.org", strings: ["3 1 1 ab"] };

function success(policy = TLSA, domain = "example.org"): SessionResult {
  return { domain, policy, outcome: { kind: "success" } };
}

function failure(ends: SessionEnds = {}, policy = TLSA): SessionResult {
  return { domain: "example.org", policy, outcome: { kind: "failure", failure: { resultType: "starttls-not-supported" }, ends } };
}

describe("counts of TLS sessions on disk", () => {
  let directory = "";
  let now = NOON;
  let troubles: unknown[] = [];
  const open = () =>
    new TlsrptStore({
      file: join(directory, "tlsrpt.db"),
      clock: { now: () => now, monotonic: () => 0 },
      onTrouble: (error) => troubles.push(error),
    });

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "h2-tlsrpt-"));
    now = NOON;
    troubles = [];
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  test("sessions that ended alike are counted together, across restarts, by UTC day", () => {
    const first = open();
    first.record(success());
    first.record(success());
    first.flush();
    first.record(failure({ host: "mx.example.org", helo: "mx.example.org" }));
    first.close();
    const second = open();
    second.record(success());
    second.record(failure({ host: "mx.example.org", helo: "mx.example.org" }));
    now = DAY + 86_400_000;
    second.record(success());
    second.flush();
    assert.deepEqual(second.tables.days(), [DAY, DAY + 86_400_000]);
    assert.deepEqual(second.tables.aggregate(DAY, "example.org"), {
      domain: "example.org",
      day: DAY,
      policies: [
        {
          policy: TLSA,
          successful: 3,
          failed: 2,
          failures: [
            {
              failure: { resultType: "starttls-not-supported" },
              ends: { host: "mx.example.org", helo: "mx.example.org" },
              count: 2,
            },
          ],
        },
      ],
    });
    second.close();
  });

  test("another process reads what is written while the relay runs", () => {
    const store = open();
    store.record(success());
    store.flush();
    const reader = openTables(join(directory, "tlsrpt.db"), "read");
    assert.ok(reader.kind === "tables");
    assert.deepEqual(reader.tables.domains(DAY), ["example.org"]);
    reader.tables.close();
    store.close();
  });

  test("a reader without a file creates none; another program's database is refused", () => {
    const file = join(directory, "tlsrpt.db");
    assert.equal(openTables(file, "read").kind, "missing");
    writeFileSync(join(directory, "other.db"), "");
    const queue = openTables(join(directory, "other.db"), "write");
    assert.ok(queue.kind === "tables");
    queue.tables.database.exec("PRAGMA application_id = 1");
    queue.tables.close();
    assert.equal(openTables(join(directory, "other.db"), "write").kind, "refused");
  });

  test("failures that differ without end are counted by their type alone; no count is lost", () => {
    const store = open();
    const sessions = MAX_FAILURES + 50;
    for (let i = 0; i < sessions; i += 1) store.record(failure({ address: `192.0.2.${i}`, host: `mx${i}.example.org` }));
    store.flush();
    const [policy] = store.tables.aggregate(DAY, "example.org").policies;
    assert.equal(policy?.failures.length, MAX_FAILURES + 1);
    assert.equal(policy?.failed, sessions);
    assert.deepEqual(policy?.failures[0], { failure: { resultType: "starttls-not-supported" }, ends: {}, count: 50 });
    store.close();
  });

  test("policies that differ without end are counted without their details; no count is lost", () => {
    const store = open();
    for (let i = 0; i < MAX_POLICIES + 50; i += 1)
      store.record(success({ type: "tlsa", domain: `mx${i}.example.org`, strings: [] }));
    store.flush();
    const { policies } = store.tables.aggregate(DAY, "example.org");
    assert.equal(policies.length, MAX_POLICIES + 1);
    const folded = policies.find(({ policy }) => policy.domain === "example.org");
    assert.equal(folded?.successful, 50);
    store.close();
  });

  test("what a server says of itself is made printable and short", () => {
    const store = open();
    store.record(failure({ helo: `evil"\u0000\xff${"x".repeat(999)}` }));
    store.flush();
    const helo = store.tables.aggregate(DAY, "example.org").policies[0]?.failures[0]?.ends.helo;
    assert.match(helo ?? "", /^evil"\?\?x+$/);
    assert.equal(helo?.length, 255);
    store.close();
  });

  test("while the file cannot be written results wait in memory, and the trouble is told once", () => {
    const store = open();
    store.tables.database.exec("PRAGMA query_only = 1");
    store.record(success());
    store.flush();
    store.record(success());
    store.flush();
    assert.equal(troubles.length, 1);
    store.tables.database.exec("PRAGMA query_only = 0");
    store.flush();
    assert.equal(store.tables.aggregate(DAY, "example.org").policies[0]?.successful, 2);
    store.close();
  });

  test("days before a day are forgotten", () => {
    const store = open();
    store.record(success());
    now = DAY + 86_400_000;
    store.record(failure());
    store.flush();
    store.tables.prune(now);
    assert.deepEqual(store.tables.days(), [now]);
    store.close();
  });
});
