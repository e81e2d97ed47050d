import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startDaemon } from "../test/lab/daemon.ts";
import { type Assignment, type Endpoint, PROBE_DOMAIN, type Sender, type Target } from "./sender.ts";
import { listens } from "./sink.ts";

/**
 * Postfix as a relay with its best settings for this: no address rewriting maps, no throttling of its own intake, many processes, connections
 * cached on demand, TLS ones too; the same fsync before 250 as ever (that is Postfix's only mode).
 */
const DAEMONS = "/usr/lib/postfix/sbin";
const QUEUES = ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace"];

/** Postfix asks the resolver of /etc/resolv.conf: it gets one of its own, in a mount namespace of its own, or does not run. */
const WITH_RESOLVER = 'mount --bind "$1" /etc/resolv.conf && cmp -s "$1" /etc/resolv.conf && shift && exec "$@"';

export async function startPostfixRelay({ directory, listen, target }: Assignment): Promise<Sender> {
  makeDirectories(directory);
  const config = join(directory, "config");
  writeFileSync(join(config, "main.cf"), mainConfiguration(directory, target));
  writeFileSync(join(config, "master.cf"), masterConfiguration(listen));
  const master = [join(DAEMONS, "master"), "-s", "-c", config];
  let argv = master;
  if (target.kind === "dane") {
    const resolvConf = join(directory, "resolv.conf");
    writeFileSync(resolvConf, `nameserver ${target.resolver}\noptions edns0 trust-ad\n`);
    argv = ["unshare", "--mount", "/bin/sh", "-c", WITH_RESOLVER, "sh", resolvConf, ...master];
  }
  const [command = "", ...rest] = argv;
  const daemon = await startDaemon({
    name: "postfix",
    command,
    arguments: rest,
    logFile: join(directory, "log"),
    environment: { ...process.env, MAIL_CONFIG: config },
    ready: () => listens(listen),
  });
  const provesDane = (): "yes" | "no" =>
    readFileSync(join(directory, "maillog"), "utf8").includes("Verified TLS connection established") ? "yes" : "no";
  return { ...listen, name: "postfix", pid: daemon.pid, provesDane, stop: daemon.stop };
}

/** The directories that Postfix's own installation would make (postfix-files(5)). */
function makeDirectories(directory: string): void {
  const identity = (kind: "passwd" | "group", name: string): number =>
    Number(execFileSync("getent", [kind, name], { encoding: "utf8" }).split(":")[2]);
  const user = identity("passwd", "postfix");
  const drop = identity("group", "postdrop");
  for (const name of ["config", "queue", "data"]) mkdirSync(join(directory, name), { recursive: true });
  chmodSync(directory, 0o755);
  chownSync(join(directory, "data"), user, 0);
  for (const name of QUEUES) {
    mkdirSync(join(directory, "queue", name), { mode: 0o700 });
    chownSync(join(directory, "queue", name), user, 0);
  }
  for (const [name, mode] of [
    ["maildrop", 0o730],
    ["public", 0o710],
  ] as const) {
    mkdirSync(join(directory, "queue", name));
    chownSync(join(directory, "queue", name), user, drop);
    chmodSync(join(directory, "queue", name), mode);
  }
  mkdirSync(join(directory, "queue", "pid"));
}

function targetConfiguration(target: Target): string[] {
  switch (target.kind) {
    case "route": {
      const { address, port } = target.sink;
      const { probe } = target;
      const probes =
        probe === undefined ? [] : [`transport_maps = inline:{ ${PROBE_DOMAIN}=smtp:[${probe.address}]:${probe.port} }`];
      return [...probes, `relayhost = [${address}]:${port}`, "disable_dns_lookups = yes", "smtp_tls_security_level = none"];
    }
    case "dane":
      return [
        "smtp_dns_support_level = dnssec",
        "smtp_host_lookup = dns",
        "smtp_tls_security_level = dane",
        "smtp_tls_loglevel = 1",
        "smtp_tls_connection_reuse = yes",
      ];
    default:
      return target satisfies never;
  }
}

function mainConfiguration(directory: string, target: Target): string {
  return [
    "compatibility_level = 3.6",
    `queue_directory = ${directory}/queue`,
    `data_directory = ${directory}/data`,
    `daemon_directory = ${DAEMONS}`,
    `maillog_file = ${directory}/maillog`,
    `maillog_file_prefixes = ${directory}`,
    "inet_protocols = ipv4",
    "inet_interfaces = 127.0.0.1",
    "mynetworks = 127.0.0.0/8",
    "mydestination =",
    "notify_classes =",
    "myhostname = relay.example",
    "alias_maps =",
    "local_recipient_maps =",
    "smtpd_peername_lookup = no",
    "smtpd_relay_restrictions = permit_mynetworks, reject",
    "smtpd_client_connection_count_limit = 0",
    "smtpd_client_connection_rate_limit = 0",
    "default_process_limit = 100",
    "in_flow_delay = 0",
    "initial_destination_concurrency = 20",
    "default_destination_concurrency_limit = 20",
    "smtp_connection_cache_on_demand = yes",
    "smtputf8_enable = no",
    ...targetConfiguration(target),
    "",
  ].join("\n");
}

function masterConfiguration(listen: Endpoint): string {
  return [
    `${listen.address}:${listen.port} inet n - n - - smtpd`,
    "pickup unix n - n 60 1 pickup",
    "cleanup unix n - n - 0 cleanup",
    "qmgr unix n - n 300 1 qmgr",
    "tlsmgr unix - - n 1000? 1 tlsmgr",
    "tlsproxy unix - - n - 0 tlsproxy",
    "rewrite unix - - n - - trivial-rewrite",
    "bounce unix - - n - 0 bounce",
    "defer unix - - n - 0 bounce",
    "trace unix - - n - 0 bounce",
    "verify unix - - n - 1 verify",
    "flush unix n - n 1000? 0 flush",
    "proxymap unix - - n - - proxymap",
    "smtp unix - - n - - smtp",
    "relay unix - - n - - smtp",
    "error unix - - n - - error",
    "retry unix - - n - - error",
    "anvil unix - - n - 1 anvil",
    "scache unix - - n - 1 scache",
    "postlog unix-dgram n - n - 1 postlogd",
    "",
  ].join("\n");
}
