import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, chown, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { makeLeaf } from "../fake/certificates.ts";
import { type Daemon, startDaemon } from "./daemon.ts";
import type { Receiver } from "./world.ts";

/** One Postfix that plays all real receivers: a listener for each host, with the host's name and certificate; mail goes to one Maildir. */

export type PostfixListener = { receiver: Receiver; port: number };
/** One stored message. `host` is the name of the listener that took it, `channel` from Postfix's own Received field. */
export type Stored = { recipient: string; host: string; channel: "tls" | "clear"; content: string };
export type Postfix = {
  daemon: Daemon;
  stored: () => Promise<Stored[]>;
  log: () => Promise<string>;
  /** As an operator changes it: new files, and `postfix reload`; the listeners that there shall be from now on. */
  reload: (listeners: readonly PostfixListener[]) => Promise<void>;
};

const run = promisify(execFile);

const GREETING_MILLISECONDS = 5000;
const DAEMONS = "/usr/lib/postfix/sbin";
const OWNED_BY_POSTFIX = [
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
];

async function idOf(kind: "passwd" | "group", name: string): Promise<number> {
  const { stdout } = await run("getent", [kind, name]);
  return Number(stdout.split(":")[2]);
}

/** The directories that Postfix's own installation would make (postfix-files(5)). */
export async function makeDirectories(directory: string): Promise<{ mailUser: number; mailGroup: number }> {
  const user = await idOf("passwd", "postfix");
  const group = await idOf("group", "postfix");
  const dropGroup = await idOf("group", "postdrop");
  for (const name of ["config", "queue", "data", "mail", "certificates"]) await mkdir(join(directory, name), { recursive: true });
  for (const name of OWNED_BY_POSTFIX) {
    await mkdir(join(directory, "queue", name), { mode: 0o700 });
    await chown(join(directory, "queue", name), user, 0);
  }
  for (const [name, mode] of [
    ["maildrop", 0o730],
    ["public", 0o710],
  ] as const) {
    await mkdir(join(directory, "queue", name));
    await chown(join(directory, "queue", name), user, dropGroup);
    await chmod(join(directory, "queue", name), mode);
  }
  await mkdir(join(directory, "queue", "pid"));
  for (const name of ["data", "mail"]) await chown(join(directory, name), user, group);
  return { mailUser: user, mailGroup: group };
}

function mainConfiguration(directory: string, owner: { mailUser: number; mailGroup: number }): string {
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
    // What Postfix would tell its postmaster is no mail of ours.
    "notify_classes =",
    "myhostname = receiver.invalid",
    "myorigin = receiver.invalid",
    "alias_maps =",
    "local_recipient_maps =",
    "disable_dns_lookups = yes",
    "smtpd_peername_lookup = no",
    "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination",
    "smtpd_client_connection_count_limit = 0",
    "smtpd_tls_security_level = may",
    "smtpd_tls_received_header = yes",
    "smtpd_tls_loglevel = 1",
    "smtputf8_enable = yes",
    "message_size_limit = 60000000",
    "virtual_mailbox_limit = 0",
    "mailbox_size_limit = 0",
    "default_process_limit = 250",
    "max_idle = 5s",
    "default_transport = virtual",
    "virtual_mailbox_domains = regexp:{{/./ anything}}",
    "virtual_mailbox_maps = static:all/",
    `virtual_mailbox_base = ${directory}/mail`,
    `virtual_uid_maps = static:${owner.mailUser}`,
    `virtual_gid_maps = static:${owner.mailGroup}`,
    "",
  ].join("\n");
}

export const SERVICES = [
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
  "error unix - - n - - error",
  "retry unix - - n - - error",
  "discard unix - - n - - discard",
  "virtual unix - n n - - virtual",
  "anvil unix - - n - 1 anvil",
  "postlog unix-dgram n - n - 1 postlogd",
];

async function listenerService(directory: string, listener: PostfixListener): Promise<string> {
  const { receiver, port } = listener;
  const options = [`myhostname=${receiver.name}`];
  const file = join(directory, "certificates", `${receiver.name}.pem`);
  const { leaf, chainPem } = receiver.identity;
  switch (receiver.server) {
    case "postfix-clear":
      options.push("smtpd_tls_security_level=none");
      break;
    case "postfix-454":
      // A key that is not the certificate's: Postfix still offers STARTTLS, and refuses it.
      await writeFile(file, `${makeLeaf().keyPem}${chainPem}`, { mode: 0o600 });
      break;
    case "postfix-without-key":
      // No key at all: Postfix still offers STARTTLS, and shares no cipher suite with anybody.
      break;
    default:
      await writeFile(file, `${leaf.keyPem}${chainPem}`, { mode: 0o600 });
  }
  if (receiver.server !== "postfix-clear") options.push(`smtpd_tls_chain_files=${file}`);
  return `${receiver.address}:${port} inet n - n - - smtpd ${options.map((option) => `-o ${option}`).join(" ")}`;
}

/** Whether a mail server greets there (RFC 5321 §4.2: 220). */
export function greets(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, address);
    const finish = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(GREETING_MILLISECONDS, () => finish(false));
    socket.once("error", () => finish(false));
    socket.once("close", () => finish(false));
    socket.once("data", (greeting) => finish(greeting.toString("latin1").startsWith("220 ")));
  });
}

/** Starts Postfix in `directory` (made here; every directory above it must let the postfix user pass). */
export async function startPostfix(directory: string, listeners: readonly PostfixListener[]): Promise<Postfix> {
  const owner = await makeDirectories(directory);
  await writeFile(join(directory, "config", "main.cf"), mainConfiguration(directory, owner));
  await writeServices(directory, listeners);
  const first = listeners[0];
  if (first === undefined) throw new Error("Postfix without a listener");
  const daemon = await startDaemon({
    name: "postfix",
    command: join(DAEMONS, "master"),
    arguments: ["-s", "-c", join(directory, "config")],
    logFile: join(directory, "log"),
    environment: { ...process.env, MAIL_CONFIG: join(directory, "config") },
    ready: () => greets(first.receiver.address, first.port),
  });
  return {
    daemon,
    stored: () => readMaildir(join(directory, "mail", "all", "new")),
    log: () => readFile(join(directory, "maillog"), "utf8"),
    reload: async (changed) => {
      await writeServices(directory, changed);
      process.kill(Number(await readFile(join(directory, "queue", "pid", "master.pid"), "utf8")), "SIGHUP");
    },
  };
}

async function writeServices(directory: string, listeners: readonly PostfixListener[]): Promise<void> {
  const services = await Promise.all(listeners.map((listener) => listenerService(directory, listener)));
  await writeFile(join(directory, "config", "master.cf"), `${[...services, ...SERVICES].join("\n")}\n`);
}

/** RFC 3848: "with ESMTPS" says that the message came inside TLS; the field is Postfix's own and so the first one. */
function parseStored(file: string, content: string): Stored {
  const recipient = /^Delivered-To: (.*)$/m.exec(content)?.[1] ?? "";
  const received = /^Received: from .*\n(?:\s.*\n)*/m.exec(content)?.[0].replaceAll(/\s+/g, " ") ?? "";
  const by = /\sby (\S+) \(Postfix\) with (\w+)/.exec(received);
  if (by === null) throw new Error(`no Received field of Postfix in ${file}:\n${content.slice(0, 1000)}`);
  return { recipient, host: by[1] ?? "", channel: /^(?:UTF8|E)?SMTPS/.test(by[2] ?? "") ? "tls" : "clear", content };
}

async function readMaildir(directory: string): Promise<Stored[]> {
  const names = existsSync(directory) ? await readdir(directory) : [];
  const files = names.map((name) => join(directory, name));
  return Promise.all(files.map(async (file) => parseStored(file, await readFile(file, "latin1"))));
}
