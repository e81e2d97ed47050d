import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Daemon, startDaemon } from "./daemon.ts";
import { answers } from "./dnsProbe.ts";
import type { Identity } from "./pki.ts";

async function tlsLines(directory: string, address: string, { leaf, chainPem }: Identity): Promise<string[]> {
  await writeFile(join(directory, "tls.key"), leaf.keyPem);
  await writeFile(join(directory, "tls.pem"), chainPem);
  return [
    `  interface: ${address}@853`,
    "  tls-port: 853",
    `  tls-service-key: "${directory}/tls.key"`,
    `  tls-service-pem: "${directory}/tls.pem"`,
  ];
}

/** One Unbound recursor: validating from the lab's trust anchor, or plain (it passes signatures on and judges nothing). */
export async function startUnbound(options: {
  name: string;
  directory: string;
  address: string;
  rootHintsFile: string;
  validation: { kind: "none" } | { kind: "anchored"; trustAnchorFile: string };
  /** Also DNS over TLS (RFC 7858), on port 853. */
  tls?: Identity;
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
  const overTls = options.tls === undefined ? [] : await tlsLines(directory, options.address, options.tls);
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
    "  rrset-roundrobin: no",
    "  infra-cache-min-rtt: 50",
    '  target-fetch-policy: "0 0 0 0 0"',
    `  root-hints: "${options.rootHintsFile}"`,
    ...validation,
    ...overTls,
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
