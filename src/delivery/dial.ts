import { createConnection, isIP, type Socket } from "node:net";

/** One address to connect to, and the local address to do it from. */
export type DialTarget = { address: string; localAddress?: string };

/** `blame`: nothing went out, for want of something on this machine; it says nothing of the address. */
export type DialFailure = { address: string; text: string; blame?: "here" };

export type Dialled =
  | { kind: "connected"; socket: Socket; address: string }
  /** No address took a connection. */
  | { kind: "failed"; failures: readonly DialFailure[] };

/** RFC 8305 §5: the Connection Attempt Delay. The next address is tried earlier when one fails. */
export const ATTEMPT_DELAY_MILLISECONDS = 250;
/** Of one host; each one costs a descriptor. */
const MAX_AT_ONCE = 3;

/** Sentences for the errors that a connect attempt ends in; others keep their code. */
const CONNECT_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EHOSTUNREACH: "host unreachable",
  ENETUNREACH: "network unreachable: no route, or no address of this family",
  ETIMEDOUT: "connection timed out",
};

/** Those that are this machine's own. */
const OWN_ERRORS: Readonly<Record<string, string>> = {
  EADDRNOTAVAIL: "the configured source address is not one of this machine's, or has no port left",
  EMFILE: "out of file descriptors",
  ENFILE: "this machine is out of file descriptors",
  ENOBUFS: "this machine is out of memory for connections",
  ENOMEM: "this machine is out of memory",
};

/**
 * A TCP connection to the first of `targets` that takes one, in the manner of RFC 8305: the next address is tried beside one that hangs. Only
 * one connection comes out of it, so there is never more than one that TLS or MAIL could begin on; the others are closed without a word.
 */
export function dial(
  targets: readonly [DialTarget, ...DialTarget[]],
  options: { port: number; connectSeconds: number },
): Promise<Dialled> {
  // A name would be looked up by the system's resolver, past every DNSSEC check.
  for (const { address } of targets) if (isIP(address) === 0) throw new Error(`not an IP address: ${address}`);
  return new Promise((resolve) => new Race(targets, options, resolve).next());
}

class Race {
  readonly #waiting: DialTarget[];
  readonly #options: { port: number; connectSeconds: number };
  readonly #resolve: (dialled: Dialled) => void;
  /** Each with what ends its time. */
  readonly #open = new Map<Socket, NodeJS.Timeout>();
  readonly #failures: DialFailure[] = [];
  #delay: NodeJS.Timeout | undefined;

  constructor(
    targets: readonly DialTarget[],
    options: { port: number; connectSeconds: number },
    resolve: (dialled: Dialled) => void,
  ) {
    this.#waiting = [...targets];
    this.#options = options;
    this.#resolve = resolve;
  }

  next(): void {
    clearTimeout(this.#delay);
    const target = this.#open.size < MAX_AT_ONCE ? this.#waiting.shift() : undefined;
    if (target === undefined) return;
    const { port, connectSeconds } = this.#options;
    const { address, localAddress } = target;
    const socket = createConnection({
      host: address,
      port,
      noDelay: true,
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    const fail = (text: string, more: Pick<DialFailure, "blame"> = {}): void =>
      this.#failed(socket, { address, text: `${address} port ${port}: ${text}`, ...more });
    this.#open.set(
      socket,
      setTimeout(() => fail(`no connection within ${connectSeconds} s`), connectSeconds * 1000),
    );
    socket.once("connect", () => this.#won(socket, address));
    // Stays attached: an error finds a listener at any time.
    socket.on("error", (error: NodeJS.ErrnoException) => {
      const code = error.code ?? error.message;
      const own = OWN_ERRORS[code];
      if (own === undefined) fail(CONNECT_ERRORS[code] ?? code);
      else fail(own, { blame: "here" });
    });
    if (this.#waiting.length > 0) this.#delay = setTimeout(() => this.next(), ATTEMPT_DELAY_MILLISECONDS);
  }

  #won(socket: Socket, address: string): void {
    if (!this.#open.has(socket)) return;
    clearTimeout(this.#delay);
    for (const [other, deadline] of this.#open) {
      clearTimeout(deadline);
      if (other !== socket) other.destroy();
    }
    this.#open.clear();
    this.#resolve({ kind: "connected", socket, address });
  }

  #failed(socket: Socket, failure: DialFailure): void {
    const deadline = this.#open.get(socket);
    // One that lost, or the one that won, later.
    if (deadline === undefined) return;
    clearTimeout(deadline);
    this.#open.delete(socket);
    socket.destroy();
    this.#failures.push(failure);
    if (this.#waiting.length > 0) this.next();
    else if (this.#open.size === 0) this.#resolve({ kind: "failed", failures: this.#failures });
  }
}
