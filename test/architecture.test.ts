import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type SourceFile, violationsOf } from "./architecture/rules.ts";

/** design.md §1, enforced: import directions, purity, no cycles, sizes, names. The rules themselves are tested in architecture/. */

const SRC = join(import.meta.dirname, "..", "src");

function sourceFiles(): readonly SourceFile[] {
  const entries = readdirSync(SRC, { recursive: true, encoding: "utf8" });
  const paths = entries.filter((path) => path.endsWith(".ts")).map((path) => path.replaceAll("\\", "/"));
  return paths.sort().map((path) => ({ path, text: readFileSync(join(SRC, path), "utf8") }));
}

test("src/ keeps to the house rules", () => {
  const files = sourceFiles();
  assert.ok(files.length > 10, `only ${files.length} files below ${SRC}`);
  const violations = violationsOf(files);
  assert.equal(violations.length, 0, `\n${violations.join("\n")}\n`);
});
