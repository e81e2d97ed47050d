import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { FolderLock } from "../../../src/rollover/folderLock.ts";

const root = mkdtempSync(join(tmpdir(), "dane-relay-folder-lock-"));
after(() => rmSync(root, { recursive: true, force: true }));

const ROOT = join(import.meta.dirname, "..", "..", "..");
const MODULE = join(ROOT, "src", "rollover", "folderLock.ts");

function folder() {
  return { directory: mkdtempSync(join(root, "dir-")) };
}

function started(args: readonly string[]): { child: ChildProcess; out: () => string; ended: Promise<number | null> } {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => {
      out += chunk.toString();
    });
  return { child, out: () => out, ended: once(child, "close").then(([code]) => code as number | null) };
}

test("who comes second waits, and has it when the first is done; or is told that it is busy", async () => {
  const at = folder();
  const [first, second] = [new FolderLock(at), new FolderLock(at)];
  assert.equal(await first.take(), "taken");
  assert.equal(await second.take(0), "busy");
  const waiting = second.take();
  first.release();
  assert.equal(await waiting, "taken");
  assert.equal(await first.take(0), "busy");
  second.close();
  assert.equal(await first.take(0), "taken", "what is closed holds nothing");
  first.close();
});

test("a stop ends the waiting", async () => {
  const at = folder();
  const [first, second] = [new FolderLock(at), new FolderLock(at)];
  await first.take();
  const stop = new AbortController();
  const waiting = second.take(Number.POSITIVE_INFINITY, stop.signal);
  stop.abort();
  assert.equal(await waiting, "busy");
  first.close();
  second.close();
});

test("a holder that is killed holds it no longer", async () => {
  const at = folder();
  const script = `import { FolderLock } from ${JSON.stringify(MODULE)};
    const lock = new FolderLock({ directory: ${JSON.stringify(at.directory)} });
    await lock.take(); console.log("taken"); setInterval(() => lock, 1000);`;
  const holder = started(["--input-type=module", "-e", script]);
  while (!holder.out().includes("taken")) {
    assert.equal(holder.child.exitCode, null, holder.out());
    await delay(20);
  }
  const lock = new FolderLock(at);
  assert.equal(await lock.take(0), "busy");
  holder.child.kill("SIGKILL");
  await holder.ended;
  assert.equal(await lock.take(), "taken");
  lock.close();
});

test("a link in the lock's place makes no file elsewhere; no folder, no lock", () => {
  const at = folder();
  const elsewhere = join(root, "elsewhere");
  symlinkSync(elsewhere, join(at.directory, "rollover.lock"));
  assert.throws(() => new FolderLock(at), /not a regular file/);
  assert.ok(!existsSync(elsewhere));
  assert.throws(() => new FolderLock({ directory: join(root, "none") }), /ENOENT/);
});

test("runs of the command take turns: of two that begin at once one begins, and it waits for whoever is at work", async () => {
  const at = folder();
  const lock = new FolderLock(at);
  await lock.take();
  const init = ["init", "--dir", at.directory, "--host", "mx.example.org"];
  const main = join(ROOT, "src", "main.ts");
  const runs = [started([main, "tlsa", "rollover", ...init]), started([main, "tlsa", "rollover", ...init])];
  // Long enough for a run that waits for nobody; one that is slower shows nothing, and fails nothing.
  await Promise.race([delay(3000), ...runs.map(({ ended }) => ended)]);
  assert.ok(!existsSync(join(at.directory, "rollover.json")), "nothing is done under somebody's lock");
  lock.close();
  const statuses = await Promise.all(runs.map(({ ended }) => ended));
  const said = runs.map(({ out }) => out()).join("\n");
  assert.deepEqual(statuses.toSorted(), [0, 2], said);
  assert.match(said, /has a rollover of mx\.example\.org already/);
  const { keys } = JSON.parse(readFileSync(join(at.directory, "rollover.json"), "utf8")) as { keys: { fingerprint: string }[] };
  for (const { fingerprint } of keys) assert.ok(existsSync(join(at.directory, `${fingerprint.slice(0, 16)}.key`)));
});
