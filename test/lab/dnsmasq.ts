import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Daemon, startDaemon } from "./daemon.ts";
import { answers } from "./dnsProbe.ts";

/** dnsmasq, the forwarder of home routers and small clusters, in front of a recursor. */
export async function startDnsmasq(options: { directory: string; address: string; upstream: string }): Promise<Daemon> {
  const directory = join(options.directory, "dnsmasq");
  await mkdir(directory, { recursive: true });
  return startDaemon({
    name: "dnsmasq",
    command: "/usr/sbin/dnsmasq",
    arguments: [
      "--keep-in-foreground",
      "--conf-file=/dev/null",
      "--user=root",
      "--pid-file=",
      "--log-facility=-",
      "--no-resolv",
      "--no-hosts",
      "--bind-interfaces",
      `--listen-address=${options.address}`,
      "--except-interface=nothing",
      `--server=${options.upstream}`,
    ],
    logFile: join(directory, "log"),
    ready: () => answers(options.address, "lab"),
  });
}
