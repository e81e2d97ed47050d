import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { TLSSocket } from "node:tls";
import { SMTPServer } from "smtp-server";
import type { Clock, Random } from "../clock.ts";
import { messageIds } from "../spool/messageId.ts";
import type { Store } from "../spool/store.ts";
import type { Rejection } from "./rejection.ts";
import { type SessionOptions, SubmissionSession } from "./session.ts";
import type { SubmissionEvent } from "./submissionEvent.ts";
import { TrustedNetworks } from "./trustedNetworks.ts";

/** The addresses that accept mail. */
export type ListenerOptions = {
  /** `address:port`, `[address]:port`; port 0 takes any that is free. */
  listen: readonly string[];
  hostname: string;
  trustedNetworks: readonly string[];
  maxMessageBytes: number;
  maxRecipients: number;
  /** On all addresses together. */
  maxConnections: number;
  store: Store;
  clock: Clock;
  random: Random;
  onEvent: (event: SubmissionEvent) => void;
};

export interface Listener {
  /** Resolves when every address accepts connections; rejects when one cannot, and then none does. */
  start(): Promise<void>;
  /**
   * Accepts nothing new, lets open transactions finish for at most `deadlineMilliseconds`, then ends what is left. A message whose 250 was not
   * sent may be stored all the same.
   */
  stop(deadlineMilliseconds: number): Promise<void>;
  /** Where it listens, as `address:port`. */
  addresses(): readonly string[];
  connections(): number;
}

/** RFC 5321 §4.5.3.2.7: a server waits at least 5 minutes for the next command. */
const SESSION_TIMEOUT_MILLISECONDS = 300_000;
/** How often stop() looks whether the last session has ended. */
const STOP_POLL_MILLISECONDS = 20;
/** Of smtp-server, not offered: jokes, and what lets a client choose its own address. */
const DISABLED_COMMANDS = ["WIZ", "SHELL", "KILL", "XCLIENT", "XFORWARD"];
/** Not offered without a certificate and users of our own; so the certificate that comes with smtp-server, whose key is public, is never shown. */
const WITHOUT_TLS = ["STARTTLS", "AUTH"];

/** Makes a listener; throws an Error when `trustedNetworks` or `listen` cannot be understood. */
export function createListener(options: ListenerOptions): Listener {
  const trusted = TrustedNetworks.parse(options.trustedNetworks);
  if (!(trusted instanceof TrustedNetworks)) throw new Error(`submission.trustedNetworks: ${trusted.reason}`);
  return new SubmissionListener(options, trusted);
}

class SubmissionServer extends SMTPServer {
  readonly #begin: (server: SubmissionServer, socket: Socket | TLSSocket, socketOptions: object) => void;

  constructor(
    options: ListenerOptions,
    begin: (server: SubmissionServer, socket: Socket | TLSSocket, socketOptions: object) => void,
  ) {
    super({
      name: options.hostname,
      heloResponse: "%s",
      size: options.maxMessageBytes,
      hideENHANCEDSTATUSCODES: false,
      hideDSN: false,
      hideREQUIRETLS: true,
      hideSTARTTLS: true,
      disableReverseLookup: true,
      socketTimeout: SESSION_TIMEOUT_MILLISECONDS,
      disabledCommands: [...DISABLED_COMMANDS, ...WITHOUT_TLS],
      logger: false,
      onConnect: (_session, callback) => callback(),
    });
    this.#begin = begin;
  }

  override connect(socket: Socket | TLSSocket, socketOptions?: object | null): void {
    this.#begin(this, socket, socketOptions ?? {});
  }
}

class SubmissionListener implements Listener {
  readonly #options: ListenerOptions;
  readonly #sessionOptions: SessionOptions;
  readonly #sessions = new Set<SubmissionSession>();
  readonly #servers: SubmissionServer[] = [];
  #state: "new" | "running" | "stopping" = "new";

  constructor(options: ListenerOptions, trusted: TrustedNetworks) {
    const { hostname, maxMessageBytes, maxRecipients, store, clock, random, onEvent } = options;
    this.#options = options;
    this.#sessionOptions = {
      hostname,
      maxMessageBytes,
      maxRecipients,
      store,
      clock,
      newId: messageIds(clock, random),
      mayRelay: (address) => trusted.contains(address),
      refusal: () => this.#refusal(),
      stopping: () => this.#state === "stopping",
      onEvent,
    };
  }

  async start(): Promise<void> {
    this.#state = "running";
    for (const address of this.#options.listen) {
      try {
        await this.#listen(parseListenAddress(address));
      } catch (error) {
        await this.stop(0);
        const text = error instanceof Error ? error.message : String(error);
        throw new Error(`cannot accept mail on ${address}: ${text}`, { cause: error });
      }
    }
  }

  async stop(deadlineMilliseconds: number): Promise<void> {
    this.#state = "stopping";
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => server.server.close(() => resolve())));
    for (const session of this.#sessions) session.shutDown();
    const deadline = this.#options.clock.monotonic() + deadlineMilliseconds;
    while (this.#sessions.size > 0 && this.#options.clock.monotonic() < deadline) await delay(STOP_POLL_MILLISECONDS);
    for (const session of this.#sessions) session.terminate();
    await Promise.all(closed);
  }

  addresses(): readonly string[] {
    return this.#servers.flatMap(({ server }) => {
      const bound = server.address();
      if (bound === null || typeof bound === "string") return [];
      return bound.family === "IPv6" ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
    });
  }

  connections(): number {
    return this.#sessions.size;
  }

  async #listen({ host, port }: { host: string; port: number }): Promise<void> {
    const server = new SubmissionServer(this.#options, (owner, socket, socketOptions) =>
      this.#begin(owner, socket, socketOptions),
    );
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, () => {
        server.removeListener("error", reject);
        server.on("error", (error: Error) => this.#options.onEvent({ kind: "trouble", text: error.message }));
        resolve();
      });
    });
    this.#servers.push(server);
  }

  #begin(server: SubmissionServer, socket: Socket | TLSSocket, socketOptions: object): void {
    const session = new SubmissionSession(server, socket, socketOptions, this.#sessionOptions);
    this.#sessions.add(session);
    server.connections.add(session);
    this.#report("opened");
    socket.once("close", () => {
      this.#sessions.delete(session);
      this.#report("closed");
    });
    // A client that breaks off in a transaction; the transaction is dropped with it.
    session.on("error", () => session.close());
    session.init();
  }

  #report(change: "opened" | "closed"): void {
    this.#options.onEvent({ kind: "connection", change, open: this.#sessions.size });
  }

  #refusal(): Rejection | undefined {
    if (this.#state === "stopping")
      return { reason: "shutdown", code: 421, status: "4.3.2", text: "shutting down, try again later" };
    if (this.#sessions.size <= this.#options.maxConnections) return undefined;
    return { reason: "too-many-connections", code: 421, status: "4.7.0", text: "too many connections, try again later" };
  }
}

/** `192.0.2.1:25`, `[::1]:25`, `name:25`. */
export function parseListenAddress(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^[\]:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65535) throw new Error(`${JSON.stringify(text)} is not address:port`);
  return { host, port };
}
