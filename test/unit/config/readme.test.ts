import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { referenceTable } from "../../../src/config/reference.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..");
const README = readFileSync(join(ROOT, "README.md"), "utf8");

test("the README's table of settings is the one that the table of settings makes", () => {
  const table = /<!-- settings:[^\n]*-->\n([\s\S]*?)\n<!-- end of settings -->/.exec(README)?.[1];
  assert.equal(table, referenceTable().trim());
});

test("every file that the README links to exists", () => {
  const links = [...README.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map((match) => match[1] ?? "");
  assert.ok(links.length > 10);
  assert.deepEqual(
    links.filter((link) => !existsSync(join(ROOT, link))),
    [],
  );
});

test("every npm script that the README names exists", () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { scripts: Record<string, string> };
  const named = [...README.matchAll(/npm run (?:-s )?([a-z-]+)/g)].map((match) => match[1] ?? "");
  assert.deepEqual(
    named.filter((script) => scripts[script] === undefined),
    [],
  );
});
