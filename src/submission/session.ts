import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { SMTPServer } from "smtp-server";
import { SMTPConnection } from "smtp-server/lib/smtp-connection.js";
import type { Clock } from "../clock.ts";
import type { MessageId } from "../spool/message.ts";
import type { Store } from "../spool/store.ts";
import { parseAddressCommand } from "./addressCommand.ts";
import { MailDataParser } from "./mailDataParser.ts";
import { MessageIntake } from "./messageIntake.ts";
import { handshakeFailure, type Rejection } from "./rejection.ts";
import type { SubmissionEvent } from "./submissionEvent.ts";
import type { Arrival } from "./traceHeaders.ts";
import { beginTransaction, parseRecipient, type Transaction } from "./transaction.ts";

/**
 * One connection: smtp-server's session with our MAIL, RCPT and DATA, because its own parse addresses loosely, give every refusal the enhanced
 * code of its table, and hold the greeting back. The overridden methods are not its public API: the version is pinned, and a test guards them.
 */
export type SessionOptions = {
  hostname: string;
  /** Whether there is a certificate for STARTTLS, or TLS from the start. */
  tls: "offered" | "not-offered";
  handshakeMilliseconds: number;
  /** As they are now. */
  limits: () => { maxMessageBytes: number; maxRecipients: number };
  store: Store;
  clock: Clock;
  newId: () => MessageId;
  mayRelay: (address: string) => boolean;
  /** Why a new connection is refused; undefined: it is welcome. */
  refusal: () => Rejection | undefined;
  stopping: () => boolean;
  onEvent: (event: SubmissionEvent) => void;
  /** The connection is gone; may be called more than once. */
  onClosed: (session: SubmissionSession) => void;
};

type Reply = { kind: "positive"; code: number; text: string } | { kind: "rejected"; rejection: Rejection };

const SHUTDOWN: Rejection = { reason: "shutdown", code: 421, status: "4.3.2", text: "shutting down, try again later" };

export class SubmissionSession extends SMTPConnection {
  readonly #options: SessionOptions;
  #transaction: Transaction | undefined;
  #intake: MessageIntake | undefined;
  /** The TLS socket while it is in its handshake; `_socket` is then still the one below. */
  #handshaking: Socket | undefined;

  constructor(server: SMTPServer, socket: Socket | TLSSocket, socketOptions: object, options: SessionOptions) {
    super(server, socket, socketOptions);
    this.#options = options;
  }

  /** Without the 100 ms that the base class waits before its greeting. */
  override init(): void {
    this._setListeners(() => {
      const refusal = this.#options.refusal();
      if (refusal === undefined) this.connectionReady();
      else this.#refuse(refusal);
    });
  }

  /** Between two transactions a session that is to end ends at once; one in a transaction ends behind it. */
  shutDown(): void {
    if (this.#transaction === undefined && !this._closing) this.#refuse(SHUTDOWN);
  }

  terminate(): void {
    if (!this._closing) this.#refuse(SHUTDOWN);
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
    this.#say(code, data, context);
  }

  /** The replies to commands that came together leave together (RFC 2920 §3.2 (2)). */
  #say(code: number, data?: string | string[] | null, context?: string | false): void {
    const socket = this._socket;
    if (socket.writableCorked === 0) {
      socket.cork();
      process.nextTick(() => socket.uncork());
    }
    super.send(code, data, context);
  }

  #refuse(rejection: Rejection, error?: unknown): void {
    const cause = error === undefined ? {} : { error };
    this.#options.onEvent({ kind: "rejected", rejection, client: this.remoteAddress, ...cause });
    // RFC 5321 §4.2.2: 421 names the server.
    const name = rejection.code === 421 ? `${this.#options.hostname} ` : "";
    this.#say(rejection.code, `${rejection.status} ${name}${rejection.text}`, false);
  }

  override _createParser(): MailDataParser {
    const parser = new MailDataParser((chunk, resume) => this.#receive(chunk, resume));
    parser.oncommand = (command: Buffer, callback?: () => void) => this._onCommand(command, callback);
    parser.on("error", (error) => this.send(421, error.message));
    return parser;
  }

  override _resetSession(): void {
    super._resetSession();
    this.#transaction = undefined;
  }

  override _onClose(): void {
    this.#intake?.abort();
    super._onClose();
    this.#options.onClosed(this);
  }

  override handler_MAIL(command: Buffer, callback: () => void): void {
    this.#reply(this.#mail(command));
    callback();
  }

  #mail(command: Buffer): Reply {
    if (this.#options.stopping()) return refused(SHUTDOWN);
    if (this.#transaction !== undefined) return badSequence("MAIL was given already");
    const parsed = parseAddressCommand("MAIL", command);
    if (parsed.kind === "error") return syntaxError(parsed.reason);
    const requireTls = this.secure ? "in-tls" : this.#options.tls;
    const begun = beginTransaction(parsed, { maxMessageBytes: this.#options.limits().maxMessageBytes, requireTls });
    if (begun.kind === "rejected") return begun;
    this.#transaction = begun.transaction;
    return { kind: "positive", code: 250, text: "2.1.0 sender ok" };
  }

  override handler_RCPT(command: Buffer, callback: () => void): void {
    this.#reply(this.#rcpt(command));
    callback();
  }

  #rcpt(command: Buffer): Reply {
    const transaction = this.#transaction;
    if (transaction === undefined) return badSequence("MAIL comes first");
    const { hostname, limits, mayRelay } = this.#options;
    const { maxRecipients } = limits();
    if (!mayRelay(this.remoteAddress)) {
      const text = `relaying denied: ${this.remoteAddress} is not in submission.trustedNetworks`;
      return refused({ reason: "relay-denied", code: 550, status: "5.7.1", text });
    }
    const parsed = parseAddressCommand("RCPT", command);
    if (parsed.kind === "error") return syntaxError(parsed.reason);
    const addressed = parseRecipient(parsed, transaction, hostname);
    if (addressed.kind === "rejected") return addressed;
    const { recipients } = transaction;
    if (recipients.size >= maxRecipients && !recipients.has(addressed.mailbox)) {
      const text = `no more than ${maxRecipients} recipients in one message`;
      return refused({ reason: "too-many-recipients", code: 452, status: "4.5.3", text });
    }
    recipients.set(addressed.mailbox, addressed.recipient);
    return { kind: "positive", code: 250, text: "2.1.5 recipient ok" };
  }

  override handler_DATA(_command: Buffer, callback: () => void): void {
    this.#reply(this.#data());
    callback();
  }

  #data(): Reply {
    const transaction = this.#transaction;
    if (transaction === undefined) return badSequence("MAIL comes first");
    // RFC 5321 §3.3: 554 when no recipient was accepted.
    if (transaction.recipients.size === 0) {
      return refused({ reason: "protocol", code: 554, status: "5.5.1", text: "no valid recipients" });
    }
    const parser = this._parser;
    if (!(parser instanceof MailDataParser)) throw new Error("DATA on a connection that is closed");
    const { hostname, limits, newId, store, clock } = this.#options;
    const { maxMessageBytes } = limits();
    const arrival = this.#arrival(transaction);
    const message = { id: newId(), now: clock.now(), writer: store.begin() };
    this.#intake = new MessageIntake({ hostname, maxMessageBytes, transaction, arrival, ...message });
    parser.startMailData();
    return { kind: "positive", code: 354, text: "end data with <CR><LF>.<CR><LF>" };
  }

  #reply(reply: Reply): void {
    if (reply.kind === "rejected") this.#refuse(reply.rejection);
    else this.#say(reply.code, reply.text, false);
  }

  #arrival({ smtpUtf8 }: Transaction): Arrival {
    return {
      helo: String(this.hostNameAppearsAs),
      address: this.remoteAddress,
      protocol: this.openingCommand === "EHLO" ? "ESMTP" : "SMTP",
      secure: this.secure,
      authenticated: Boolean(this.session.user),
      smtpUtf8,
    };
  }

  #receive(chunk: Buffer, resume: (rest: Buffer | undefined) => void): void {
    const intake = this.#intake;
    if (intake === undefined) throw new Error("mail data outside a transaction");
    const received = intake.receive(chunk);
    switch (received.kind) {
      case "more":
        if (received.written === undefined) resume(undefined);
        else void received.written.then(() => resume(undefined));
        return;
      case "over":
        // The client waits for us now: its silence is no idleness.
        this._handlerPending = true;
        void this.#complete(intake).then(() => resume(received.rest));
        return;
      case "overrun":
        // Twice the limit, and no end: the reply is not waited for any longer.
        void this.#complete(intake).then(() => this.close());
        return;
      default:
        received satisfies never;
    }
  }

  async #complete(intake: MessageIntake): Promise<void> {
    const result = await intake.finish();
    this.#intake = undefined;
    const recipients = [...(this.#transaction?.recipients.values() ?? [])].map(({ address }) => address);
    const client = this.remoteAddress;
    if (result.kind === "rejected") {
      this.#refuse(result.rejection, result.error);
    } else {
      const helo = String(this.hostNameAppearsAs);
      this.#options.onEvent({ kind: "accepted", envelope: result.envelope, recipients, client, helo });
      this.#say(250, `2.0.0 queued as ${result.envelope.id}`, false);
    }
    this._handlerPending = false;
    this._unrecognizedCommands = 0;
    this._resetSession();
    if (this.#options.stopping()) this.shutDown();
  }
}

function refused(rejection: Rejection): Reply {
  return { kind: "rejected", rejection };
}

function badSequence(text: string): Reply {
  return refused({ reason: "protocol", code: 503, status: "5.5.1", text });
}

function syntaxError(text: string): Reply {
  return refused({ reason: "bad-address", code: 501, status: "5.5.2", text });
}
