import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Daemon, startDaemon } from "./daemon.ts";
import { answers } from "./dnsProbe.ts";

/** One Unbound recursor: validating from the lab's trust anchor, or plain (it passes signatures on and judges nothing). */
export async function startUnbound(options: {
  name: string;
  directory: string;
  address: string;
  rootHintsFile: string;
  validation: { kind: "none" } | { kind: "anchored"; trustAnchorFile: string };
}): Promise<Daemon> {
  const directory = join(options.directory, options.name);
  await mkdir(directory, { recursive: true });
  const validation =
    options.validation.kind === "none"
      ? ['  module-config: "iterator"']
      : [
          '  module-config: "validator iterator"',
          `  trust-anchor-file: "${options.validation.trustAnchorFile}"`,
          "  val-log-level: 2",
          "  ede: yes",
        ];
  const configuration = [
    "server:",
    `  interface: ${options.address}`,
    "  port: 53",
    "  access-control: 127.0.0.0/8 allow",
    "  do-ip6: no",
    "  do-daemonize: no",
    '  username: ""',
    '  chroot: ""',
    `  directory: "${directory}"`,
    '  pidfile: ""',
    "  use-syslog: no",
    '  logfile: ""',
    "  num-threads: 1",
    "  outgoing-range: 512",
    "  do-not-query-localhost: no",
    "  edns-buffer-size: 1232",
    "  minimal-responses: yes",
    "  infra-cache-min-rtt: 50",
    '  target-fetch-policy: "0 0 0 0 0"',
    `  root-hints: "${options.rootHintsFile}"`,
    ...validation,
    "remote-control:",
    "  control-enable: no",
    "",
  ].join("\n");
  const file = join(directory, "unbound.conf");
  await writeFile(file, configuration);
  return startDaemon({
    name: options.name,
    command: "/usr/sbin/unbound",
    arguments: ["-d", "-c", file],
    logFile: join(directory, "log"),
    ready: () => answers(options.address, "lab"),
  });
}
