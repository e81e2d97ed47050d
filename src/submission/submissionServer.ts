import { constants } from "node:crypto";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { SMTPServer } from "smtp-server";
import type { PeerOptions } from "./authenticatedSession.ts";
import { readProxyHeader } from "./proxyHeaderReader.ts";
import { SASL_MECHANISMS } from "./saslExchange.ts";
import type { ServerCertificate } from "./serverCertificate.ts";

/**
 * One listening address: smtp-server's acceptor of connections with our sessions, our certificate and our bounds. The overridden methods are
 * not its public API: the version is pinned, and tests guard them.
 */
export type ServerOptions = {
  hostname: string;
  maxMessageBytes: number;
  maxConnections: number;
  /** starttls: offered where there is a certificate. implicit: TLS from the first octet (RFC 8314 §3.3), which needs one. */
  channel: "starttls" | "implicit";
  certificate: ServerCertificate | undefined;
  /** Certificates of clients by this CA (PEM) are asked for; a client without one is served all the same. */
  clientCa: string | undefined;
  handshakeMilliseconds: number;
  /** Whether AUTH is a command. */
  authentication: "none" | "offered";
  /** Whether a peer must begin with a PROXY protocol header. */
  isLoadBalancer: (address: string) => boolean;
  proxyHeaderMilliseconds: number;
  begin: (server: SubmissionServer, socket: Socket | TLSSocket, peer: PeerOptions) => void;
  /** A client did not get through the handshake of implicit TLS. */
  onHandshakeFailure: (client: string, text: string) => void;
  /** A load balancer's header did not come, or is none. */
  onProxyFailure: (client: string, text: string) => void;
};

/** RFC 5321 §4.5.3.2.7: a server waits at least 5 minutes for the next command. */
const SESSION_TIMEOUT_MILLISECONDS = 300_000;
/** Of smtp-server, not offered: jokes, and what lets a client choose its own address. */
const DISABLED_COMMANDS = ["WIZ", "SHELL", "KILL", "XCLIENT", "XFORWARD"];
/** RFC 8314 §4.1: TLS 1.2 or later; RFC 9325 §3.5: without renegotiation by the client. */
const HARDENED_TLS = { minVersion: "TLSv1.2", secureOptions: constants.SSL_OP_NO_RENEGOTIATION } as const;

export class SubmissionServer extends SMTPServer {
  readonly #own: ServerOptions;
  readonly #handshakeFailures = new WeakSet<Error>();
  #accepted = 0;

  constructor(own: ServerOptions) {
    const { certificate, channel } = own;
    super({
      name: own.hostname,
      heloResponse: "%s",
      size: own.maxMessageBytes,
      hideENHANCEDSTATUSCODES: false,
      hideDSN: false,
      // Shown inside TLS only (RFC 8689 §2).
      hideREQUIRETLS: false,
      // Without a certificate of our own, the one that comes with smtp-server, whose key is public, would be shown.
      hideSTARTTLS: certificate === undefined,
      secure: channel === "implicit",
      ...(certificate === undefined ? {} : { ...certificate, ...HARDENED_TLS }),
      ...(own.clientCa === undefined ? {} : { ca: own.clientCa, requestCert: true, rejectUnauthorized: false }),
      // Of connections in the handshake of implicit TLS, which have no session yet that would count.
      maxClients: own.maxConnections,
      disableReverseLookup: true,
      socketTimeout: SESSION_TIMEOUT_MILLISECONDS,
      disabledCommands: [
        ...DISABLED_COMMANDS,
        ...(own.authentication === "none" ? ["AUTH"] : []),
        ...(certificate === undefined ? ["STARTTLS"] : []),
      ],
      authMethods: [...SASL_MECHANISMS],
      // Who needs it is told by our own MAIL and RCPT.
      authOptional: true,
      logger: false,
      onConnect: (_session, callback) => callback(),
    });
    if (channel === "implicit" && certificate === undefined) throw new Error("implicit TLS needs a certificate");
    this.#own = own;
  }

  override connect(socket: Socket | TLSSocket, peer?: object | null): void {
    this.#own.begin(this, socket, peer ?? {});
  }

  /** Asked before a session begins: then the time and the number of those who wait are bounded. */
  override _expectsProxyHeader(socket: Socket): boolean {
    return this.#own.isLoadBalancer(socket.remoteAddress ?? "");
  }

  override _handleProxy(socket: Socket, callback: Parameters<SMTPServer["_handleProxy"]>[1]): void {
    this.#accepted += 1;
    const id = `${this.#accepted}`;
    if (!this._expectsProxyHeader(socket)) {
      // The session begins at once, and its number is no secret.
      callback(null, { id });
      return;
    }
    const { proxyHeaderMilliseconds, onProxyFailure } = this.#own;
    const client = socket.remoteAddress ?? "";
    void readProxyHeader(socket, proxyHeaderMilliseconds).then((header) => {
      if (header.kind === "failed") {
        onProxyFailure(client, header.reason);
        socket.destroy();
        callback(new Error(header.reason));
      } else if (socket.destroyed) callback(new Error("the connection ended behind its PROXY protocol header"));
      else if (header.kind === "unknown") callback(null, peerOptions({ id, origin: "unknown" }));
      else callback(null, peerOptions({ id, origin: "proxied", remoteAddress: header.address, remotePort: header.port }));
    });
  }

  /** The handshake of implicit TLS: bounded in time as a whole. The base class bounds only the silence within it. */
  override _upgrade(socket: Socket, callback: Parameters<SMTPServer["_upgrade"]>[1]): void {
    // TLS on a socket that is gone already ends the whole process (Node 24).
    if (socket.destroyed) {
      callback(this.#noteFailure(new Error("the connection ended before its handshake")));
      return;
    }
    const client = socket.remoteAddress ?? "";
    // The TLS socket on top: to take the one below away from it is not safe.
    const deadline = setTimeout(() => this._pendingSockets.get(socket)?.destroy(), this.#own.handshakeMilliseconds);
    super._upgrade(socket, (error, secured) => {
      clearTimeout(deadline);
      if (error !== null) this.#own.onHandshakeFailure(client, this.#noteFailure(error).message);
      callback(error, secured);
    });
  }

  #noteFailure(error: Error): Error {
    this.#handshakeFailures.add(error);
    return error;
  }

  /** A client's failed handshake is no trouble of the server's. */
  override _onError(error: Error): void {
    if (!this.#handshakeFailures.has(error)) super._onError(error);
  }

  /** What is in a handshake has no session that could end it. */
  endHandshakes(): void {
    for (const socket of this._pendingSockets.values()) socket.destroy();
  }
}

/** What `connect` gets of it; the base class knows only its own part. */
function peerOptions(peer: PeerOptions & { id: string }): PeerOptions & { id: string } {
  return peer;
}
