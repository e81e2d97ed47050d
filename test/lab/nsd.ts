import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Daemon, startDaemon } from "./daemon.ts";
import { answers } from "./dnsProbe.ts";

/** One NSD, an authoritative server, on one address. */
export async function startNsd(options: {
  name: string;
  directory: string;
  address: string;
  zones: readonly { origin: string; file: string }[];
  /** Whether answers come without the zone's name servers beside them. */
  minimalResponses?: boolean;
}): Promise<Daemon> {
  const directory = join(options.directory, options.name);
  await mkdir(directory, { recursive: true });
  const configuration = [
    "server:",
    `  ip-address: ${options.address}@53`,
    '  username: ""',
    '  chroot: ""',
    '  database: ""',
    `  zonesdir: "${directory}"`,
    `  zonelistfile: "${directory}/zone.list"`,
    `  xfrdfile: "${directory}/xfrd.state"`,
    `  xfrdir: "${directory}"`,
    `  pidfile: "${directory}/nsd.pid"`,
    "  server-count: 1",
    "  do-ip6: no",
    "  rrl-ratelimit: 0",
    "  rrl-whitelist-ratelimit: 0",
    `  minimal-responses: ${options.minimalResponses === true ? "yes" : "no"}`,
    "remote-control:",
    "  control-enable: no",
    ...options.zones.flatMap((zone) => ["zone:", `  name: "${zone.origin}"`, `  zonefile: "${zone.file}"`]),
    "",
  ].join("\n");
  const file = join(directory, "nsd.conf");
  await writeFile(file, configuration);
  const probe = options.zones[0]?.origin ?? ".";
  return startDaemon({
    name: options.name,
    command: "/usr/sbin/nsd",
    arguments: ["-d", "-c", file],
    logFile: join(directory, "log"),
    ready: () => answers(options.address, probe),
  });
}
