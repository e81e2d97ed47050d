import assert from "node:assert/strict";
import { test } from "node:test";
import { SPOOL_SETTING } from "../../../src/config/spoolSettings.ts";
import { spoolText, stateDirectoryOf } from "../../../src/config/stateDirectory.ts";
import { masked } from "../../../src/config/value.ts";

const off = { mode: "disable" } as const;

const LOCATIONS = [
  ["file:/var/spool/x", { kind: "file", directory: "/var/spool/x" }],
  ["postgres://db.example/relay", { kind: "postgres", host: "db.example", port: 5432, database: "relay", tls: off }],
  [
    "postgresql://relay:p%40ss@[2001:db8::1]:6432/mail%20queue",
    {
      kind: "postgres",
      host: "2001:db8::1",
      port: 6432,
      database: "mail queue",
      tls: off,
      user: "relay",
      password: "p@ss",
    },
  ],
  [
    "postgres://relay@db.example/relay?sslmode=verify-full&sslrootcert=/etc/ca.pem",
    {
      kind: "postgres",
      host: "db.example",
      port: 5432,
      database: "relay",
      tls: { mode: "verify-full", caFile: "/etc/ca.pem" },
      user: "relay",
    },
  ],
  [
    "postgres:///relay?host=/run/postgresql",
    { kind: "postgres", host: "/run/postgresql", port: 5432, database: "relay", tls: off },
  ],
] as const;

for (const [written, location] of LOCATIONS) {
  test(`spool: ${written}`, () => {
    assert.deepEqual(SPOOL_SETTING.type.parse(written), { kind: "value", value: location });
  });
}

test("what is printed of a spool has no password in it", () => {
  assert.equal(masked("postgres://relay:p@ss:word@db.example/relay"), "postgres://relay:***@db.example/relay");
  assert.equal(masked("postgres://relay@db.example:5432/relay"), "postgres://relay@db.example:5432/relay");
  const parsed = SPOOL_SETTING.type.parse("postgres://relay:secret@db.example/relay");
  assert.ok(parsed.kind === "value");
  assert.equal(spoolText({ spool: parsed.value }), "postgres://db.example:5432/relay");
});

test("the state directory is beside an embedded spool, and never in a database", () => {
  const file = { kind: "file", directory: "/spool" } as const;
  const shared = { kind: "postgres", host: "db", port: 5432, database: "relay", tls: off } as const;
  assert.equal(stateDirectoryOf({ spool: file, stateDirectory: undefined }), "/spool");
  assert.equal(stateDirectoryOf({ spool: shared, stateDirectory: undefined }), "./state");
  assert.equal(stateDirectoryOf({ spool: shared, stateDirectory: "/state" }), "/state");
});
