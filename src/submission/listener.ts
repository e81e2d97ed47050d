import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { TLSSocket } from "node:tls";
import type { Clock, Random } from "../clock.ts";
import { messageIds } from "../spool/messageId.ts";
import type { Store } from "../spool/store.ts";
import { Admission, type AdmissionLimits } from "./admission.ts";
import type { PeerOptions } from "./authenticatedSession.ts";
import type { Authenticator } from "./authenticator.ts";
import type { ClientCertificates } from "./clientCertificate.ts";
import { handshakeFailure, proxyHeaderFailure, type Rejection } from "./rejection.ts";
import type { ServerCertificate } from "./serverCertificate.ts";
import { type SessionOptions, SubmissionSession } from "./session.ts";
import type { SubmissionEvent } from "./submissionEvent.ts";
import { SubmissionServer } from "./submissionServer.ts";

/** The addresses that accept mail. */
export type ListenerOptions = SubmissionLimits & {
  /** `address:port`, `[address]:port`; port 0 takes any that is free. */
  listen: readonly string[];
  /** The same, with TLS from the first octet (RFC 8314 §3.3). */
  implicitTlsListen?: readonly string[];
  /** Without it neither STARTTLS nor implicit TLS is offered, and no REQUIRETLS. */
  certificate?: ServerCertificate;
  hostname: string;
  /** Who may log in; without it there is no AUTH. */
  authenticator?: Authenticator;
  /** Whose certificates let a client relay; without it none is asked for. */
  clientCertificates?: ClientCertificates;
  /** Whether AUTH is taken outside TLS; never when not given. */
  authWithoutTls?: "never" | "loopback";
  handshakeMilliseconds?: number;
  proxyHeaderMilliseconds?: number;
  store: Store;
  clock: Clock;
  random: Random;
  onEvent: (event: SubmissionEvent) => void;
};

/** What may change while connections are open. */
export type SubmissionLimits = AdmissionLimits & {
  maxMessageBytes: number;
  maxRecipients: number;
  /** On all addresses together. */
  maxConnections: number;
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
  /** From now on, for the sessions that are open too; throws, with nothing changed, when a network cannot be understood. */
  limit(limits: SubmissionLimits): void;
  /** Shown in handshakes from now on; sessions that are in TLS already stay as they are. */
  present(certificate: ServerCertificate): void;
}

/** From the first octet of a TLS handshake to its end; what a client sends in between does not make it longer. */
const HANDSHAKE_MILLISECONDS = 60_000;
/** A load balancer sends its header at once. */
const PROXY_HEADER_MILLISECONDS = 10_000;
/** How often stop() looks whether the last session has ended. */
const STOP_POLL_MILLISECONDS = 20;

/** Makes a listener; throws an Error when a network or `listen` cannot be understood. */
export function createListener(options: ListenerOptions): Listener {
  return new SubmissionListener(options);
}

class SubmissionListener implements Listener {
  readonly #options: ListenerOptions;
  readonly #sessionOptions: SessionOptions;
  readonly #sessions = new Set<SubmissionSession>();
  readonly #servers: SubmissionServer[] = [];
  #limits: SubmissionLimits;
  readonly #admission: Admission;
  #state: "new" | "running" | "stopping" = "new";

  constructor(options: ListenerOptions) {
    const { hostname, store, clock, random, onEvent, certificate } = options;
    this.#options = options;
    this.#limits = options;
    const { authenticator, authWithoutTls = "never", clientCertificates } = options;
    this.#admission = new Admission({ clock, authenticator, authWithoutTls, clientCertificates }, options);
    this.#sessionOptions = {
      hostname,
      tls: certificate === undefined ? "not-offered" : "offered",
      handshakeMilliseconds: options.handshakeMilliseconds ?? HANDSHAKE_MILLISECONDS,
      store,
      clock,
      newId: messageIds(clock, random),
      limits: () => this.#limits,
      admission: this.#admission,
      refusal: (address) => this.#refusal(address),
      stopping: () => this.#state === "stopping",
      onEvent,
      onClosed: (session) => this.#closed(session),
    };
  }

  async start(): Promise<void> {
    this.#state = "running";
    const { listen, implicitTlsListen = [] } = this.#options;
    const all = [
      ...listen.map((address) => ({ address, channel: "starttls" as const })),
      ...implicitTlsListen.map((address) => ({ address, channel: "implicit" as const })),
    ];
    for (const { address, channel } of all) {
      try {
        await this.#listen(parseListenAddress(address), channel);
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
    for (const server of this.#servers) server.endHandshakes();
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

  limit(limits: SubmissionLimits): void {
    this.#admission.limit(limits);
    this.#limits = limits;
    for (const { options } of this.#servers) {
      options.size = limits.maxMessageBytes;
      options.maxClients = limits.maxConnections;
    }
  }

  present(certificate: ServerCertificate): void {
    for (const server of this.#servers) server.updateSecureContext(certificate);
  }

  async #listen({ host, port }: { host: string; port: number }, channel: "starttls" | "implicit"): Promise<void> {
    const { hostname, certificate, onEvent } = this.#options;
    const server = new SubmissionServer({
      hostname,
      channel,
      certificate,
      clientCa: this.#options.clientCertificates?.ca,
      maxMessageBytes: this.#limits.maxMessageBytes,
      maxConnections: this.#limits.maxConnections,
      handshakeMilliseconds: this.#sessionOptions.handshakeMilliseconds,
      authentication: this.#admission.authenticator === undefined ? "none" : "offered",
      isLoadBalancer: (address) => this.#admission.isLoadBalancer(address),
      proxyHeaderMilliseconds: this.#options.proxyHeaderMilliseconds ?? PROXY_HEADER_MILLISECONDS,
      begin: (owner, socket, peer) => this.#begin(owner, socket, peer),
      onHandshakeFailure: (client, text) => onEvent({ kind: "rejected", rejection: handshakeFailure(text), client }),
      onProxyFailure: (client, text) => onEvent({ kind: "rejected", rejection: proxyHeaderFailure(text), client }),
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, () => {
        server.removeListener("error", reject);
        server.on("error", (error: Error) => onEvent({ kind: "trouble", text: error.message }));
        resolve();
      });
    });
    this.#servers.push(server);
  }

  #begin(server: SubmissionServer, socket: Socket | TLSSocket, peer: PeerOptions): void {
    const session = new SubmissionSession(server, socket, peer, this.#sessionOptions);
    this.#sessions.add(session);
    this.#admission.opened(session.remoteAddress);
    server.connections.add(session);
    this.#report("opened");
    // A client that breaks off in a transaction; the transaction is dropped with it.
    session.on("error", () => session.close());
    session.init();
  }

  #closed(session: SubmissionSession): void {
    if (!this.#sessions.delete(session)) return;
    this.#admission.closed(session.remoteAddress);
    this.#report("closed");
  }

  #report(change: "opened" | "closed"): void {
    this.#options.onEvent({ kind: "connection", change, open: this.#sessions.size });
  }

  #refusal(address: string): Rejection | undefined {
    if (this.#state === "stopping")
      return { reason: "shutdown", code: 421, status: "4.3.2", text: "shutting down, try again later" };
    if (this.#sessions.size <= this.#limits.maxConnections) return this.#admission.connectionRefusal(address);
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
