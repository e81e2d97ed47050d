import { connect, isIP, type Socket } from "node:net";
import { checkServerIdentity, connect as connectTls } from "node:tls";
import type { Random } from "../clock.ts";
import { decodeHead, decodeMessage, encodeQuery, isMalformed, type Message } from "../dns/message.ts";
import { answersQuery } from "./transaction.ts";
import type { ExchangeResult, Query, ServerAddress } from "./transport.ts";

/**
 * DNS over TCP (RFC 7766) and TLS (RFC 7858): each message behind its length in two octets; one connection per server carries many
 * queries, answered in any order, and is closed when idle.
 */

const LENGTH_OCTETS = 2;
/** A server that sends this much without answering anything that was asked is cut off. */
const MAX_UNASKED_MESSAGES = 16;
const MAX_QUERIES_PER_CONNECTION = 200;
const CONNECT_MILLISECONDS = 5_000;

type StreamOptions = { random: Random; idleMilliseconds: number; tlsAuthorities?: readonly string[] };
type StreamResult = { kind: "response"; message: Message } | Exclude<ExchangeResult, { kind: "response" }>;
type Waiting = { query: Query; finish: (result: StreamResult) => void };

/** The connections that are open, by server. */
export class StreamConnections {
  readonly #options: StreamOptions;
  readonly #open = new Map<string, StreamConnection>();

  constructor(options: StreamOptions) {
    this.#options = options;
  }

  /** A kept connection may have been closed by the server in the meantime (RFC 7766 §6.2.4): then once more on a new one. */
  async exchange(server: ServerAddress, query: Query, timeoutMilliseconds: number): Promise<StreamResult> {
    const deadline = performance.now() + timeoutMilliseconds;
    const key = `${server.address} ${server.port} ${server.tls?.name ?? ""}`;
    const kept = this.#open.get(key);
    if (kept?.usable === true) {
      const result = await kept.exchange(query, timeoutMilliseconds);
      if (result.kind !== "unreachable") return result;
    }
    const fresh = new StreamConnection(server, this.#options, () => {
      if (this.#open.get(key) === fresh) this.#open.delete(key);
    });
    this.#open.set(key, fresh);
    return fresh.exchange(query, deadline - performance.now());
  }

  close(): void {
    for (const connection of this.#open.values()) connection.end("closed");
  }
}

class StreamConnection {
  readonly #server: ServerAddress;
  readonly #options: StreamOptions;
  readonly #onEnd: () => void;
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  readonly #connectLimit: NodeJS.Timeout;
  #received: Buffer[] = [];
  #receivedOctets = 0;
  #needed = LENGTH_OCTETS;
  #asked = 0;
  #unasked = 0;
  #ended = false;
  /** A query timed out here: nothing new is asked on this connection. */
  #silent = false;

  constructor(server: ServerAddress, options: StreamOptions, onEnd: () => void) {
    this.#server = server;
    this.#options = options;
    this.#onEnd = onEnd;
    this.#socket = openSocket(server, options.tlsAuthorities);
    this.#connectLimit = setTimeout(() => this.end("no connection in time"), CONNECT_MILLISECONDS);
    this.#socket.setNoDelay(true);
    this.#socket.setTimeout(options.idleMilliseconds, () => {
      if (this.#waiting.size === 0) this.end("idle");
    });
    this.#socket.once(server.tls === undefined ? "connect" : "secureConnect", () => clearTimeout(this.#connectLimit));
    this.#socket.on("data", (octets: Buffer) => this.#take(octets));
    this.#socket.on("error", (error) => this.end(error.message));
    this.#socket.on("close", () => this.end("closed by the server"));
  }

  get usable(): boolean {
    return !this.#ended && !this.#silent && this.#asked < MAX_QUERIES_PER_CONNECTION;
  }

  /** Octets written before the (TLS) connection stands are kept by the socket and sent when it does. */
  exchange(query: Query, timeoutMilliseconds: number): Promise<StreamResult> {
    this.#asked += 1;
    const id = this.#freeId();
    const wire = encodeQuery({ id, ...query });
    return new Promise((resolve) => {
      if (this.#ended) {
        resolve({ kind: "unreachable", reason: `${this.#label()}: closed` });
        return;
      }
      const finish = (result: StreamResult) => {
        clearTimeout(limit);
        this.#waiting.delete(id);
        resolve(result);
        if (this.#silent && this.#waiting.size === 0) this.end("silent");
      };
      const limit = setTimeout(
        () => {
          this.#silent = true;
          finish({ kind: "timeout" });
        },
        Math.max(0, timeoutMilliseconds),
      );
      this.#waiting.set(id, { query, finish });
      const length = Buffer.alloc(LENGTH_OCTETS);
      length.writeUInt16BE(wire.length);
      // RFC 7766 §8: length and message in one write.
      this.#socket.write(Buffer.concat([length, wire]));
    });
  }

  end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#connectLimit);
    this.#socket.destroy();
    this.#onEnd();
    for (const waiting of [...this.#waiting.values()])
      waiting.finish({ kind: "unreachable", reason: `${this.#label()}: ${reason}` });
  }

  #label(): string {
    return `${this.#server.tls === undefined ? "TCP" : "TLS"} to ${this.#server.address}`;
  }

  #freeId(): number {
    let id = this.#options.random.below(0x10000);
    while (this.#waiting.has(id)) id = (id + 1) & 0xffff;
    return id;
  }

  #take(octets: Buffer): void {
    this.#received.push(octets);
    this.#receivedOctets += octets.length;
    // Joined only when a whole message is there: a peer that sends octet by octet costs no copying.
    while (this.#receivedOctets >= this.#needed && !this.#ended) {
      const buffered = Buffer.concat(this.#received);
      const end = LENGTH_OCTETS + buffered.readUInt16BE(0);
      const whole = buffered.length >= end;
      this.#received = [whole ? buffered.subarray(end) : buffered];
      this.#receivedOctets = whole ? buffered.length - end : buffered.length;
      this.#needed = whole ? LENGTH_OCTETS : end;
      if (whole) this.#judge(buffered.subarray(LENGTH_OCTETS, end));
    }
  }

  #judge(wire: Buffer): void {
    const head = decodeHead(wire);
    const waiting = isMalformed(head) ? undefined : this.#waiting.get(head.id);
    if (isMalformed(head) || waiting === undefined || !answersQuery(head, head.id, waiting.query)) {
      this.#unasked += 1;
      if (this.#unasked > MAX_UNASKED_MESSAGES) this.end("answers to nothing that was asked");
      return;
    }
    const message = decodeMessage(wire);
    if (isMalformed(message)) waiting.finish(message);
    else if (message.truncated) waiting.finish({ kind: "malformed", reason: `${this.#label()}: truncated over a stream` });
    else waiting.finish({ kind: "response", message });
  }
}

function openSocket(server: ServerAddress, authorities: readonly string[] | undefined): Socket {
  const { address, port, tls } = server;
  if (tls === undefined) return connect({ host: address, port });
  return connectTls({
    host: address,
    port,
    minVersion: "TLSv1.2",
    ALPNProtocols: ["dot"],
    ...(isIP(tls.name) === 0 ? { servername: tls.name } : {}),
    // RFC 8310 §8.1: the certificate is checked against the name that the operator configured, never the one DNS or the peer gave.
    checkServerIdentity: (_host, certificate) => checkServerIdentity(tls.name, certificate),
    ...(authorities === undefined ? {} : { ca: [...authorities] }),
  });
}
