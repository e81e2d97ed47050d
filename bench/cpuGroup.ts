import { existsSync, mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { until } from "./sink.ts";

/**
 * CPU of everything that a program starts, by a control group of its own: some mail servers leave children behind whose time nobody is told of
 * when they end (SIGCHLD ignored), so that the process tree (processTree.ts) shows less than was used.
 */
export type CpuGroup = {
  /** The command, begun inside the group. */
  inside: (command: string, argv: readonly string[]) => { command: string; arguments: readonly string[] };
  cpuSeconds: () => number;
  /** Ends what is left in it. */
  remove: () => Promise<void>;
};

const ACCOUNTING = "/sys/fs/cgroup/cpuacct";
const UNIFIED = "/sys/fs/cgroup";
const ENTER = 'echo $$ > "$1/cgroup.procs" && shift && exec "$@"';

/** For killed processes to be gone. */
const END_MILLISECONDS = 10_000;

let groups = 0;

/** Throws where this process may not make control groups. */
export function makeCpuGroup(): CpuGroup {
  groups += 1;
  const legacy = existsSync(ACCOUNTING);
  const directory = join(legacy ? ACCOUNTING : UNIFIED, `dane-relay-bench-${process.pid}-${groups}`);
  mkdirSync(directory);
  const read = (file: string): string => readFileSync(join(directory, file), "utf8");
  return {
    inside: (command, argv) => ({ command: "/bin/sh", arguments: ["-c", ENTER, "sh", directory, command, ...argv] }),
    cpuSeconds: () =>
      legacy ? Number(read("cpuacct.usage")) / 1e9 : Number(/^usage_usec (\d+)/m.exec(read("cpu.stat"))?.[1]) / 1e6,
    remove: async () => {
      const members = (): number[] => read("cgroup.procs").split("\n").filter(Boolean).map(Number);
      for (const pid of members()) end(pid);
      await until(
        () => members().length === 0,
        END_MILLISECONDS,
        () => `processes stay in ${directory}`,
      );
      rmdirSync(directory);
    },
  };
}

function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    // It has ended by itself meanwhile.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}
