import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { stringify } from "yaml";
import { type Daemon, startDaemon } from "../lab/daemon.ts";

/** The relay as its users run it, as a process to be killed: everything goes to one address, and nothing is looked up. */
export type RelayPlan = {
  directory: string;
  listen: { address: string; port: number };
  next: { address: string; port: number };
  /** Over the settings that every such relay has. */
  delivery?: object;
};

const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts");
const ADMIN_PORT = 9025;
/** No server is there, and no question is asked: routes by address need no DNS. */
const NO_RESOLVER = "127.0.0.1:9";

function accepts({ address, port }: RelayPlan["listen"]): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: address, port });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

export class RelayChild {
  readonly #daemon: Daemon;
  readonly #plan: RelayPlan;

  private constructor(daemon: Daemon, plan: RelayPlan) {
    this.#daemon = daemon;
    this.#plan = plan;
  }

  /** Starts on whatever spool is in `plan.directory`; resolves when it accepts mail. */
  static async start(plan: RelayPlan): Promise<RelayChild> {
    const { directory, listen, next } = plan;
    const file = join(directory, "relay.yaml");
    const configuration = {
      hostname: "relay.example",
      submission: { listen: [`${listen.address}:${listen.port}`] },
      admin: { listen: `${listen.address}:${ADMIN_PORT}` },
      spool: `file:${join(directory, "spool")}`,
      resolver: { mode: "forward", upstreams: [NO_RESOLVER] },
      delivery: {
        allowLoopback: true,
        routes: [{ domain: "*", nextHop: `[${next.address}]:${next.port}` }],
        retry: { initialSeconds: 1 },
        ...plan.delivery,
      },
    };
    writeFileSync(file, stringify(configuration));
    const daemon = await startDaemon({
      name: "relay",
      command: process.execPath,
      arguments: [MAIN, "serve", "--config", file],
      logFile: join(directory, "log"),
      ready: () => accepts(listen),
    });
    return new RelayChild(daemon, plan);
  }

  get address(): string {
    return `${this.#plan.listen.address}:${this.#plan.listen.port}`;
  }

  log(): string {
    return this.#daemon.log();
  }

  /** kill -9; resolves when it is dead. */
  async kill(): Promise<void> {
    // The process itself, not the leash that holds it.
    process.kill(Number(readFileSync(join(this.#plan.directory, "spool", "pid"), "utf8")), "SIGKILL");
    await this.#daemon.stop();
  }

  /** SIGTERM; resolves when it has ended. */
  async stop(): Promise<void> {
    await this.#daemon.stop();
  }

  /** Messages in the queue, by the relay's own count. */
  async queued(): Promise<number> {
    const response = await fetch(`http://${this.#plan.listen.address}:${ADMIN_PORT}/metrics`);
    const gauges = [...(await response.text()).matchAll(/^dane_relay_queue_messages\{state="\w+"\} (\d+)$/gm)];
    assert.equal(gauges.length, 4, "a gauge for each state of the queue");
    return gauges.reduce((sum, [, value]) => sum + Number(value), 0);
  }
}
