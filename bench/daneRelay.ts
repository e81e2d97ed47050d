import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { startDaemon } from "../test/lab/daemon.ts";
import { type Assignment, type Endpoint, PROBE_DOMAIN, type Sender, type Target } from "./sender.ts";
import { listens } from "./sink.ts";

const MAIN = join(import.meta.dirname, "..", "src", "main.ts");
const ADMIN_PORT = 9025;
/** No server is there: a route to an address looks nothing up, and nothing may leave this machine. */
const NOBODY = "127.0.0.1:9";

function targetSettings(target: Target): { resolver: object; delivery: object } {
  switch (target.kind) {
    case "route": {
      const { sink, probe } = target;
      const route = (domain: string, { address, port }: Endpoint) => ({ domain, nextHop: `[${address}]:${port}` });
      const routes = [route("*", sink), ...(probe === undefined ? [] : [route(PROBE_DOMAIN, probe)])];
      return { resolver: { mode: "forward", upstreams: [NOBODY] }, delivery: { routes } };
    }
    case "dane": {
      const { resolver, trustAnchorFile } = target;
      return { resolver: { mode: "forward", upstreams: [resolver], trustAnchorFile }, delivery: {} };
    }
    default:
      return target satisfies never;
  }
}

async function saysReady(address: string): Promise<boolean> {
  const response = await fetch(`http://${address}:${ADMIN_PORT}/readyz`);
  return response.ok;
}

/** Arguments for node: those of `npm start`, or others, such as `--cpu-prof --cpu-prof-dir=DIRECTORY`. */
function nodeOptions(): string[] {
  const { BENCH_NODE_OPTIONS = "--max-semi-space-size=4" } = process.env;
  return BENCH_NODE_OPTIONS.split(" ").filter((option) => option !== "");
}

/** This relay as its users run it: a process of its own with a configuration file, one for all its settings but the next hop. */
export async function startDaneRelay({ directory, listen, target }: Assignment, workers = 1): Promise<Sender> {
  mkdirSync(directory, { recursive: true });
  const { resolver, delivery } = targetSettings(target);
  const at = ({ address, port }: Endpoint): string => `${address}:${port}`;
  const configuration = {
    hostname: "relay.example",
    workers,
    submission: { listen: [at(listen)] },
    admin: { listen: `${listen.address}:${ADMIN_PORT}` },
    spool: `file:${join(directory, "spool")}`,
    resolver,
    delivery: { allowLoopback: true, ...delivery },
  };
  const file = join(directory, "relay.yaml");
  writeFileSync(file, stringify(configuration));
  const daemon = await startDaemon({
    name: "dane-relay",
    command: process.execPath,
    arguments: [...nodeOptions(), MAIN, "serve", "--config", file],
    logFile: join(directory, "log"),
    // Of several workers the first one listens before the last.
    ready: async () => (await listens(listen)) && (await saysReady(listen.address)),
  });
  const provesDane = (): "yes" | "no" => (daemon.log().includes('"dane":"authenticated"') ? "yes" : "no");
  return { ...listen, name: "dane-relay", pid: daemon.pid, provesDane, stop: daemon.stop };
}
