import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";

/**
 * A server program that cannot outlive this process: it runs under a leash, a shell that waits for the end of its standard input. When
 * the pipe closes (stop, crash or kill -9 of this process) the program gets SIGTERM, and what is left of its group SIGKILL 3 s later.
 */
export type Daemon = { name: string; pid: number; log: () => string; stop: () => Promise<void>; exited: () => boolean };

const LEASH = `
exec 3<&0 </dev/null
"$@" 3<&- & child=$!
(
  cat <&3 >/dev/null
  kill -TERM "$child" 2>/dev/null
  tries=0
  while kill -0 "$child" 2>/dev/null && [ "$tries" -lt 30 ]; do tries=$((tries + 1)); sleep 0.1; done
  kill -KILL 0
) & leash=$!
exec 3<&-
wait "$child"; status=$?
kill -KILL "$leash" 2>/dev/null
exit "$status"
`;

const STARTUP_MILLISECONDS = 90_000;
const POLL_MILLISECONDS = 20;

export type DaemonOptions = {
  name: string;
  command: string;
  arguments: readonly string[];
  logFile: string;
  environment?: NodeJS.ProcessEnv;
  /** Resolves to whether the program serves now. */
  ready: () => Promise<boolean>;
};

const running = new Set<ChildProcess>();

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    const gone = error instanceof Error && "code" in error && error.code === "ESRCH";
    if (!gone) throw error;
  }
}

function waitForExit(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once("exit", () => resolve()));
}

/** Starts a program and waits until it serves; rejects with the end of its log when it does not. */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const log = openSync(options.logFile, "a");
  const child = spawn("/bin/sh", ["-c", LEASH, options.name, options.command, ...options.arguments], {
    stdio: ["pipe", log, log],
    detached: true,
    env: options.environment ?? process.env,
  });
  closeSync(log);
  const spawned = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("spawn", () => resolve(child.pid ?? 0));
  });
  running.add(child);
  const exited = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const readLog = (): string => readFileSync(options.logFile, "utf8");
  const stop = async (): Promise<void> => {
    child.stdin?.destroy();
    await waitForExit(child);
    killGroup(spawned);
    running.delete(child);
  };
  const deadline = performance.now() + STARTUP_MILLISECONDS;
  while (!(await options.ready())) {
    if (exited() || performance.now() > deadline) {
      await stop();
      throw new Error(`${options.name} did not start:\n${readLog().slice(-2000)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
  }
  return { name: options.name, pid: spawned, log: readLog, stop, exited };
}
