import { spawnSync } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { ensurePackages } from "./packages.ts";

/**
 * What `npm test` runs: the Debian packages, the compiler, the linters, then every test. Files of test/lab and test/fault start servers
 * and kill them, so they run one after the other; the rest two at a time. A skipped test fails the run: nothing here may be left out.
 */
type Counts = { tests: number; suites: number; passed: number; failed: number; cancelled: number; skipped: number; todo: number };
/** `success` also knows of hooks that failed, which no count does. */
type Result = { counts: Counts; success: boolean; failures: readonly string[] };

const ROOT = join(import.meta.dirname, "..");
const PARALLEL_FILES = 2;
const FILE_MILLISECONDS = 600_000;
const STATIC_CHECKS: readonly (readonly [string, ...string[]])[] = [
  ["tsc"],
  ["biome", "check", "."],
  ...(existsSync(join(ROOT, "knip.json")) ? [["knip"] as const] : []),
];

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

function runFiles(files: readonly string[], concurrency: number): Promise<Result> {
  return new Promise((resolve, reject) => {
    const stream = run({ files: files.map((file) => join(ROOT, file)), concurrency, cwd: ROOT, timeout: FILE_MILLISECONDS });
    const failures: string[] = [];
    let result: Result | undefined;
    stream.on("test:fail", ({ file, name }) => {
      failures.push(`${file === undefined ? "" : `${relative(ROOT, file)}: `}${name}`);
    });
    stream.on("test:summary", ({ file, counts, success }) => {
      if (file !== undefined) return;
      const { tests, suites, passed, cancelled, skipped, todo } = counts;
      const failed = tests - passed - cancelled - skipped - todo;
      result = { counts: { tests, suites, passed, cancelled, skipped, todo, failed }, success, failures };
    });
    const report = stream.compose(spec);
    report.on("end", () => (result === undefined ? reject(new Error("the test runner gave no summary")) : resolve(result)));
    report.on("error", reject);
    report.pipe(process.stdout, { end: false });
  });
}

/** In the words of the runner's own summary, which has one for each of the two runs above. */
function printTotals(results: readonly Result[], files: number, milliseconds: number): void {
  const sum = (key: keyof Counts): number => results.reduce((total, { counts }) => total + counts[key], 0);
  const failures = results.flatMap((result) => result.failures);
  console.log(`\nall of the above, ${files} files:`);
  for (const failure of failures) console.log(`✖ ${failure}`);
  for (const [label, key] of LABELS) console.log(`ℹ ${label} ${sum(key)}`);
  console.log(`ℹ duration_ms ${milliseconds.toFixed(3)}`);
}

const LABELS: readonly (readonly [string, keyof Counts])[] = [
  ["tests", "tests"],
  ["suites", "suites"],
  ["pass", "passed"],
  ["fail", "failed"],
  ["cancelled", "cancelled"],
  ["skipped", "skipped"],
  ["todo", "todo"],
];

ensurePackages();
checkStatically();
const files = globSync("test/**/*.test.ts", { cwd: ROOT }).toSorted();
const started = performance.now();
const apart = await runFiles(
  files.filter((file) => !inTurn(file)),
  PARALLEL_FILES,
);
const results = [apart, await runFiles(files.filter(inTurn), 1)];
printTotals(results, files.length, performance.now() - started);
const fit = results.every(({ success, counts }) => success && counts.passed > 0 && counts.skipped + counts.todo === 0);
process.exitCode = fit ? 0 : 1;
