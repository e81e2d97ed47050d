import { chown, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Extracted, extractPackages } from "../extractedPackages.ts";
import { type Peer, startPeer } from "../fake/smtpPeer.ts";
import { type Daemon, startDaemon } from "./daemon.ts";
import { commandInView } from "./namespace.ts";
import { greets, type Stored } from "./postfix.ts";
import type { Receiver } from "./world.ts";

/**
 * Exim and OpenSMTPD as receivers: one process each for all hosts, as with Postfix. What they take they pass on in clear text to a sink,
 * where their own Received field tells which host took it, and how.
 */
export type OtherReceivers = { stored: () => Stored[] };

type Options = {
  receivers: readonly Receiver[];
  directory: string;
  sinkAddress: string;
  keep: (daemon: Daemon) => Daemon;
  undo: (step: () => Promise<void>) => void;
};

const SINK_PORT = 2626;
export const EXIM_USER = { name: "Debian-exim", id: 64_991 };
export const OPENSMTPD_USERS = [
  { name: "opensmtpd", id: 64_992 },
  { name: "opensmtpq", id: 64_993 },
];
/** With the libraries that Postfix does not bring along. */
export const EXIM_PACKAGES = ["exim4-daemon-light", "libidn12", "libgnutls-dane0", "libnsl2"];
export const OPENSMTPD_PACKAGES = ["opensmtpd", "libevent-2.1-7"];

async function writeIdentities(directory: string, receivers: readonly Receiver[], owner: number): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const { address, server, identity } of receivers) {
    if (server.endsWith("-clear")) continue;
    await writeFile(join(directory, `${address}.pem`), identity.chainPem);
    await writeFile(join(directory, `${address}.key`), identity.leaf.keyPem, { mode: 0o600 });
    await chown(join(directory, `${address}.key`), owner, owner);
  }
}

function eximConfiguration(directory: string, extracted: Extracted, options: Options, receivers: readonly Receiver[]): string {
  const own = `${directory}/certificates/$received_ip_address`;
  return [
    `exim_path = ${extracted.directory}/usr/sbin/exim4`,
    `exim_user = ${EXIM_USER.name}`,
    `exim_group = ${EXIM_USER.name}`,
    `spool_directory = ${directory}/spool`,
    `log_file_path = ${directory}/log/%slog`,
    "primary_hostname = receiver.invalid",
    `smtp_active_hostname = \${lookup{$received_ip_address}lsearch{${directory}/names}}`,
    `local_interfaces = ${receivers.map(({ address }) => address).join(" : ")}`,
    "daemon_smtp_ports = 25",
    `tls_advertise_hosts = \${if exists{${own}.pem}{*}{}}`,
    `tls_certificate = ${own}.pem`,
    `tls_privatekey = ${own}.key`,
    "received_header_text = Received: from relay by $smtp_active_hostname with $received_protocol; $tod_full",
    "host_lookup =",
    "rfc1413_hosts =",
    "keep_environment =",
    "smtp_accept_max = 200",
    "acl_smtp_rcpt = accept",
    "acl_smtp_data = accept",
    "begin routers",
    "all:",
    "  driver = manualroute",
    `  route_list = * ${options.sinkAddress} byname`,
    "  transport = sink",
    "  self = send",
    "begin transports",
    "sink:",
    "  driver = smtp",
    `  port = ${SINK_PORT}`,
    "  hosts_avoid_tls = *",
    "  allow_localhost",
    "",
  ].join("\n");
}

async function startExim(options: Options, receivers: readonly Receiver[]): Promise<Daemon> {
  const extracted = extractPackages(EXIM_PACKAGES);
  const directory = join(options.directory, "exim");
  for (const name of ["spool", "log"]) {
    await mkdir(join(directory, name), { recursive: true });
    await chown(join(directory, name), EXIM_USER.id, EXIM_USER.id);
  }
  await writeIdentities(join(directory, "certificates"), receivers, EXIM_USER.id);
  await writeFile(join(directory, "names"), receivers.map(({ address, name }) => `${address}: ${name}\n`).join(""));
  const file = join(directory, "exim.conf");
  await writeFile(file, eximConfiguration(directory, extracted, options, receivers));
  const program = join(extracted.directory, "usr", "sbin", "exim4");
  const view = { users: [EXIM_USER], libraries: extracted.libraries, emptied: ["/run"] };
  return startDaemon({
    name: "exim",
    ...(await commandInView(directory, view, [program, "-C", file, "-bdf"])),
    logFile: join(directory, "output"),
    ready: () => allGreet(receivers),
  });
}

function openSmtpdConfiguration(directory: string, options: Options, receivers: readonly Receiver[]): string {
  const certificates = join(directory, "certificates");
  const encrypted = receivers.filter(({ server }) => server === "opensmtpd");
  return [
    ...encrypted.flatMap(({ name, address }) => [
      `pki "${name}" cert "${certificates}/${address}.pem"`,
      `pki "${name}" key "${certificates}/${address}.key"`,
    ]),
    ...receivers.map(({ name, address, server }) => {
      const tls = server === "opensmtpd" ? `tls pki "${name}" ` : "";
      return `listen on ${address} port 25 ${tls}hostname "${name}"`;
    }),
    `action "sink" relay host smtp://${options.sinkAddress}:${SINK_PORT}`,
    'match from any for any action "sink"',
    "",
  ].join("\n");
}

async function startOpenSmtpd(options: Options, receivers: readonly Receiver[]): Promise<Daemon> {
  const extracted = extractPackages(OPENSMTPD_PACKAGES);
  const directory = join(options.directory, "opensmtpd");
  await writeIdentities(join(directory, "certificates"), receivers, 0);
  const file = join(directory, "smtpd.conf");
  await writeFile(file, openSmtpdConfiguration(directory, options, receivers));
  const view = {
    users: OPENSMTPD_USERS,
    libraries: extracted.libraries,
    emptied: ["/run", "/var/spool", "/var/lib"],
    directories: { "/var/lib/opensmtpd/empty": "711" },
  };
  return startDaemon({
    name: "opensmtpd",
    ...(await commandInView(directory, view, [join(extracted.directory, "usr", "sbin", "smtpd"), "-d", "-f", file])),
    logFile: join(directory, "output"),
    ready: () => allGreet(receivers),
  });
}

async function allGreet(receivers: readonly Receiver[]): Promise<boolean> {
  const [first, ...rest] = receivers;
  if (first === undefined || !(await greets(first.address, 25))) return false;
  const greetings = await Promise.all(rest.map(({ address }) => greets(address, 25)));
  return greetings.every((greeted) => greeted);
}

/** RFC 3848, in either case of letters: "with esmtps" says that it came inside TLS. */
function storedOf(sink: Peer): Stored[] {
  return sink.messages.flatMap(({ recipients, content }) => {
    const text = content.toString("latin1");
    const field = /^Received: .*\r\n(?:[ \t].*\r\n)*/.exec(text)?.[0].replaceAll(/\s+/g, " ") ?? "";
    const by = /\sby (\S+) (?:\(OpenSMTPD\) )?with (\w+)/.exec(field);
    if (by === null) throw new Error(`no Received field of the receiver:\n${text.slice(0, 1000)}`);
    const channel = /^(?:utf8)?e?smtps/i.test(by[2] ?? "") ? "tls" : "clear";
    return recipients.map((line) => ({ recipient: /<(.*)>/.exec(line)?.[1] ?? line, host: by[1] ?? "", channel, content: text }));
  });
}

/** Starts what the receivers of the table need; nothing where none is Exim's or OpenSMTPD's. */
export async function startOtherReceivers(options: Options): Promise<OtherReceivers> {
  const exims = options.receivers.filter(({ server }) => server === "exim" || server === "exim-clear");
  const openSmtpds = options.receivers.filter(({ server }) => server === "opensmtpd" || server === "opensmtpd-clear");
  if (exims.length + openSmtpds.length === 0) return { stored: () => [] };
  const sink = await startPeer({ address: options.sinkAddress, port: SINK_PORT });
  options.undo(() => sink.close());
  if (exims.length > 0) options.keep(await startExim(options, exims));
  if (openSmtpds.length > 0) options.keep(await startOpenSmtpd(options, openSmtpds));
  return { stored: () => storedOf(sink) };
}
