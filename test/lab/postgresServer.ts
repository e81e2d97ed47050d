import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import type { PostgresServer } from "../../src/spool/postgresConnection.ts";
import { type Daemon, startDaemon } from "./daemon.ts";

/** A PostgreSQL of the test's own: a new cluster in a folder, on one loopback address, durable as in production. */
export type TestPostgres = {
  server: PostgresServer;
  /** Administrator's statements, on the relay's database. */
  query: (sql: string) => Promise<readonly Record<string, unknown>[]>;
  /** From now on it speaks TLS to whoever asks for it. */
  secure: (certificatePem: string, keyPem: string) => Promise<void>;
  /** Everything of the spool is gone. */
  clear: () => Promise<void>;
  /** As after a crash of the server: no goodbye to anybody, and nothing flushed. */
  crash: () => Promise<void>;
  restart: (settings?: readonly string[]) => Promise<void>;
  stop: () => Promise<void>;
};

const PASSWORD = "not a: secret@all";
const VERSIONS = "/usr/lib/postgresql";
const PORT = 5432;
const ANSWER_MILLISECONDS = 60_000;

function binary(name: string): string {
  const version = existsSync(VERSIONS) ? readdirSync(VERSIONS).toSorted((a, b) => Number(b) - Number(a))[0] : undefined;
  if (version === undefined) throw new Error("this test runs a real PostgreSQL and needs the Debian package postgresql");
  return join(VERSIONS, version, "bin", name);
}

/** PostgreSQL refuses to run as root: there it runs as the user that its package brings. */
function unprivileged(command: string, argv: readonly string[]): [string, ...string[]] {
  return process.getuid?.() === 0 ? ["/usr/sbin/runuser", "-u", "postgres", "--", command, ...argv] : [command, ...argv];
}

function run(command: string, ...argv: readonly string[]): void {
  const [program, ...rest] = unprivileged(binary(command), argv);
  execFileSync(program, rest, { stdio: ["ignore", "ignore", "pipe"], cwd: "/", timeout: ANSWER_MILLISECONDS });
}

/** Where fsync costs nothing: for tests that are about anything else. */
const MEMORY = "/dev/shm";

function ownFolder(place: "disk" | "memory"): string {
  const root = place === "memory" && existsSync(MEMORY) ? MEMORY : tmpdir();
  const directory = mkdtempSync(join(root, "dane-relay-postgres-"));
  chmodSync(directory, 0o755);
  const data = join(directory, "cluster");
  mkdirSync(data);
  const password = join(directory, "password");
  writeFileSync(password, `${PASSWORD}\n`);
  giveAway(data);
  return directory;
}

/** To the user that the server runs as. */
function giveAway(path: string): void {
  if (process.getuid?.() !== 0) return;
  const id = (flag: string): number => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
  chownSync(path, id("-u"), id("-g"));
}

export async function startPostgres(address: string, place: "disk" | "memory"): Promise<TestPostgres> {
  const directory = ownFolder(place);
  const data = join(directory, "cluster");
  run("initdb", "-D", data, "-A", "scram-sha-256", "-U", "relay", `--pwfile=${join(directory, "password")}`, "-E", "UTF8");
  const server: PostgresServer = {
    host: address,
    port: PORT,
    user: "relay",
    password: PASSWORD,
    database: "postgres",
    tls: { mode: "disable" },
  };
  const query = async (sql: string): Promise<readonly Record<string, unknown>[]> => {
    const { tls: _, ...login } = server;
    const client = new Client({ ...login, ssl: false, connectionTimeoutMillis: ANSWER_MILLISECONDS });
    client.on("error", () => undefined);
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  };
  const start = (settings: readonly string[]): Promise<Daemon> => {
    const defaults = [`listen_addresses=${address}`, `port=${PORT}`, `unix_socket_directories=${data}`, "max_connections=200"];
    const argv = ["-D", data, ...[...defaults, ...settings].flatMap((setting) => ["-c", setting])];
    const [command, ...rest] = unprivileged(binary("postgres"), argv);
    const ready = (): Promise<boolean> =>
      query("SELECT 1").then(
        () => true,
        () => false,
      );
    return startDaemon({ name: "postgres", command, arguments: rest, logFile: join(directory, "log"), ready });
  };
  let daemon = await start([]);
  const end = async (mode: "fast" | "immediate"): Promise<void> => {
    if (!daemon.exited()) run("pg_ctl", "-D", data, "-m", mode, "-w", "stop");
    await daemon.stop();
  };
  return {
    server,
    query,
    secure: async (certificatePem, keyPem) => {
      for (const [name, content] of [
        ["server.crt", certificatePem],
        ["server.key", keyPem],
      ] as const) {
        writeFileSync(join(data, name), content, { mode: 0o600 });
        giveAway(join(data, name));
      }
      await query("ALTER SYSTEM SET ssl = on");
      await query("SELECT pg_reload_conf()");
    },
    clear: async () => {
      await query("DROP SCHEMA IF EXISTS dane_relay CASCADE");
    },
    crash: () => end("immediate"),
    restart: async (settings = []) => {
      await end("fast");
      daemon = await start(settings);
    },
    stop: async () => {
      await end("fast");
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
