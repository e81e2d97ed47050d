import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { name } from "../../../src/dns/name.ts";
import type { CachedPolicy } from "../../../src/mtasts/policyCaching.ts";
import { PolicyCache } from "../../../src/reporting/policyCache.ts";

const DIRECTORY = mkdtempSync(join(tmpdir(), "dane-relay-sts-"));
after(() => rmSync(DIRECTORY, { recursive: true, force: true }));
const NOW = Date.parse("2027-01-31T12:00:00Z");
const DAY = 86_400_000;
let files = 0;

function file(): string {
  files += 1;
  return join(DIRECTORY, `${files}.db`);
}

type Opened = { cache: PolicyCache; troubles: string[]; at: (now: number) => void };

function open(path: string, now = NOW, maxPolicies?: number): Opened {
  const troubles: string[] = [];
  let time = now;
  const cache = new PolicyCache({
    file: path,
    now: () => time,
    onTrouble: (error) => troubles.push(error.message),
    ...(maxPolicies === undefined ? {} : { maxPolicies }),
  });
  return { cache, troubles, at: (moment) => (time = moment) };
}

function policy(domain: string, fetchedAt = NOW, maxAgeSeconds = 604_800): CachedPolicy {
  return {
    domain: name(domain),
    id: "one",
    policy: { mode: "enforce", maxAgeSeconds, mx: ["mx.example", "*.mx.example"] },
    fetchedAt,
  };
}

test("a policy outlives the process, as it was", () => {
  const path = file();
  const first = open(path);
  first.cache.put(policy("example.org"));
  first.cache.put({ ...policy("none.example"), policy: { mode: "none", maxAgeSeconds: 0, mx: [] } });
  first.cache.put({ ...policy("example.org"), id: "two" });
  first.cache.close();
  const second = open(path);
  assert.deepEqual(second.cache.get("example.org."), { ...policy("example.org"), id: "two" });
  assert.equal(second.cache.get("none.example.")?.policy.mode, "none");
  assert.equal(second.cache.get("other.example."), undefined);
  assert.equal(second.cache.size, 2);
  second.cache.close();
});

test("what was written is there after a crash: the files as they are at that moment", () => {
  const path = file();
  const killed = open(path);
  killed.cache.put(policy("example.org"));
  const crashed = file();
  for (const suffix of ["", "-wal"]) copyFileSync(`${path}${suffix}`, `${crashed}${suffix}`);
  const { cache, troubles } = open(crashed);
  assert.equal(cache.get("example.org.")?.id, "one");
  assert.deepEqual(troubles, []);
  cache.close();
  killed.cache.close();
});

test("refreshed is what is in force, due and used; the oldest first", () => {
  const { cache, at } = open(file());
  for (const [domain, ageDays] of [
    ["fresh.example", 0.5],
    ["due.example", 2],
    ["older.example", 3],
    ["expired.example", 8],
  ] as const)
    cache.put(policy(domain, NOW - ageDays * DAY));
  const domains = (limit = 10): string[] => cache.refreshable(limit).map(({ domain }) => domain);
  assert.deepEqual(domains(), ["older.example.", "due.example."]);
  assert.deepEqual(domains(1), ["older.example."]);
  cache.put(policy("year.example", NOW, 31_557_600));
  at(NOW + 29 * DAY);
  assert.deepEqual(domains(), ["year.example."]);
  at(NOW + 30 * DAY);
  assert.deepEqual(domains(), [], "nobody sent mail there for a month");
  cache.get("year.example.");
  assert.deepEqual(domains(), ["year.example."]);
  at(NOW + 59 * DAY);
  cache.peek("year.example.");
  cache.put(policy("year.example", NOW + 59 * DAY - 2 * DAY, 31_557_600));
  assert.deepEqual(domains(), ["year.example."]);
  at(NOW + 60 * DAY);
  assert.deepEqual(domains(), [], "a refresh is no use");
  cache.close();
});

test("expired policies are forgotten a week later, in the file too; a clock that jumps costs nothing before", () => {
  const path = file();
  const { cache, at } = open(path);
  cache.put(policy("example.org"));
  at(NOW + 13 * DAY);
  cache.sweep();
  at(NOW);
  assert.equal(cache.get("example.org.")?.id, "one");
  at(NOW + 15 * DAY);
  cache.sweep();
  assert.equal(cache.peek("example.org."), undefined);
  cache.close();
  assert.equal(open(path).cache.size, 0);
});

test("a bounded number of policies: the least recently used goes, from the file too", () => {
  const path = file();
  const { cache } = open(path, NOW, 3);
  for (const domain of ["a.example", "b.example", "c.example"]) cache.put(policy(domain));
  cache.get("a.example.");
  cache.put(policy("d.example"));
  cache.close();
  const again = open(path, NOW, 3);
  assert.deepEqual(
    ["a", "b", "c", "d"].map((label) => again.cache.peek(`${label}.example.`) !== undefined),
    [true, false, true, true],
  );
  again.cache.close();
});

test("a file that is no database is put aside, and told", () => {
  const path = file();
  writeFileSync(path, "hello, this is no database at all, but long enough to look like one".repeat(100));
  const { cache, troubles } = open(path);
  assert.equal(cache.size, 0);
  cache.put(policy("example.org"));
  cache.close();
  assert.match(troubles[0] ?? "", /cannot be read .*moved to .*unreadable-.*fetched anew/);
  assert.ok(existsSync(`${path}.unreadable-${NOW}`));
  assert.equal(open(path).cache.size, 1);
});

test("the file of a newer release is put aside, not overwritten", () => {
  const path = file();
  const newer = new DatabaseSync(path);
  newer.exec("CREATE TABLE policy (x); PRAGMA user_version = 99");
  newer.close();
  assert.match(open(path).troubles[0] ?? "", /newer release/);
  assert.ok(existsSync(`${path}.unreadable-${NOW}`));
});

test("a file that another process holds is left alone; policies then live in memory", () => {
  const path = file();
  const holder = open(path);
  holder.cache.put(policy("example.org"));
  const { cache, troubles } = open(path);
  cache.put(policy("other.example"));
  assert.equal(cache.get("other.example.")?.id, "one");
  assert.match(troubles[0] ?? "", /cannot be used .*end with this process/);
  holder.cache.close();
  assert.equal(open(path).cache.size, 1);
});

test("a place where no file can be made: policies live in memory", () => {
  const { cache, troubles } = open(join(DIRECTORY, "missing", "sts.db"));
  cache.put(policy("example.org"));
  assert.equal(cache.get("example.org.")?.id, "one");
  assert.equal(troubles.length, 1);
});

test("rows that this release would not have written are passed over", () => {
  const path = file();
  const { cache } = open(path);
  cache.put(policy("example.org"));
  cache.close();
  const database = new DatabaseSync(path);
  database.exec("INSERT INTO policy VALUES ('a..b', '1', 'version: STSv1', 0, 0), ('bad.example.', '1', 'mode: all', 0, 0)");
  database.close();
  assert.equal(open(path).cache.size, 1);
});

test("a copy that cannot be written is told, and the policy holds", () => {
  const path = file();
  const { cache, troubles } = open(path);
  cache.put(policy("before.example"));
  cache.close();
  cache.put(policy("example.org"));
  assert.equal(cache.get("example.org.")?.id, "one");
  assert.equal(troubles.length, 1);
});
