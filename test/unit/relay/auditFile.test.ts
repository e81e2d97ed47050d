import assert from "node:assert/strict";
import { chownSync, linkSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { loadConfig } from "../../../src/config/load.ts";
import { auditedQueue } from "../../../src/relay/auditFile.ts";
import type { QueueAdmin } from "../../../src/spool/queueAdmin.ts";

const root = mkdtempSync(join(tmpdir(), "dane-relay-audit-"));
after(() => rmSync(root, { recursive: true, force: true }));

/** Another user, where there may be one. */
const OTHER = process.getuid?.() === 0 ? 65_534 : (process.getuid?.() ?? 0);

function world() {
  const directory = mkdtempSync(join(root, "spool-"));
  if (process.getuid?.() === 0) chownSync(directory, OTHER, OTHER);
  const loaded = loadConfig({ environment: {}, readFile: () => ({ kind: "missing" }), hostname: "mx.example.org" });
  assert.ok(loaded.kind === "config");
  const done: string[] = [];
  const queue = {
    act: (action: string) => {
      done.push(action);
      return Promise.resolve({ changed: 1, unchanged: 0, busy: 0, unknown: [] });
    },
  } as unknown as QueueAdmin;
  const file = join(directory, "audit.log");
  return { directory, file, done, queue: auditedQueue(queue, { ...loaded.config, spool: { kind: "file", directory } }) };
}

test("the file is for its owner alone, who is the directory's; lines are added", async () => {
  const { file, queue } = world();
  await queue.act("hold", { domain: "a.example" });
  await queue.act("delete", {});
  const { mode, uid } = statSync(file);
  assert.deepEqual([mode & 0o777, uid], [0o600, OTHER]);
  const lines = readFileSync(file, "utf8").trim().split("\n");
  assert.deepEqual(
    lines
      .map((line) => JSON.parse(line) as { who: string; uid: number; action: string; changed: number })
      .map(({ who, uid: by, action, changed }) => [who, by, action, changed]),
    [
      ["local", process.getuid?.(), "hold", 1],
      ["local", process.getuid?.(), "delete", 1],
    ],
  );
});

for (const [what, make] of [
  ["a link", symlinkSync],
  ["another name of a file", linkSync],
] as const) {
  test(`${what} in its place is not written through, and nothing is done`, async () => {
    const { directory, file, queue, done } = world();
    const elsewhere = join(directory, "elsewhere");
    writeFileSync(elsewhere, "precious");
    make(elsewhere, file);
    await assert.rejects(queue.act("delete", {}), /ELOOP|not a regular file/);
    assert.deepEqual(done, []);
    assert.equal(readFileSync(elsewhere, "utf8"), "precious");
  });
}
