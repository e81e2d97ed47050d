import { createSocket } from "node:dgram";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Daemon, startDaemon } from "./daemon.ts";
import { answers } from "./dnsProbe.ts";

/** BIND listens only where an interface has the very address: none of a lab's own. */
const ADDRESS = "127.0.0.1";

/**
 * BIND as a forwarder whose operator switched EDNS off towards its upstream, as was done for old firewalls: without the DO bit no signature comes
 * back (RFC 4035 §3.2.1), and none is passed on.
 */
export async function startStrippingNamed(options: {
  directory: string;
  upstream: string;
}): Promise<{ daemon: Daemon; upstream: string }> {
  const port = await freePort();
  const directory = join(options.directory, "named");
  await mkdir(directory, { recursive: true });
  const configuration = [
    "options {",
    `  directory "${directory}";`,
    `  listen-on port ${port} { ${ADDRESS}; };`,
    "  listen-on-v6 { none; };",
    "  pid-file none;",
    "  forward only;",
    `  forwarders { ${options.upstream}; };`,
    "  recursion yes;",
    "  allow-query { 127.0.0.0/8; };",
    "  dnssec-validation no;",
    "  empty-zones-enable no;",
    "  max-cache-size 8m;",
    "};",
    `server ${options.upstream} { edns no; };`,
    "controls { };",
    "",
  ].join("\n");
  const file = join(directory, "named.conf");
  await writeFile(file, configuration);
  const daemon = await startDaemon({
    name: "named",
    command: "/usr/sbin/named",
    arguments: ["-g", "-c", file],
    logFile: join(directory, "log"),
    ready: () => answers(ADDRESS, "lab", port),
  });
  return { daemon, upstream: `${ADDRESS}:${port}` };
}

function freePort(): Promise<number> {
  const socket = createSocket("udp4");
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind({ address: ADDRESS, port: 0 }, () => {
      const { port } = socket.address();
      socket.close(() => resolve(port));
    });
  });
}
