import { optionalSetting, setting } from "./setting.ts";
import { integer, type Parsed, path, problem, shown, textual, value } from "./value.ts";

/** `spool` and what goes with it: where accepted mail is kept. */

/** `password` and `caFile` only where the URL has them; `tls` "verify-full": the server's certificate is verified, and its name. */
export type PostgresLocation = {
  kind: "postgres";
  /** A name, an address, or the directory of a Unix socket. */
  host: string;
  port: number;
  user?: string;
  password?: string;
  database: string;
  tls: { mode: "disable" } | { mode: "verify-full"; caFile?: string };
};

export type SpoolSetting = { kind: "file"; directory: string } | PostgresLocation;

const DEFAULT_PORT = 5432;
const PARAMETERS = ["host", "sslmode", "sslrootcert"] as const;
const FORM = "postgres://USER@HOST:PORT/DATABASE, with ?sslmode=verify-full&sslrootcert=FILE for TLS";

const WORDS = "file:DIRECTORY or postgres://USER:PASSWORD@HOST/DATABASE";

export const SPOOL_SETTING = setting(
  textual<SpoolSetting>(WORDS, (text) => {
    if (/^postgres(?:ql)?:\/\//.test(text)) return postgresLocation(text);
    const directory = /^file:(?!\/\/)(.+)$/.exec(text)?.[1];
    if (directory !== undefined && !directory.includes("\0")) return value({ kind: "file", directory });
    return problem(`must be ${WORDS}, not ${shown(text)}`);
  }),
  "file:./spool",
  "Where accepted mail is kept until it is delivered. file:DIRECTORY: embedded, for one process on one disk. postgres://...: one queue for many replicas; ?sslmode=verify-full&sslrootcert=FILE for TLS, ?host=DIRECTORY for a Unix socket.",
);

export const STATE_DIRECTORY_SETTING = optionalSetting(
  path,
  "the directory of a file: spool, else ./state",
  "What this relay has learned and counts, and may lose: trust anchors, MTA-STS policies, TLS report counts, the history of hosts. Local, of this process alone.",
  "./state",
);

export const POSTGRES_SETTINGS = {
  passwordFile: optionalSetting(
    path,
    "the password of the URL, else $PGPASSWORD",
    "A file with the database's password, so that the URL needs none. It is read for each new connection.",
    "/etc/dane-relay/postgres-password",
  ),
  maxConnections: setting(integer(2, 1000), 10, "Connections to the database at a time, two more for the leases."),
  leaseSeconds: setting(
    integer(5, 600, "seconds"),
    30,
    "A replica that the database has not heard of for this time has lost what it had claimed, and the others deliver it.",
  ),
};

function postgresLocation(text: string): Parsed<SpoolSetting> {
  let url: URL;
  try {
    url = new URL(text);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return problem(`is no URL: it must be ${FORM}`);
  }
  const unknown = [...url.searchParams.keys()].find((name) => !PARAMETERS.some((known) => known === name));
  // A typing error in sslmode must not switch TLS off.
  if (unknown !== undefined) return problem(`has the parameter ${unknown}: known are ${PARAMETERS.join(", ")}`);
  const tls = tlsOf(url.searchParams);
  if (typeof tls === "string") return problem(tls);
  const host = url.searchParams.get("host") ?? url.hostname.replace(/^\[(.+)\]$/, "$1");
  const database = decoded(url.pathname.slice(1));
  const [user, password] = [decoded(url.username), decoded(url.password)];
  if (host === "" || database === undefined || database === "" || user === undefined || password === undefined)
    return problem(`must be ${FORM}`);
  return value({
    kind: "postgres",
    host,
    port: url.port === "" ? DEFAULT_PORT : Number(url.port),
    database,
    tls,
    ...(user === "" ? {} : { user }),
    ...(password === "" ? {} : { password }),
  });
}

function tlsOf(parameters: URLSearchParams): Extract<SpoolSetting, { kind: "postgres" }>["tls"] | string {
  const mode = parameters.get("sslmode") ?? "disable";
  const caFile = parameters.get("sslrootcert");
  if (mode === "verify-full") return { mode, ...(caFile === null ? {} : { caFile }) };
  if (mode !== "disable") return `has sslmode=${mode}: only disable and verify-full say what they do`;
  return caFile === null ? { mode } : "has sslrootcert without sslmode=verify-full";
}

function decoded(text: string): string | undefined {
  try {
    const plain = decodeURIComponent(text);
    return plain.includes("\0") ? undefined : plain;
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    return undefined;
  }
}
