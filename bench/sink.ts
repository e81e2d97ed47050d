import { type ChildProcess, spawn } from "node:child_process";
import { createConnection } from "node:net";

/** Postfix's own smtp-sink on a loopback address: accepts, discards and counts. A fresh one for each run, so that no run counts another's. */
export type Sink = { address: string; port: number; received: () => number; stop: () => Promise<void> };

export async function startSink(address: string, port: number): Promise<Sink> {
  const child: ChildProcess = spawn("smtp-sink", ["-c", "-u", "nobody", `${address}:${port}`, "1000"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let tail = "";
  let received = 0;
  child.stdout?.on("data", (chunk: Buffer) => {
    tail = (tail + chunk.toString("latin1")).slice(-200);
    const counts = [...tail.matchAll(/mesg=(\d+)/g)];
    received = Math.max(received, Number(counts[counts.length - 1]?.[1] ?? 0));
  });
  await until(async () => listens(address, port), 5000, `smtp-sink on ${address}:${port}`);
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      child.once("exit", () => resolve());
      child.kill("SIGKILL");
    });
  return { address, port, received: () => received, stop };
}

export function listens(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: address, port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** Waits until `condition` holds; rejects after `milliseconds` naming what did not come. */
export async function until(condition: () => boolean | Promise<boolean>, milliseconds: number, what: string): Promise<void> {
  const deadline = performance.now() + milliseconds;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${milliseconds} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
