import { execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Sender } from "./sender.ts";
import { listens, until } from "./sink.ts";

/**
 * Postfix as a relay with its best settings for this: no address rewriting maps, no DNS, no throttling of its own intake, many processes,
 * on-demand connection caching; the same fsync before 250 as ever (that is Postfix's only mode).
 */
export async function startPostfixRelay(
  directory: string,
  listen: { address: string; port: number },
  sink: { address: string; port: number },
): Promise<Sender> {
  const identity = (kind: "passwd" | "group", name: string): number =>
    Number(execFileSync("getent", [kind, name], { encoding: "utf8" }).split(":")[2]);
  const user = identity("passwd", "postfix");
  const drop = identity("group", "postdrop");
  for (const name of ["config", "queue", "data"]) mkdirSync(join(directory, name), { recursive: true });
  chmodSync(directory, 0o755);
  chownSync(join(directory, "data"), user, 0);
  for (const name of [
    "active",
    "bounce",
    "corrupt",
    "defer",
    "deferred",
    "flush",
    "hold",
    "incoming",
    "private",
    "saved",
    "trace",
  ]) {
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
  writeFileSync(join(directory, "config", "main.cf"), mainConfiguration(directory, sink));
  writeFileSync(join(directory, "config", "master.cf"), masterConfiguration(listen));
  const master = spawn("/usr/lib/postfix/sbin/master", ["-c", join(directory, "config"), "-d"], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  await until(() => listens(listen.address, listen.port), 20_000, "Postfix");
  return {
    name: "postfix",
    pid: master.pid ?? 0,
    ...listen,
    stop: () =>
      new Promise((resolve) => {
        master.once("exit", () => resolve());
        master.kill("SIGTERM");
      }),
  };
}

function mainConfiguration(directory: string, sink: { address: string; port: number }): string {
  return [
    "compatibility_level = 3.6",
    `queue_directory = ${directory}/queue`,
    `data_directory = ${directory}/data`,
    "daemon_directory = /usr/lib/postfix/sbin",
    `maillog_file = ${directory}/maillog`,
    `maillog_file_prefixes = ${directory}`,
    "inet_protocols = ipv4",
    "inet_interfaces = 127.0.0.1",
    "mynetworks = 127.0.0.0/8",
    "mydestination =",
    "myhostname = relay.example",
    "alias_maps =",
    "local_recipient_maps =",
    "disable_dns_lookups = yes",
    "smtpd_peername_lookup = no",
    "smtpd_relay_restrictions = permit_mynetworks, reject",
    "smtpd_client_connection_count_limit = 0",
    "smtpd_client_connection_rate_limit = 0",
    `relayhost = [${sink.address}]:${sink.port}`,
    "default_process_limit = 100",
    "in_flow_delay = 0",
    "initial_destination_concurrency = 20",
    "default_destination_concurrency_limit = 20",
    "smtp_connection_cache_on_demand = yes",
    "smtp_connection_cache_destinations = ",
    "smtp_tls_security_level = none",
    "smtputf8_enable = no",
    "",
  ].join("\n");
}

function masterConfiguration(listen: { address: string; port: number }): string {
  return [
    `${listen.address}:${listen.port} inet n - n - - smtpd`,
    "pickup unix n - n 60 1 pickup",
    "cleanup unix n - n - 0 cleanup",
    "qmgr unix n - n 300 1 qmgr",
    "tlsmgr unix - - n 1000? 1 tlsmgr",
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
