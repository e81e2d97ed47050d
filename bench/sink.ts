import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { startDaemon } from "../test/lab/daemon.ts";
import type { Endpoint } from "./sender.ts";

/** Accepts, discards and counts. A fresh one on a fresh port for each run, so that no message of another run counts. */
export type Sink = Endpoint & { received: () => number; stop: () => Promise<void> };

/** Octets at the end of its output in which the latest count stands. */
const TAIL_OCTETS = 200;
/** Of connections that wait to be accepted. */
const BACKLOG = 1000;

/** Postfix's own smtp-sink. */
export function startPlainSink(directory: string, at: Endpoint): Promise<Sink> {
  return startSink(directory, at, "smtp-sink", ["-c", "-u", "nobody", `${at.address}:${at.port}`, `${BACKLOG}`]);
}

/** A receiving host; `identity`: a PEM file with the key and the chain, without which there is no STARTTLS. */
export type ReceivingHost = { address: string; identity?: string };

/** One process for all `hosts`, which counts what comes from senders with `token` in their address. */
export function startOwnSink(
  directory: string,
  hosts: readonly [ReceivingHost, ...ReceivingHost[]],
  port: number,
  token: string,
  farewell: "keeps" | "ends",
): Promise<Sink> {
  const program = join(import.meta.dirname, "sinkProcess.ts");
  const places = hosts.map(({ address, identity }) => (identity === undefined ? address : `${address}=${identity}`));
  const at = { address: hosts[0].address, port };
  return startSink(directory, at, process.execPath, [program, token, farewell, `${port}`, ...places]);
}

async function startSink(directory: string, at: Endpoint, command: string, argv: readonly string[]): Promise<Sink> {
  const logFile = join(directory, "sink");
  const ready = (): Promise<boolean> => listens(at);
  const daemon = await startDaemon({ name: "sink", command, arguments: argv, logFile, ready });
  const output = openSync(logFile, "r");
  const stop = async (): Promise<void> => {
    closeSync(output);
    await daemon.stop();
  };
  return { ...at, received: () => latestCount(output), stop };
}

/** Both sinks write `mesg=N` again and again. */
function latestCount(output: number): number {
  const tail = Buffer.alloc(TAIL_OCTETS);
  const octets = readSync(output, tail, 0, TAIL_OCTETS, Math.max(0, fstatSync(output).size - TAIL_OCTETS));
  // The last count may be half written: only what something follows counts.
  const counts = [...tail.toString("latin1", 0, octets).matchAll(/mesg=(\d+)(?=\D)/g)];
  return Number(counts.at(-1)?.[1] ?? 0);
}

export function listens({ address, port }: Endpoint): Promise<boolean> {
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
export async function until(condition: () => boolean, milliseconds: number, what: () => string): Promise<void> {
  const deadline = performance.now() + milliseconds;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`${what()}: not within ${milliseconds} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
