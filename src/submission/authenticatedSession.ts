import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { SMTPServer } from "smtp-server";
import type { Admission, Client } from "./admission.ts";
import { badSequence, type Reply, refused } from "./reply.ts";
import { type Credentials, SASL_MECHANISMS, SaslExchange, type SaslStep } from "./saslExchange.ts";
import { type ChannelOptions, SessionChannel, SHUTDOWN } from "./sessionChannel.ts";
import type { User } from "./usersFile.ts";

/** A connection that may log in: AUTH (RFC 4954), and what the client is by it. */
export type AuthenticationOptions = ChannelOptions & {
  /** Whether there is a certificate for STARTTLS, or TLS from the start. */
  tls: "offered" | "not-offered";
  admission: Admission;
  stopping: () => boolean;
};

/** What is known of a connection before its session; see Client. */
export type PeerOptions = { origin?: Client["origin"]; remoteAddress?: string; remotePort?: number; id?: string };

/** RFC 4954 §9: not before three have failed. */
const MAX_FAILED_ATTEMPTS = 3;

export abstract class AuthenticatedSession extends SessionChannel {
  readonly #options: AuthenticationOptions;
  readonly #origin: Client["origin"];
  #user: User | undefined;
  #failedAttempts = 0;
  #judged: { socket: Socket; certificate: Client["certificate"] } | undefined;
  /** EHLO is being answered: what is not to be announced is not supported then. */
  #announcing = false;

  constructor(server: SMTPServer, socket: Socket | TLSSocket, peer: PeerOptions, options: AuthenticationOptions) {
    const { origin = "direct", ...socketOptions } = peer;
    super(server, socket, socketOptions, options);
    this.#options = options;
    this.#origin = origin;
  }

  protected abstract inTransaction(): boolean;

  protected client(): Client {
    return {
      address: this.remoteAddress,
      origin: this.#origin,
      tls: this.secure ? "active" : this.#options.tls,
      // The base class forgets its user when TLS begins (RFC 3207 §4.2).
      user: this.session.user ? this.#user : undefined,
      certificate: this.#certificate(),
    };
  }

  /** Judged once for each socket: before STARTTLS and behind it. */
  #certificate(): Client["certificate"] {
    if (this.#judged?.socket !== this._socket)
      this.#judged = { socket: this._socket, certificate: this.#options.admission.certificate(this._socket) };
    return this.#judged.certificate;
  }

  /** RFC 4954 §6: a mechanism that is not permitted now is not announced. */
  override handler_EHLO(command: Buffer, callback: () => void): void {
    this.#announcing = true;
    super.handler_EHLO(command, callback);
    this.#announcing = false;
  }

  override _isSupported(command: string): boolean {
    if (command === "AUTH") {
      // Asked at every command.
      if (this.#options.admission.authenticator === undefined) return false;
      if (this.#announcing && this.#options.admission.authentication(this.client()) !== "possible") return false;
    }
    return super._isSupported(command);
  }

  /** A PROXY protocol header (version 1) of somebody that we do not take one from: an unwilling or a wrongly configured load balancer. */
  handler_PROXY(_command: Buffer, callback: () => void): void {
    this.refuse({ reason: "proxy-header", code: 421, status: "4.7.0", text: "no PROXY protocol is taken from you" });
    callback();
  }

  override handler_AUTH(command: Buffer, callback: () => void): void {
    const refusal = this.#authRefusal();
    if (refusal !== undefined) {
      this.reply(refusal);
      callback();
      return;
    }
    const exchange = new SaslExchange();
    this.#step(exchange, exchange.begin(command), callback);
  }

  #authRefusal(): Reply | undefined {
    const { admission, stopping } = this.#options;
    if (stopping()) return refused(SHUTDOWN);
    // RFC 4954 §4: not twice, and not during a mail transaction.
    if (this.session.user) return badSequence("already authenticated");
    if (this.inTransaction()) return badSequence("AUTH is not permitted during a mail transaction");
    if (admission.authentication(this.client()) === "possible") return undefined;
    const text = `AUTH ${SASL_MECHANISMS.join(" and ")} need an encrypted connection`;
    return refused({ reason: "tls-required", code: 538, status: "5.7.11", text });
  }

  #step(exchange: SaslExchange, step: SaslStep, done: () => void): void {
    switch (step.kind) {
      case "challenge":
        this._nextHandler = (line, callback) => this.#step(exchange, exchange.respond(line), callback);
        this.say(334, step.text, false);
        done();
        return;
      case "rejected":
        this.refuse(step.rejection);
        done();
        return;
      case "credentials":
        void this.#authenticate(step.credentials).then(done);
        return;
      default:
        step satisfies never;
    }
  }

  async #authenticate(credentials: Credentials): Promise<void> {
    const { admission, onEvent } = this.#options;
    const client = this.remoteAddress;
    const result = await admission.authenticator?.authenticate(credentials, client);
    if (result === undefined) throw new Error("AUTH without users");
    // Gone, or STARTTLS took its place: whatever the result is, nobody is there to have it.
    if (this._closing || this._closed) return;
    if (result.kind === "authenticated") {
      this.#user = result.user;
      this.session.user = result.user.name;
      this.say(235, "2.7.0 authentication successful", false);
      return;
    }
    this.#failedAttempts += 1;
    const { rejection, known } = result;
    // A name that is nobody's may be a password in the wrong place.
    onEvent({
      kind: "authentication-failed",
      client,
      reason: rejection.reason,
      ...(known === "yes" ? { user: credentials.user } : {}),
    });
    if (this.#failedAttempts < MAX_FAILED_ATTEMPTS) this.refuse(rejection);
    else this.refuse({ ...rejection, code: 421, status: "4.7.0", text: "too many failed authentications" });
  }

  protected reply(reply: Reply): void {
    if (reply.kind === "rejected") this.refuse(reply.rejection);
    else this.say(reply.code, reply.text, false);
  }
}
