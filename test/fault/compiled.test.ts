import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { stringify } from "yaml";
import { compileRelay } from "./compiledRelay.ts";

/** What goes into an image: compiled JavaScript, run by an unprivileged user, and stopped by SIGTERM. */
const ROOT = join(import.meta.dirname, "..", "..");
const NOBODY = 65_534;
const HOST = "127.28.0.1";
const directory = mkdtempSync(join(tmpdir(), "dane-relay-compiled-"));
after(() => rmSync(directory, { recursive: true, force: true }));

async function ready(): Promise<boolean> {
  try {
    return (await fetch(`http://${HOST}:9025/readyz`)).ok;
  } catch (error) {
    // Nothing listens yet.
    if (error instanceof TypeError) return false;
    throw error;
  }
}

test("the compiled relay starts as an unprivileged user, is ready, and SIGTERM ends it with 0", {
  timeout: 120_000,
}, async () => {
  compileRelay(directory);
  const spool = join(directory, "spool");
  mkdirSync(spool, { mode: 0o700 });
  const identity = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  if ("uid" in identity) chownSync(spool, NOBODY, NOBODY);
  chmodSync(directory, 0o755);
  const configuration = {
    submission: { listen: [`${HOST}:2525`] },
    admin: { listen: `${HOST}:9025` },
    spool: `file:${spool}`,
    resolver: { mode: "forward", upstreams: [`${HOST}:5300`] },
  };
  const file = join(directory, "relay.yaml");
  writeFileSync(file, stringify(configuration));
  const child = spawn(process.execPath, ["dist/main.js", "serve", "--config", file], { cwd: directory, ...identity });
  const output: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => output.push(chunk));
  const exited = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
  try {
    while (!(await ready())) {
      assert.equal(child.exitCode, null, Buffer.concat(output).toString());
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.ok(existsSync(join(spool, "queue.db")));
  } finally {
    child.kill("SIGTERM");
  }
  assert.equal(await exited, 0, Buffer.concat(output).toString());
});

test("what the Dockerfile copies exists, and the unit starts what package.json starts", () => {
  const dockerfile = readFileSync(join(ROOT, "deploy", "Dockerfile"), "utf8");
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap((match) => (match[1] ?? "").split(" "));
  assert.ok(copied.includes("src"));
  assert.deepEqual(
    copied.filter((path) => !existsSync(join(ROOT, path))),
    [],
  );
  const unit = readFileSync(join(ROOT, "deploy", "dane-relay.service"), "utf8");
  assert.match(unit, /node_modules\/\.bin\/node --max-semi-space-size=4 src\/main\.ts serve --config/);
});
