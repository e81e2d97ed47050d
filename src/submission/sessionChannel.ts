import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { SMTPServer } from "smtp-server";
import { SMTPConnection } from "smtp-server/lib/smtp-connection.js";
import { MailDataParser } from "./mailDataParser.ts";
import { handshakeFailure, type Rejection } from "./rejection.ts";
import type { SubmissionEvent } from "./submissionEvent.ts";

/**
 * One connection below its commands: smtp-server's session with our greeting, our bound of the TLS handshake, and replies that leave together
 * and are reported where they refuse. The overridden methods are not its public API: the version is pinned, and a test guards them.
 */
export type ChannelOptions = {
  hostname: string;
  handshakeMilliseconds: number;
  /** Why a new connection from this client is refused; undefined: it is welcome. */
  refusal: (address: string) => Rejection | undefined;
  onEvent: (event: SubmissionEvent) => void;
};

export const SHUTDOWN: Rejection = { reason: "shutdown", code: 421, status: "4.3.2", text: "shutting down, try again later" };

export class SessionChannel extends SMTPConnection {
  readonly #options: ChannelOptions;
  /** The TLS socket while it is in its handshake; `_socket` is then still the one below. */
  #handshaking: Socket | undefined;

  constructor(server: SMTPServer, socket: Socket | TLSSocket, socketOptions: object, options: ChannelOptions) {
    super(server, socket, socketOptions);
    this.#options = options;
  }

  /** Without the 100 ms that the base class waits before its greeting. */
  override init(): void {
    this._setListeners(() => {
      const refusal = this.#options.refusal(this.remoteAddress);
      if (refusal === undefined) this.connectionReady();
      else this.refuse(refusal);
    });
  }

  terminate(): void {
    if (!this._closing) this.refuse(SHUTDOWN);
    this._socket.uncork();
    // A socket is not taken away from under a handshake.
    (this.#handshaking ?? this._socket).destroy();
  }

  /** STARTTLS (RFC 3207): the 220 is on its way before the socket is TLS, and what the client has not got through by its deadline is cut. */
  override upgrade(callback: () => void, secureCallback?: () => void): void {
    // TLS on a socket that is gone already ends the whole process (Node 24); its close event comes next.
    if (this._socket.destroyed) return;
    this._socket.uncork();
    super.upgrade(callback, secureCallback);
  }

  /** Called for the TLS socket when its handshake begins; the base class bounds only the silence within it. */
  override _armTimeout(socket: Socket = this._socket): void {
    super._armTimeout(socket);
    if (!this._upgrading || socket === this._socket) return;
    this.#handshaking = socket;
    const deadline = setTimeout(() => socket.destroy(), this.#options.handshakeMilliseconds);
    const over = (): void => {
      clearTimeout(deadline);
      this.#handshaking = undefined;
    };
    socket.once("secure", over);
    socket.once("close", over);
  }

  override _onError(error: Error): void {
    if (this.#handshaking !== undefined) {
      this.#handshaking = undefined;
      this.#options.onEvent({ kind: "rejected", rejection: handshakeFailure(error.message), client: this.remoteAddress });
    }
    super._onError(error);
  }

  /** Replies of the base class that refuse something are reported too. */
  override send(code: number, data?: string | string[] | null, context?: string | false): void {
    if (code >= 400) {
      const text = Array.isArray(data) ? data.join(" ") : (data ?? "");
      const rejection: Rejection = { reason: "protocol", code, status: code < 500 ? "4.5.0" : "5.5.0", text };
      this.#options.onEvent({ kind: "rejected", rejection, client: this.remoteAddress });
    }
    this.say(code, data, context);
  }

  /** The replies to commands that came together leave together (RFC 2920 §3.2 (2)). */
  protected say(code: number, data?: string | string[] | null, context?: string | false): void {
    const socket = this._socket;
    const waits = this._parser instanceof MailDataParser && this._parser.client === "waits";
    if (!waits && socket.writableCorked === 0) {
      socket.cork();
      process.nextTick(() => socket.uncork());
    }
    super.send(code, data, context);
  }

  /**
   * RFC 5321 §4.1.1.10: 221, then the connection is closed. Many clients have gone without waiting for it, and to shut down what they have closed
   * is an error each time: in clear text, where the system sends on what it was given, the socket is closed as a whole.
   */
  override handler_QUIT(command: Buffer, callback: () => void): void {
    if (this.secure) {
      super.handler_QUIT(command, callback);
      return;
    }
    this.say(221, "2.0.0 Bye", false);
    this._socket.uncork();
    if (this._socket.writableLength === 0) this._socket.destroy();
    this.close();
    callback();
  }

  protected refuse(rejection: Rejection, error?: unknown): void {
    const cause = error === undefined ? {} : { error };
    this.#options.onEvent({ kind: "rejected", rejection, client: this.remoteAddress, ...cause });
    // RFC 5321 §4.2.2: 421 names the server.
    const name = rejection.code === 421 ? `${this.#options.hostname} ` : "";
    this.say(rejection.code, `${rejection.status} ${name}${rejection.text}`, false);
  }
}
