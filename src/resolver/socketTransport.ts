import { type Clock, type Random, systemClock, systemRandom } from "../clock.ts";
import { StreamConnections } from "./streamConnection.ts";
import type { ExchangeResult, Query, ServerAddress, Transport } from "./transport.ts";
import { exchangeDatagrams } from "./udpExchange.ts";

/** First wait before a datagram is sent again; doubles each time. */
const RETRANSMIT_MILLISECONDS = 800;
/** Datagram exchanges at one time; more wait for their turn inside their own time limit. */
const MAX_CONCURRENT_DATAGRAMS = 512;
const STREAM_IDLE_MILLISECONDS = 10_000;

export type TransportOptions = {
  clock?: Clock;
  random?: Random;
  retransmitMilliseconds?: number;
  /** How long a TCP or TLS connection is kept for the next query. */
  streamIdleMilliseconds?: number;
  /** PEM certificates that DNS-over-TLS servers are verified against, instead of those built into Node. */
  tlsAuthorities?: readonly string[];
};

/** Real sockets. `close` ends the connections that are kept open; exchanges under way then fail as unreachable. */
export function createTransport(options: TransportOptions = {}): Transport & { close(): void } {
  const clock = options.clock ?? systemClock;
  const random = options.random ?? systemRandom;
  const retransmit = options.retransmitMilliseconds ?? RETRANSMIT_MILLISECONDS;
  const turns = new Turns(MAX_CONCURRENT_DATAGRAMS);
  const streams = new StreamConnections({
    random,
    idleMilliseconds: options.streamIdleMilliseconds ?? STREAM_IDLE_MILLISECONDS,
    ...(options.tlsAuthorities === undefined ? {} : { tlsAuthorities: options.tlsAuthorities }),
  });

  async function exchange(server: ServerAddress, query: Query, timeoutMilliseconds: number): Promise<ExchangeResult> {
    const started = clock.monotonic();
    const left = () => timeoutMilliseconds - (clock.monotonic() - started);
    if (server.tls === undefined) {
      if (!(await turns.take(left()))) return { kind: "timeout" };
      const datagram = await exchangeDatagrams(server, query, {
        timeoutMilliseconds: left(),
        retransmitMilliseconds: retransmit,
        random,
      });
      turns.give();
      if (datagram.kind === "response")
        return { kind: "response", message: datagram.message, transport: "udp", milliseconds: clock.monotonic() - started };
      if (datagram.kind !== "truncated") return datagram;
    }
    // RFC 7766 §5: a truncated answer is asked for again over TCP; nothing of it is used.
    const reply = await streams.exchange(server, query, left());
    if (reply.kind !== "response") return reply;
    const transport = server.tls === undefined ? "tcp" : "tls";
    return { kind: "response", message: reply.message, transport, milliseconds: clock.monotonic() - started };
  }
  return { exchange, close: () => streams.close() };
}

/** A counting semaphore whose waiters give up after a time. */
class Turns {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(free: number) {
    this.#free = free;
  }

  take(withinMilliseconds: number): Promise<boolean> {
    if (this.#free > 0) {
      this.#free -= 1;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        resolve(true);
      };
      const timer = setTimeout(() => {
        this.#waiting.delete(wake);
        resolve(false);
      }, withinMilliseconds);
      this.#waiting.add(wake);
    });
  }

  give(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#free += 1;
    else {
      this.#waiting.delete(next);
      next();
    }
  }
}
