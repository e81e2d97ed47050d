import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { SMTPServer } from "smtp-server";
import type { Clock } from "../clock.ts";
import type { MessageId } from "../spool/message.ts";
import type { Store } from "../spool/store.ts";
import { parseAddressCommand } from "./addressCommand.ts";
import { AuthenticatedSession, type AuthenticationOptions, type PeerOptions } from "./authenticatedSession.ts";
import { MailDataParser } from "./mailDataParser.ts";
import { MessageIntake } from "./messageIntake.ts";
import { badSequence, type Reply, refused, syntaxError } from "./reply.ts";
import { SHUTDOWN } from "./sessionChannel.ts";
import type { Arrival } from "./traceHeaders.ts";
import { beginTransaction, parseRecipient, type Transaction } from "./transaction.ts";

/**
 * One connection: smtp-server's session with our MAIL, RCPT and DATA, because its own parse addresses loosely, and give every refusal the
 * enhanced code of its table.
 */
export type SessionOptions = AuthenticationOptions & {
  /** As they are now. */
  limits: () => { maxMessageBytes: number; maxRecipients: number };
  store: Store;
  clock: Clock;
  newId: () => MessageId;
  /** The connection is gone; may be called more than once. */
  onClosed: (session: SubmissionSession) => void;
};

export class SubmissionSession extends AuthenticatedSession {
  readonly #options: SessionOptions;
  #transaction: Transaction | undefined;
  #intake: MessageIntake | undefined;

  constructor(server: SMTPServer, socket: Socket | TLSSocket, peer: PeerOptions, options: SessionOptions) {
    super(server, socket, peer, options);
    this.#options = options;
  }

  protected override inTransaction(): boolean {
    return this.#transaction !== undefined;
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
    this.reply(this.#mail(command));
    callback();
  }

  #mail(command: Buffer): Reply {
    if (this.#options.stopping()) return refused(SHUTDOWN);
    if (this.#transaction !== undefined) return badSequence("MAIL was given already");
    const parsed = parseAddressCommand("MAIL", command);
    if (parsed.kind === "error") return syntaxError(parsed.reason);
    const { limits, admission, tls } = this.#options;
    const begun = beginTransaction(parsed, {
      maxMessageBytes: limits().maxMessageBytes,
      requireTls: this.secure ? "in-tls" : tls,
      auth: admission.authenticator === undefined ? "not-offered" : "offered",
    });
    if (begun.kind === "rejected") return begun;
    const client = this.client();
    const permission = admission.mayRelay(client);
    // Who could log in is told so before anything else; who could not is told at RCPT, which names what is refused.
    if (permission.kind === "denied" && permission.rejection.reason === "auth-required") return refused(permission.rejection);
    const { transaction } = begun;
    const refusal =
      admission.senderRefusal(client, transaction.sender) ??
      (permission.kind === "allowed" ? admission.rateRefusal("messages", client) : undefined);
    if (refusal !== undefined) return refused(refusal);
    const rewritten = admission.rewritten(transaction.sender);
    if (rewritten.kind === "refused") return refused(rewritten.rejection);
    this.#transaction = { ...transaction, sender: rewritten.sender };
    return { kind: "positive", code: 250, text: "2.1.0 sender ok" };
  }

  override handler_RCPT(command: Buffer, callback: () => void): void {
    this.reply(this.#rcpt(command));
    callback();
  }

  #rcpt(command: Buffer): Reply {
    const transaction = this.#transaction;
    if (transaction === undefined) return badSequence("MAIL comes first");
    const { hostname, limits, admission } = this.#options;
    const { maxRecipients } = limits();
    const client = this.client();
    const permission = admission.mayRelay(client);
    if (permission.kind === "denied") return refused(permission.rejection);
    const parsed = parseAddressCommand("RCPT", command);
    if (parsed.kind === "error") return syntaxError(parsed.reason);
    const addressed = parseRecipient(parsed, transaction, hostname);
    if (addressed.kind === "rejected") return addressed;
    const { recipients } = transaction;
    if (recipients.size >= maxRecipients && !recipients.has(addressed.mailbox)) {
      const text = `no more than ${maxRecipients} recipients in one message`;
      return refused({ reason: "too-many-recipients", code: 452, status: "4.5.3", text });
    }
    const refusal = admission.rateRefusal("recipients", client);
    if (refusal !== undefined) return refused(refusal);
    recipients.set(addressed.mailbox, addressed.recipient);
    return { kind: "positive", code: 250, text: "2.1.5 recipient ok" };
  }

  override handler_DATA(_command: Buffer, callback: () => void): void {
    this.reply(this.#data());
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

  #arrival({ smtpUtf8 }: Transaction): Arrival {
    return {
      helo: String(this.hostNameAppearsAs),
      address: this.remoteAddress,
      protocol: this.openingCommand === "EHLO" ? "ESMTP" : "SMTP",
      secure: this.secure,
      authenticated: this.client().user !== undefined,
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
        if (this._parser instanceof MailDataParser) this._parser.client = received.rest.length === 0 ? "waits" : "goes-on";
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
      const user = this.client().user?.name;
      const by = user === undefined ? {} : { user };
      this.#options.onEvent({ kind: "accepted", envelope: result.envelope, recipients, client, helo, ...by });
      this.say(250, `2.0.0 queued as ${result.envelope.id}`, false);
    }
    this._handlerPending = false;
    this._unrecognizedCommands = 0;
    this._resetSession();
    if (this.#options.stopping()) this.shutDown();
  }
}
