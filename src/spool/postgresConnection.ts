import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { type ClientBase, DatabaseError, Pool, type PoolClient, types } from "pg";
import { ConnectionSlots } from "./connectionSlots.ts";
import type { Ask } from "./postgresSchema.ts";
import { StoreError } from "./store.ts";

/** Where the database is, and who asks. `password` is asked for nowhere else: without one, libpq's $PGPASSWORD counts. */
export type PostgresServer = {
  /** A name, an address, or the directory of a Unix socket. */
  host: string;
  port: number;
  user?: string;
  password?: string;
  /** Read for each new connection. */
  passwordFile?: string;
  database: string;
  tls: { mode: "disable" } | { mode: "verify-full"; caFile?: string };
};

const CONNECT_MILLISECONDS = 5_000;
/** For one of the connections to become free. */
const TURN_MILLISECONDS = 30_000;
/** The server ends a statement that takes longer; what the network swallowed is given up a little later. */
const STATEMENT_SECONDS = 8;
const ANSWER_MARGIN_MILLISECONDS = 2_000;
const IDLE_MILLISECONDS = 60_000;

/** Of each session. A client that is cut off or paused in a transaction must not keep its locks. */
const SESSION = `
  SET search_path = dane_relay; SET lock_timeout = '10s';
  SET idle_in_transaction_session_timeout = '10s'; SET default_transaction_isolation = 'read committed';
  SET client_min_messages = 'warning'; SET bytea_output = 'hex';
  SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)`;

const INT8 = 20;
/** All that is counted here stays below 2^53. */
const TYPES = {
  getTypeParser: (oid: number, format?: "text" | "binary") =>
    oid === INT8 ? (text: string) => Number(text) : types.getTypeParser(oid, format ?? "text"),
};

/** SQLSTATE classes and codes (PostgreSQL, appendix A). */
const DISK_FULL = "53100";
const FOREIGN_KEY = "23503";
const UNIQUE = "23505";
/** Data, integrity, syntax and damage: they would come again, waiting does not help. */
const LASTING = /^(?:22|23|42|P0|XX00[12])/;
/** The server ended the session, or never had it: what became of the statement is not known. */
const BROKEN = /^(?:08|57P0)/;

export function isUniqueViolation(error: unknown): boolean {
  return codeOf(error) === UNIQUE;
}

export function isForeignKeyViolation(error: unknown): boolean {
  return codeOf(error) === FOREIGN_KEY;
}

/** No session: nothing was asked. */
class NotConnected extends Error {
  constructor(cause: unknown) {
    super(textOf(cause), { cause });
    this.name = "NotConnected";
  }
}

function notConnected(error: unknown): never {
  throw new NotConnected(error);
}

/** Whether the statement may have been committed all the same. */
export function isAmbiguous(error: unknown): boolean {
  if (error instanceof NotConnected || error instanceof StoreError) return false;
  return !(error instanceof DatabaseError) || error.code === undefined || BROKEN.test(error.code);
}

/** Some connections to the database, made when they are needed and made anew after they broke. */
export class PostgresConnection {
  readonly #pool: Pool;
  readonly #slots: ConnectionSlots;
  readonly #where: string;
  #closed = false;

  constructor(server: PostgresServer, limits: { maxConnections: number; statementSeconds?: number }) {
    const { host, port, database, user, passwordFile, password, tls } = server;
    const { maxConnections, statementSeconds = STATEMENT_SECONDS } = limits;
    const statementMilliseconds = Math.ceil(statementSeconds * 1000);
    this.#slots = new ConnectionSlots(maxConnections, TURN_MILLISECONDS);
    this.#where = `postgres://${host}:${port}/${database}`;
    this.#pool = new Pool({
      host,
      port,
      database,
      ...(user === undefined ? {} : { user }),
      ...(passwordFile === undefined ? {} : { password: () => secretOf(passwordFile) }),
      ...(passwordFile !== undefined || password === undefined ? {} : { password }),
      ssl: tls.mode === "disable" ? false : tls.caFile === undefined ? {} : { ca: readFileSync(tls.caFile, "utf8") },
      application_name: "dane-relay",
      max: maxConnections,
      connectionTimeoutMillis: CONNECT_MILLISECONDS,
      idleTimeoutMillis: IDLE_MILLISECONDS,
      statement_timeout: statementMilliseconds,
      query_timeout: statementMilliseconds + ANSWER_MARGIN_MILLISECONDS,
      keepAlive: true,
      keepAliveInitialDelayMillis: CONNECT_MILLISECONDS,
      types: TYPES,
      onConnect: (client) => prepareSession(client),
    });
    // An idle connection broke: the pool has dropped it, and the next question makes another.
    this.#pool.on("error", () => undefined);
  }

  /** One statement, which is a transaction. */
  ask: Ask = (sql, values) => this.#with(async (client) => (await client.query(sql, [...(values ?? [])])).rows);

  /** Several statements in one transaction. */
  transaction<T>(run: (ask: Ask) => Promise<T>): Promise<T> {
    return this.#with(async (client) => {
      const ask: Ask = async (sql, values) => (await client.query(sql, values === undefined ? undefined : [...values])).rows;
      await ask("BEGIN");
      try {
        const result = await run(ask);
        await ask("COMMIT");
        return result;
      } catch (error) {
        if (!isAmbiguous(error)) await ask("ROLLBACK");
        throw error;
      }
    });
  }

  async #with<T>(use: (client: PoolClient) => Promise<T>): Promise<T> {
    if (this.#closed) throw new StoreError("closed", "the spool is closed");
    await this.#slots.enter().catch(notConnected);
    try {
      const client = await this.#pool.connect().catch(notConnected);
      try {
        const result = await use(client);
        client.release();
        return result;
      } catch (error) {
        // Whatever the session is in the middle of, nobody else gets it.
        client.release(isAmbiguous(error) ? true : undefined);
        throw error;
      }
    } finally {
      this.#slots.leave();
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#pool.end();
  }

  /** What went wrong with the database, and what to do about it. */
  failure(error: unknown): StoreError {
    if (error instanceof StoreError) return error;
    const code = codeOf(error);
    const told = `${this.#where}: ${textOf(error)}`;
    if (code === DISK_FULL) return new StoreError("full", `${told}: free some space there`, { cause: error });
    if (code !== undefined && LASTING.test(code))
      return new StoreError("corrupt", `${told} (SQLSTATE ${code})`, { cause: error });
    return new StoreError("io", `${told}: new mail is refused for the time being, queued mail waits`, { cause: error });
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof DatabaseError ? error.code : undefined;
}

/** Some errors of sockets have only a code; some, of several addresses, only what they are made of. */
function textOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(textOf).join("; ");
  return error instanceof Error ? error.message || String(error) : String(error);
}

/** The pool hands a session out when this is done, and drops it when it fails. */
async function prepareSession(client: ClientBase): Promise<void> {
  // A connection may break between two questions, and nobody else would listen; the next question fails, and says so.
  client.on("error", () => undefined);
  await client.query(SESSION);
}

async function secretOf(file: string): Promise<string> {
  return (await readFile(file, "utf8")).replace(/\r?\n$/, "");
}
