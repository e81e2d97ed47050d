import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..", "..");

/** Puts into `directory` what an image holds: dist, package.json, node_modules. */
export function compileRelay(directory: string): void {
  const argv = ["-p", "deploy", "--outDir", join(directory, "dist")];
  const { status, stdout } = spawnSync(join(ROOT, "node_modules", ".bin", "tsc"), argv, { cwd: ROOT, encoding: "utf8" });
  assert.equal(status, 0, stdout);
  copyFileSync(join(ROOT, "package.json"), join(directory, "package.json"));
  symlinkSync(join(ROOT, "node_modules"), join(directory, "node_modules"));
}
