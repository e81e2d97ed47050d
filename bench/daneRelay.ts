import { spawn } from "node:child_process";
import { mkdirSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import type { Sender } from "./sender.ts";
import { listens, until } from "./sink.ts";

/** This relay as its users run it: a process of its own with a configuration file, everything routed to the sink. */
export async function startDaneRelay(
  directory: string,
  listen: { address: string; port: number },
  sink: { address: string; port: number },
): Promise<Sender> {
  mkdirSync(directory, { recursive: true });
  const configuration = {
    hostname: "relay.example",
    submission: { listen: [`${listen.address}:${listen.port}`] },
    admin: { listen: `${listen.address}:9025` },
    spool: `file:${join(directory, "spool")}`,
    // Nothing is looked up here: the route is an address.
    resolver: { mode: "forward", upstreams: [`${listen.address}:5353`] },
    delivery: { allowLoopback: true, routes: [{ domain: "*", nextHop: `[${sink.address}]:${sink.port}` }] },
  };
  const file = join(directory, "relay.yaml");
  writeFileSync(file, stringify(configuration));
  const log = openSync(join(directory, "log"), "a");
  const child = spawn(process.execPath, ["src/main.ts", "serve", "--config", file], { stdio: ["ignore", log, log] });
  await until(() => listens(listen.address, listen.port), 20_000, "dane-relay");
  return {
    name: "dane-relay",
    pid: child.pid ?? 0,
    ...listen,
    stop: () =>
      new Promise((resolve) => {
        child.once("exit", () => resolve());
        child.kill("SIGTERM");
      }),
  };
}
