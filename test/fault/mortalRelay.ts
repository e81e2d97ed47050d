import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import type { CommitPoint } from "../../src/spool/commitPoint.ts";

/** The relay as a process to be killed: everything goes to one address, and nothing is looked up. */
export type RelayPlan = {
  /** Its configuration, its log and its spool. */
  directory: string;
  listen: { address: string; port: number };
  next: { address: string; port: number };
  /** It dies by itself when it is at this point for the `hit`th time. */
  dieAt?: { point: CommitPoint; hit: number };
  /** Over the settings that every such relay has. */
  delivery?: object;
  submission?: object;
  /** Over all of them, whole sections. */
  settings?: object;
  /** Arguments for node. */
  nodeOptions?: readonly string[];
  environment?: NodeJS.ProcessEnv;
};

const PROGRAM = join(import.meta.dirname, "relayProcess.ts");
const KILL_AT = new URL("killAt.ts", import.meta.url);
const ADMIN_PORT = 9025;
/** No server is there, and no question is asked: routes by address need no DNS. */
const NO_RESOLVER = "127.0.0.1:9";

export class MortalRelay {
  readonly #process: ChildProcess;
  readonly #plan: RelayPlan;
  readonly #logFile: string;
  /** Resolves with the signal or status that it ended by. */
  readonly ended: Promise<string>;

  /** Starts on whatever spool is in `plan.directory`. */
  constructor(plan: RelayPlan) {
    const { directory, listen, next, dieAt } = plan;
    const file = join(directory, "relay.yaml");
    const configuration = {
      hostname: "relay.example",
      submission: { listen: [`${listen.address}:${listen.port}`], ...plan.submission },
      admin: { listen: `${listen.address}:${ADMIN_PORT}` },
      spool: `file:${join(directory, "spool")}`,
      resolver: { mode: "forward", upstreams: [NO_RESOLVER] },
      delivery: {
        allowLoopback: true,
        routes: [{ domain: "*", nextHop: `[${next.address}]:${next.port}` }],
        retry: { initialSeconds: 1 },
        ...plan.delivery,
      },
      ...plan.settings,
    };
    writeFileSync(file, stringify(configuration));
    const points = new URL(KILL_AT);
    if (dieAt !== undefined) points.search = new URLSearchParams({ point: dieAt.point, hit: `${dieAt.hit}` }).toString();
    this.#plan = plan;
    this.#logFile = join(directory, "log");
    const log = openSync(this.#logFile, "w");
    this.#process = fork(PROGRAM, dieAt === undefined ? [file] : [file, points.href], {
      stdio: ["ignore", log, log, "ipc"],
      execArgv: [...(plan.nodeOptions ?? [])],
      // Only a clean end writes what was compiled; kill -9 leaves it as it was.
      env: { ...process.env, NODE_COMPILE_CACHE: join(directory, "compiled"), ...plan.environment },
    });
    closeSync(log);
    this.ended = once(this.#process, "exit").then(([code, signal]) => String(signal ?? code));
  }

  /** Resolves when it accepts mail, or has died before it did. */
  async ready(): Promise<"ready" | "dead"> {
    return await Promise.race([
      once(this.#process, "message").then(() => "ready" as const),
      this.ended.then(() => "dead" as const),
    ]);
  }

  get address(): string {
    return `${this.#plan.listen.address}:${this.#plan.listen.port}`;
  }

  get pid(): number {
    assert.ok(this.#process.pid !== undefined);
    return this.#process.pid;
  }

  /** What it logged in this life. */
  log(): string {
    return readFileSync(this.#logFile, "utf8");
  }

  /** kill -9; resolves when it is dead. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.ended;
  }

  /** SIGTERM; resolves with what it ended by. */
  async stop(): Promise<string> {
    this.#process.kill("SIGTERM");
    return await this.ended;
  }

  /** Messages in the queue, by the relay's own count. */
  async queued(): Promise<number> {
    const response = await fetch(`http://${this.#plan.listen.address}:${ADMIN_PORT}/metrics`);
    const gauges = [...(await response.text()).matchAll(/^dane_relay_queue_messages\{state="\w+"\} (\d+)$/gm)];
    assert.equal(gauges.length, 4, "a gauge for each state of the queue");
    return gauges.reduce((sum, [, value]) => sum + Number(value), 0);
  }
}
