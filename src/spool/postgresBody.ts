import { crc32 } from "node:zlib";
import type { BodyPlace, BodySink } from "./messageWriter.ts";
import type { PostgresConnection } from "./postgresConnection.ts";
import { StoreError } from "./store.ts";

/**
 * Message bodies too large for the message's own row, in chunks as they come and as they go: a message is never in memory as a whole.
 * A body belongs to nobody until the transaction that stores its message; one that nobody goes on with is swept.
 */
export const CHUNK_BYTES = 256 * 1024;
/** Longer than any client may be silent within DATA. */
const ABANDONED_SECONDS = 3600;
const SWEEP_MILLISECONDS = 600_000;

export class PostgresBodies implements BodyPlace {
  readonly #connection: PostgresConnection;
  #timer: NodeJS.Timeout | undefined;

  constructor(connection: PostgresConnection) {
    this.#connection = connection;
  }

  /** Sweeps from now on. */
  start(): void {
    // The database is away: the next time comes.
    this.#timer = setInterval(() => void this.sweep().catch(() => undefined), SWEEP_MILLISECONDS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  create(name: string): Promise<BodySink> {
    return Promise.resolve(new PostgresBody(name, this, this.#connection));
  }

  /** What cannot be removed now is swept. */
  async discard(name: string): Promise<void> {
    try {
      await this.#connection.ask("DELETE FROM body WHERE id = $1 AND NOT complete", [name]);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
  }

  /**
   * The octets of a body. Size and checksum are checked before the last chunk comes out: neither half a message nor a damaged one may be sent
   * to its end.
   */
  async *read(name: string, size: number, checksum: number): AsyncGenerator<Buffer> {
    const { ask } = this.#connection;
    let octets = 0;
    let sum = 0;
    for (let number = 0; octets < size; number += 1) {
      const [row] = await ask("SELECT bytes FROM chunk WHERE body = $1 AND number = $2", [name, number]);
      const bytes = row?.bytes;
      if (!Buffer.isBuffer(bytes)) throw damaged(name, `chunk ${number} is missing`);
      octets += bytes.length;
      sum = crc32(bytes, sum);
      if (octets >= size && (octets !== size || sum !== checksum)) throw damaged(name, "it is not what was stored");
      yield bytes;
    }
  }

  /** Removes what came in and was never stored as a message: its client, or the replica that took it, is gone. */
  async sweep(): Promise<void> {
    await this.#connection.ask(
      "DELETE FROM body WHERE NOT complete AND touched < clock_timestamp() - make_interval(secs => $1)",
      [ABANDONED_SECONDS],
    );
  }
}

function damaged(name: string, what: string): StoreError {
  return new StoreError("corrupt", `message body ${name} cannot be read in full: ${what}; delete the message from the queue`);
}

/** One body being written, chunk behind chunk. */
class PostgresBody implements BodySink {
  readonly name: string;
  readonly #bodies: PostgresBodies;
  readonly #connection: PostgresConnection;
  #pieces: Uint8Array[] = [];
  #octets = 0;
  #chunks = 0;
  #written: Promise<void> = Promise.resolve();

  constructor(name: string, bodies: PostgresBodies, connection: PostgresConnection) {
    this.name = name;
    this.#bodies = bodies;
    this.#connection = connection;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#pieces.push(bytes);
    this.#octets += bytes.length;
    if (this.#octets >= CHUNK_BYTES) await this.#flush();
  }

  async finish(): Promise<void> {
    await this.#flush();
  }

  async discard(): Promise<void> {
    // Whether the last chunk came or not, it is not on its way any more.
    await this.#written.catch(() => undefined);
    await this.#bodies.discard(this.name);
  }

  /** Behind the chunks before it; a failure is that of everything behind it too. */
  #flush(): Promise<void> {
    const whole = Buffer.concat(this.#pieces);
    this.#pieces = [];
    this.#octets = 0;
    this.#written = this.#written.then(async () => {
      for (let at = 0; at < whole.length; at += CHUNK_BYTES) await this.#append(whole.subarray(at, at + CHUNK_BYTES));
    });
    return this.#written;
  }

  async #append(bytes: Buffer): Promise<void> {
    try {
      const [row] = await this.#connection.ask("SELECT append($1, $2, $3)", [this.name, this.#chunks, bytes]);
      if (row?.append !== true) throw new StoreError("io", `message body ${this.name} was given up, for it came too slowly`);
    } catch (error) {
      throw this.#connection.failure(error);
    }
    this.#chunks += 1;
  }
}
