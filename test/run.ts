import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join, sep } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { ensurePackages } from "./packages.ts";

/**
 * What `npm test` runs: the Debian packages, the compiler, the linters, then every test. Files of test/lab and test/fault start servers
 * and kill them, so they run one after the other; the rest two at a time. A skipped test fails the run: nothing here may be left out.
 */
type Counts = { tests: number; suites: number; passed: number; failed: number; cancelled: number; skipped: number; todo: number };

const ROOT = join(import.meta.dirname, "..");
const PARALLEL_FILES = 2;
const FILE_MILLISECONDS = 600_000;
const STATIC_CHECKS: readonly (readonly [string, ...string[]])[] = [["tsc"], ["biome", "check", "."], ["knip"]];

function checkStatically(): void {
  const failed = STATIC_CHECKS.filter(([command, ...argv]) => {
    console.log(`> ${[command, ...argv].join(" ")}`);
    const { status, error } = spawnSync(join(ROOT, "node_modules", ".bin", command), argv, { cwd: ROOT, stdio: "inherit" });
    if (error !== undefined) console.error(String(error));
    return status !== 0;
  });
  if (failed.length === 0) return;
  console.error(`static checks failed: ${failed.map(([command]) => command).join(", ")}; no test was run`);
  process.exit(1);
}

function inTurn(file: string): boolean {
  return file.startsWith(`test${sep}lab${sep}`) || file.startsWith(`test${sep}fault${sep}`);
}

function runFiles(files: readonly string[], concurrency: number): Promise<Counts> {
  return new Promise((resolve, reject) => {
    const stream = run({ files: files.map((file) => join(ROOT, file)), concurrency, cwd: ROOT, timeout: FILE_MILLISECONDS });
    let counts: Counts | undefined;
    stream.on("test:summary", (summary) => {
      if (summary.file !== undefined) return;
      const { tests, suites, passed, cancelled, skipped, todo } = summary.counts;
      counts = { tests, suites, passed, cancelled, skipped, todo, failed: tests - passed - cancelled - skipped - todo };
    });
    const report = stream.compose(spec);
    report.on("end", () => (counts === undefined ? reject(new Error("the test runner gave no summary")) : resolve(counts)));
    report.on("error", reject);
    report.pipe(process.stdout, { end: false });
  });
}

function sum(all: readonly Counts[], key: keyof Counts): number {
  return all.reduce((total, counts) => total + counts[key], 0);
}

ensurePackages();
checkStatically();
const files = globSync("test/**/*.test.ts", { cwd: ROOT }).toSorted();
const started = performance.now();
const all = [
  await runFiles(
    files.filter((file) => !inTurn(file)),
    PARALLEL_FILES,
  ),
  await runFiles(files.filter(inTurn), 1),
];

console.log(`\nall of the above, ${files.length} files:`);
for (const [label, key] of [
  ["tests", "tests"],
  ["suites", "suites"],
  ["pass", "passed"],
  ["fail", "failed"],
  ["cancelled", "cancelled"],
  ["skipped", "skipped"],
  ["todo", "todo"],
] as const)
  console.log(`ℹ ${label} ${sum(all, key)}`);
console.log(`ℹ duration_ms ${(performance.now() - started).toFixed(3)}`);
const unfit = sum(all, "failed") + sum(all, "cancelled") + sum(all, "skipped") + sum(all, "todo");
process.exitCode = unfit === 0 && sum(all, "passed") > 0 ? 0 : 1;
