import { isIPv4 } from "node:net";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { SMTPServer } from "smtp-server";
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
 * One connection: smtp-server's session with our AUTH, MAIL, RCPT and DATA, because its own parse addresses loosely, and give every refusal the
 * enhanced code of its table.
 */
export type SessionOptions = ChannelOptions & {
  /** Whether there is a certificate for STARTTLS, or TLS from the start. */
  tls: "offered" | "not-offered";
  /** As they are now. */
  limits: () => { maxMessageBytes: number; maxRecipients: number };
  store: Store;
  clock: Clock;
  newId: () => MessageId;
  admission: Admission;
  stopping: () => boolean;
  /** The connection is gone; may be called more than once. */
  onClosed: (session: SubmissionSession) => void;
};

export class SubmissionSession extends SessionChannel {
  readonly #options: SessionOptions;
  readonly #origin: Origin;
  #transaction: Transaction | undefined;
  #intake: MessageIntake | undefined;
  #user: User | undefined;
  /** EHLO is being answered: what is not to be announced is not supported then. */
  #announcing = false;
  #failedAuthentications = 0;

  constructor(server: SMTPServer, socket: Socket | TLSSocket, { origin, ...socketOptions }: PeerOptions, options: SessionOptions) {
    super(server, socket, socketOptions, options);
    this.#options = options;
    this.#origin = origin;
  }

  /** Between two transactions a session that is to end ends at once; one in a transaction ends behind it. */
  shutDown(): void {
    if (this.#transaction === undefined && !this._closing) this.refuse(SHUTDOWN);
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
    if (reply.kind === "rejected") this.refuse(reply.rejection);
    else this.say(reply.code, reply.text, false);
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
    // A client that goes meanwhile takes its transaction along; what is accepted of it has its recipients all the same.
    const recipients = [...(this.#transaction?.recipients.values() ?? [])].map(({ address }) => address);
    const client = this.remoteAddress;
    const result = await intake.finish();
    this.#intake = undefined;
    if (result.kind === "rejected") {
      this.refuse(result.rejection, result.error);
    } else {
      const helo = String(this.hostNameAppearsAs);
      this.#options.onEvent({ kind: "accepted", envelope: result.envelope, recipients, client, helo });
      this.say(250, `2.0.0 queued as ${result.envelope.id}`, false);
    }
    this._handlerPending = false;
    this._unrecognizedCommands = 0;
    this._resetSession();
    if (this.#options.stopping()) this.shutDown();
  }
}
