import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { LineWriter } from "../../../src/log/lineWriter.ts";

const LINES = Array.from({ length: 20_000 }, (_, i) => `${i} ä ${"x".repeat(i % 90)}\n`);

test("every line, whole and in order", async () => {
  const folder = mkdtempSync(join(tmpdir(), "dane-relay-log-"));
  const path = join(folder, "log");
  const descriptor = openSync(path, "w");
  const writer = new LineWriter(descriptor);
  for (const line of LINES) writer.write(line);
  await writer.flush();
  closeSync(descriptor);
  assert.equal(readFileSync(path, "utf8"), LINES.join(""));
  rmSync(folder, { recursive: true });
});

test("a full disk neither throws nor keeps flush from ending", async () => {
  const descriptor = openSync("/dev/full", "w");
  const writer = new LineWriter(descriptor);
  for (const line of LINES) writer.write(line);
  await writer.flush();
  closeSync(descriptor);
});

test("a reader that has gone ends the writing, not the process", async () => {
  const code = [
    `import { LineWriter } from ${JSON.stringify(join(import.meta.dirname, "../../../src/log/lineWriter.ts"))};`,
    "const writer = new LineWriter(1);",
    "process.stdin.once('data', async () => {",
    "  writer.write('lost\\n'); await writer.flush();",
    "  writer.write('lost too\\n'); await writer.flush();",
    "  process.exit(7);",
    "});",
    "process.stderr.write('ready');",
  ].join("\n");
  const child = spawn(process.execPath, ["--input-type=module", "--eval", code], { stdio: "pipe" });
  await once(child.stderr, "data");
  child.stdout.destroy();
  child.stdin.write("go");
  const [status] = await once(child, "exit");
  assert.equal(status, 7);
});
