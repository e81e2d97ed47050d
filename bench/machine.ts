import { execFileSync } from "node:child_process";
import { cpus, totalmem } from "node:os";

/** The first lines of every benchmark: where and on what it ran. */
export function machineLines(): string[] {
  const processors = cpus();
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  const changed =
    execFileSync("git", ["status", "--porcelain"], { encoding: "utf8" }).trim() === "" ? "" : " with uncommitted changes";
  return [
    `machine: ${processors.length} x ${processors[0]?.model ?? "unknown processor"}, ${Math.round(totalmem() / 2 ** 30)} GiB, node ${process.version}`,
    `commit: ${commit}${changed}`,
  ];
}

/** Median of at least one number; of an even count the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  if (low === undefined || high === undefined) throw new Error("no median of nothing");
  return (low + high) / 2;
}
