import { readdirSync, readFileSync } from "node:fs";

/** CPU and memory of a process with all its descendants, from /proc: what a relay costs, whatever it forks. */
const TICKS_PER_SECOND = 100;

type Stat = { pid: number; parent: number; cpuTicks: number };

function statOf(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    // It ended between readdir and now; its time is in its parent's account of ended children.
    return undefined;
  }
  const fields = text
    .slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
  const [, parent = 0] = fields;
  // utime, stime, and both of the children that have ended (proc(5), fields 14 to 17).
  const cpuTicks = [11, 12, 13, 14].reduce((sum, index) => sum + (fields[index] ?? 0), 0);
  return { pid, parent, cpuTicks };
}

export function descendants(root: number): readonly Stat[] {
  const all = readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map((entry) => statOf(Number(entry)))
    .filter((stat) => stat !== undefined);
  const found: Stat[] = all.filter((stat) => stat.pid === root);
  for (const parent of found) found.push(...all.filter((stat) => stat.parent === parent.pid && stat.pid !== root));
  return found;
}

/** CPU seconds used so far by `root` and everything below it. */
export function cpuSeconds(root: number): number {
  return descendants(root).reduce((sum, stat) => sum + stat.cpuTicks, 0) / TICKS_PER_SECOND;
}

/** Proportional set size in MiB: shared pages are counted once over all processes. */
export function memoryMiB(root: number): number {
  let kib = 0;
  for (const { pid } of descendants(root)) {
    try {
      kib += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0);
    } catch {
      // Ended meanwhile: it holds no memory.
      kib += 0;
    }
  }
  return kib / 1024;
}

/** The same from the scheduler's own account, to the nanosecond; without children that have ended. */
export function schedulerCpuSeconds(root: number): number {
  let nanoseconds = 0;
  for (const { pid } of descendants(root)) {
    for (const task of readdirSync(`/proc/${pid}/task`))
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ")[0]);
  }
  return nanoseconds / 1e9;
}
