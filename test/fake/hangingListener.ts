import { spawn } from "node:child_process";
import { once } from "node:events";
import { createConnection, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** An address where nobody answers: a listener that takes no connection and whose queue is full, so that the kernel drops what else comes. */
export type HangingListener = { port: number; close: () => Promise<void> };

const PROGRAM = `
  const [address, port] = process.argv.slice(1);
  const server = require("node:net").createServer().listen({ host: address, port: Number(port), backlog: 1 }, () => {
    require("node:fs").writeSync(1, server.address().port + "\\n");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
`;

/** Connections that nobody accepts; the queue of a backlog of one holds two. */
const FILLERS = 4;
const STAYS_OPEN_MILLISECONDS = 100;

export async function hangingListener(address: string, port = 0): Promise<HangingListener> {
  const child = spawn(process.execPath, ["-e", PROGRAM, address, String(port)], { stdio: ["ignore", "pipe", "inherit"] });
  const [told] = (await once(child.stdout, "data")) as [Buffer];
  const listening = Number(told.toString());
  const fillers: Socket[] = [];
  for (let connected = true; connected || fillers.length < FILLERS; ) {
    const filler = createConnection(listening, address);
    filler.on("error", () => undefined);
    fillers.push(filler);
    connected = await Promise.race([once(filler, "connect").then(() => true), delay(STAYS_OPEN_MILLISECONDS, false)]);
  }
  return {
    port: listening,
    close: async () => {
      for (const filler of fillers) filler.destroy();
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}
