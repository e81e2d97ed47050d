import { type DialogueInput, type DialogueStep, type OpeningFailure, openingFailure } from "./dialogueStep.ts";
import { type Extensions, extensionsOf, NO_EXTENSIONS } from "./extensions.ts";
import type { Reply } from "./reply.ts";
import { authentication, type Credentials } from "./saslDialogue.ts";

/**
 * The client's side of SMTP without sockets: generators that yield one step (what to send, what to wait for and how long at most) and are
 * resumed with what came. Whoever drives them owns the socket and the clock; here is only the order of things.
 *
 *   greeting -> EHLO (-> HELO) -> STARTTLS -> [TLS handshake, verification: the driver's] -> EHLO again (-> AUTH) -> transactions -> QUIT
 */
export type OpeningOptions = {
  /** EHLO name. */
  hostname: string;
  /** never: STARTTLS is not tried; opportunistic: clear text where it is missing or refused; required: then nothing more is sent. */
  starttls: "never" | "opportunistic" | "required";
  /** The connection began in TLS (RFC 8314 §3.3), and the server is verified. */
  implicitTls: boolean;
  /** Only ever used inside TLS; the caller gives them only where the server is authenticated. */
  credentials?: Credentials;
};

export type OpeningReady = {
  kind: "ready";
  extensions: Extensions;
  starttls: "done" | "not-tried" | "not-offered" | "refused";
  starttlsReply?: Reply;
};

type Opening<R> = Generator<DialogueStep, R, DialogueInput>;

/** EHLO, and HELO where the server knows no EHLO (RFC 5321 §3.2); what was announced. Without EHLO there can be no STARTTLS. */
function* hello(hostname: string, ifUnknown: "HELO" | "starttls-missing" | "fail"): Opening<Extensions | OpeningFailure> {
  const answer = yield { kind: "reply", send: `EHLO ${hostname}\r\n`, phase: "command" };
  if (answer.kind === "reply" && answer.reply.code === 250) return extensionsOf(answer.reply);
  const unknown = answer.kind === "reply" && (answer.reply.code === 500 || answer.reply.code === 502);
  if (unknown && ifUnknown === "starttls-missing") {
    return openingFailure("starttls-missing", answer, "the server knows no EHLO, and so offers no STARTTLS");
  }
  if (!unknown || ifUnknown === "fail") return openingFailure("ehlo", answer, "EHLO was not accepted");
  const old = yield { kind: "reply", send: `HELO ${hostname}\r\n`, phase: "command" };
  if (old.kind === "reply" && old.reply.code === 250) return NO_EXTENSIONS;
  return openingFailure("ehlo", old, "neither EHLO nor HELO was accepted");
}

/** From the first octet to the point where MAIL may be sent. */
export function* opening(options: OpeningOptions): Opening<OpeningReady | OpeningFailure> {
  const greeting = yield { kind: "reply", phase: "greeting" };
  if (greeting.kind !== "reply" || greeting.reply.code !== 220) {
    return openingFailure("greeting", greeting, "the server did not greet with 220");
  }
  const required = options.starttls === "required" && !options.implicitTls;
  const first = yield* hello(options.hostname, required ? "starttls-missing" : "HELO");
  if ("kind" in first) return first;
  if (options.implicitTls || options.starttls === "never") {
    const ready: OpeningReady = { kind: "ready", extensions: first, starttls: "not-tried" };
    return options.implicitTls ? yield* authenticated(ready, options) : ready;
  }
  if (!first.has("STARTTLS")) {
    if (required)
      return { kind: "failed", stage: "starttls-missing", text: "the server does not offer STARTTLS", quit: "possible" };
    return { kind: "ready", extensions: first, starttls: "not-offered" };
  }
  return yield* upgrade(first, options);
}

function* upgrade(first: Extensions, options: OpeningOptions): Opening<OpeningReady | OpeningFailure> {
  const answer = yield { kind: "reply", send: "STARTTLS\r\n", phase: "command" };
  if (answer.kind !== "reply" || answer.reply.code !== 220) {
    const failure = openingFailure("starttls-refused", answer, "the server refused STARTTLS");
    const stays = options.starttls === "opportunistic" && answer.kind === "reply" && answer.reply.code !== 421;
    if (!stays) return failure;
    return { kind: "ready", extensions: first, starttls: "refused", starttlsReply: answer.reply };
  }
  const tls = yield { kind: "startTls" };
  if (tls.kind !== "secured") return openingFailure("handshake", tls, "TLS was not reached");
  // RFC 3207 §4.2: what was said before TLS is forgotten, and EHLO comes first again.
  const second = yield* hello(options.hostname, "fail");
  if ("kind" in second) return second;
  return yield* authenticated({ kind: "ready", extensions: second, starttls: "done" }, options);
}

function* authenticated(ready: OpeningReady, options: OpeningOptions): Opening<OpeningReady | OpeningFailure> {
  if (options.credentials === undefined) return ready;
  return (yield* authentication(options.credentials, ready.extensions)) ?? ready;
}

/** RFC 5321 §4.1.1.10; whatever comes, or does not come, the connection is closed next. */
export function* closing(): Generator<DialogueStep, void, DialogueInput> {
  yield { kind: "reply", send: "QUIT\r\n", phase: "QUIT" };
}
