import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { permissionOf } from "../../../src/admin/access.ts";
import { loadConfig } from "../../../src/config/load.ts";
import type { Config } from "../../../src/config/schema.ts";
import type { LogEvent } from "../../../src/log.ts";
import { openAdminAccess } from "../../../src/relay/adminAccess.ts";

function configWith(tokenFile: string | undefined): Config {
  const loaded = loadConfig({ environment: {}, readFile: () => ({ kind: "missing" }), hostname: "mx.example.org" });
  assert.equal(loaded.kind, "config", JSON.stringify(loaded));
  return { ...loaded.config, admin: { ...loaded.config.admin, tokenFile } };
}

const ONE = "the-first-token-of-this-test";
const TWO = "the-second-token-of-this-test";

test("a reload brings another token, or none; what cannot be read changes nothing; wrong ones are logged", () => {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-access-"));
  try {
    const [first, second] = [join(directory, "one"), join(directory, "two")];
    writeFileSync(first, ONE, { mode: 0o600 });
    const events: LogEvent[] = [];
    const log = {
      event: (event: LogEvent) => void events.push(event),
      reconfigure: () => undefined,
      flush: () => Promise.resolve(),
    };
    const clock = { now: () => 0, monotonic: () => 0 };
    const opened = openAdminAccess({ config: configWith(first), clock, log });
    const answerTo = (token: string): string => {
      const headers = { authorization: `Bearer ${token}` };
      const caller = { kind: "remote", address: "192.0.2.1", ownAddress: "192.0.2.2", headers } as const;
      const permission = permissionOf(caller, "action", opened.access());
      return permission.kind === "granted" ? permission.actor.who : String((permission.answer.body as { error: string }).error);
    };
    assert.deepEqual([answerTo(ONE), answerTo(TWO)], ["token", "wrong-token"]);
    assert.deepEqual(events, [
      { event: "authentication", result: "failed", client: "192.0.2.1", reason: "not the token of admin.tokenFile" },
    ]);
    const refused = opened.reload(configWith(second));
    assert.ok(refused.kind === "refused" && refused.key === "admin.tokenFile" && refused.reason.includes(second));
    assert.equal(answerTo(ONE), "token");
    writeFileSync(second, TWO, { mode: 0o600 });
    const read = opened.reload(configWith(second));
    assert.ok(read.kind === "read");
    // Something else of the configuration may still be refused.
    assert.equal(answerTo(ONE), "token");
    read.apply();
    assert.deepEqual([answerTo(TWO), answerTo(ONE)], ["token", "wrong-token"]);
    const none = opened.reload(configWith(undefined));
    assert.ok(none.kind === "read");
    none.apply();
    assert.equal(answerTo(TWO), "actions-disabled");
    assert.throws(
      () => openAdminAccess({ config: configWith(join(directory, "none")), clock, log }),
      /admin\.tokenFile: .*ENOENT/,
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("a token file that can't be used shows in /readyz until it is mended; the token from before counts meanwhile", () => {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-access-"));
  try {
    const file = join(directory, "token");
    writeFileSync(file, ONE, { mode: 0o600 });
    const events: LogEvent[] = [];
    const log = {
      event: (event: LogEvent) => void events.push(event),
      reconfigure: () => undefined,
      flush: () => Promise.resolve(),
    };
    let monotonic = 0;
    const opened = openAdminAccess({ config: configWith(file), clock: { now: () => 0, monotonic: () => monotonic }, log });
    assert.deepEqual(opened.check(), []);
    writeFileSync(file, "short");
    monotonic += 10_000;
    const [check] = opened.check();
    assert.deepEqual([check?.name, check?.status], ["file of token", "degraded"]);
    assert.match(check?.text ?? "", /the token from before still counts.* has 5 characters/);
    assert.equal(events.length, 1);
    const { token } = opened.access();
    assert.ok(token.kind === "configured" && token.matches(ONE) && !token.matches("short"));
    writeFileSync(file, TWO);
    monotonic += 10_000;
    assert.deepEqual(opened.check(), []);
    assert.ok(token.matches(TWO));
    const none = opened.reload(configWith(undefined));
    assert.ok(none.kind === "read");
    none.apply();
    assert.deepEqual(opened.check(), [], "no file, no trouble");
  } finally {
    rmSync(directory, { recursive: true });
  }
});
