import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { extractPackages } from "../test/extractedPackages.ts";
import { startDaemon } from "../test/lab/daemon.ts";
import { commandInView } from "../test/lab/namespace.ts";
import { EXIM_PACKAGES, EXIM_USER, OPENSMTPD_PACKAGES, OPENSMTPD_USERS } from "../test/lab/otherReceivers.ts";
import { makeCpuGroup } from "./cpuGroup.ts";
import type { Assignment, Endpoint, Sender, Target } from "./sender.ts";
import { listens } from "./sink.ts";

/** Other mail servers as relays for plain SMTP to one next hop, with what makes them quick, and with their fsync before 250. */
type Program = { command: string; arguments: readonly string[]; environment?: NodeJS.ProcessEnv };

const HARAKA_VERSION = "3.3.4";
/** Of packages that Haraka names only as "at least": versions that registries are known to have. */
const HARAKA_OVERRIDES = { "encoding-japanese": "2.4.0", libqp: "2.1.2" };

function nextHop(target: Target): Endpoint {
  if (target.kind !== "route") throw new Error("only plain SMTP to one next hop is measured with these");
  return target.sink;
}

async function start(name: string, { directory, listen }: Assignment, program: Program): Promise<Sender> {
  const group = makeCpuGroup();
  const { environment } = program;
  const daemon = await startDaemon({
    name,
    ...group.inside(program.command, program.arguments),
    ...(environment === undefined ? {} : { environment }),
    logFile: join(directory, "output"),
    ready: () => listens(listen),
  });
  const stop = async (): Promise<void> => {
    await daemon.stop();
    await group.remove();
  };
  return { ...listen, name, pid: daemon.pid, provesDane: () => "no", stop, cpuSeconds: group.cpuSeconds };
}

export async function startEximRelay(assignment: Assignment): Promise<Sender> {
  const { directory, listen, target } = assignment;
  const sink = nextHop(target);
  const { directory: installed, libraries } = extractPackages(EXIM_PACKAGES);
  for (const name of ["spool", "log"]) {
    mkdirSync(join(directory, name), { recursive: true });
    chownSync(join(directory, name), EXIM_USER.id, EXIM_USER.id);
  }
  chmodSync(directory, 0o755);
  const program = join(installed, "usr", "sbin", "exim4");
  const file = join(directory, "exim.conf");
  const lines = [
    `exim_path = ${program}`,
    `exim_user = ${EXIM_USER.name}`,
    `exim_group = ${EXIM_USER.name}`,
    `spool_directory = ${directory}/spool`,
    `log_file_path = ${directory}/log/%slog`,
    "primary_hostname = relay.example",
    `local_interfaces = ${listen.address}`,
    `daemon_smtp_ports = ${listen.port}`,
    "tls_advertise_hosts =",
    "host_lookup =",
    "rfc1413_hosts =",
    "keep_environment =",
    "split_spool_directory",
    "smtp_accept_max = 200",
    "smtp_accept_queue_per_connection = 0",
    "smtp_connect_backlog = 1000",
    "acl_smtp_rcpt = accept",
    "acl_smtp_data = accept",
    "begin routers",
    "all:",
    "  driver = manualroute",
    `  route_list = * ${sink.address} byname`,
    "  transport = sink",
    "  self = send",
    "begin transports",
    "sink:",
    "  driver = smtp",
    `  port = ${sink.port}`,
    "  hosts_avoid_tls = *",
    "  allow_localhost",
    "",
  ];
  writeFileSync(file, lines.join("\n"));
  const view = { users: [EXIM_USER], libraries, emptied: ["/run"] };
  return await start("exim", assignment, await commandInView(directory, view, [program, "-C", file, "-bdf"]));
}

export async function startOpenSmtpdRelay(assignment: Assignment): Promise<Sender> {
  const { directory, listen, target } = assignment;
  const sink = nextHop(target);
  const { directory: installed, libraries } = extractPackages(OPENSMTPD_PACKAGES);
  mkdirSync(directory, { recursive: true });
  const file = join(directory, "smtpd.conf");
  const lines = [
    `listen on ${listen.address} port ${listen.port} hostname "relay.example"`,
    `action "sink" relay host smtp://${sink.address}:${sink.port}`,
    'match from any for any action "sink"',
    "",
  ];
  writeFileSync(file, lines.join("\n"));
  // Its queue on the same disk as the others', not in memory.
  const spool = join(directory, "spool");
  mkdirSync(spool);
  chmodSync(spool, 0o711);
  const view = {
    users: OPENSMTPD_USERS,
    libraries,
    files: { "/var/spool": spool },
    emptied: ["/run", "/var/lib"],
    directories: { "/var/lib/opensmtpd/empty": "711" },
  };
  const program = join(installed, "usr", "sbin", "smtpd");
  return await start("opensmtpd", assignment, await commandInView(directory, view, [program, "-d", "-f", file]));
}

/** Everything to one address, from anybody who can connect. */
function harakaPlugin({ address, port }: Endpoint): string {
  return [
    "exports.hook_connect_init = function (next, connection) { connection.relaying = true; next() }",
    "exports.hook_rcpt = function (next, connection) { connection.relaying = true; next(OK) }",
    `exports.hook_get_mx = function (next) { next(OK, [{ priority: 0, exchange: '${address}', port: ${port} }]) }`,
    "",
  ].join("\n");
}

/** Installed by npm, once for each run of the benchmark, into a folder that goes with it. */
function installHaraka(directory: string): string {
  const place = join(directory, "..", "..", "haraka");
  const program = join(place, "node_modules", "Haraka", "bin", "haraka");
  if (existsSync(program)) return program;
  mkdirSync(place, { recursive: true });
  const manifest = { private: true, dependencies: { Haraka: HARAKA_VERSION }, overrides: HARAKA_OVERRIDES };
  writeFileSync(join(place, "package.json"), JSON.stringify(manifest));
  const argv = ["install", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund"];
  execFileSync("npm", argv, { cwd: place, stdio: ["ignore", "ignore", "inherit"] });
  return program;
}

export async function startHarakaRelay(assignment: Assignment): Promise<Sender> {
  const { directory, listen, target } = assignment;
  const program = installHaraka(directory);
  for (const name of ["plugins", "queue"]) mkdirSync(join(directory, name), { recursive: true });
  cpSync(join(program, "..", "..", "config"), join(directory, "config"), { recursive: true });
  const files = {
    "config/smtp.ini": `listen=${listen.address}:${listen.port}\nnodes=cpus\n`,
    "config/plugins": "relay\n",
    "config/me": "relay.example\n",
    "config/log.ini": "[main]\nlevel=crit\n",
    "config/outbound.ini": "enable_tls=false\nconcurrency_max=100\n",
    "config/host_list": "\n",
    "plugins/relay.js": harakaPlugin(nextHop(target)),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return await start("haraka", assignment, { command: process.execPath, arguments: [program, "-c", directory] });
}
