import type { Socket } from "node:net";
import type { SecureVersion } from "node:tls";
import { type OpeningOptions, opening } from "../smtp/clientDialogue.ts";
import type { DialogueInput, DialogueStep, TimeoutPhase } from "../smtp/dialogueStep.ts";
import type { Reply } from "../smtp/reply.ts";
import type { Credentials } from "../smtp/saslDialogue.ts";
import type { RecipientResult, TransactionRecipient } from "../smtp/transaction.ts";
import { Channel } from "./channel.ts";
import { type DialFailure, type DialTarget, dial } from "./dial.ts";
import { OpenSession, quitPolitely, runDialogue } from "./session.ts";
import type { ChannelSecurity, ConnectionEnds, SmtpSession, Transaction } from "./smtpSession.ts";
import { type Handshake, tlsHandshake } from "./tlsHandshake.ts";

export type { ChannelSecurity, RecipientResult, SmtpSession, Transaction, TransactionRecipient };

/** What TLS a connection must reach before MAIL may be sent. */
export type TlsNeed =
  | { need: "none" }
  /** STARTTLS if offered; without it, or where it is refused with a reply, the same connection goes on in clear text. */
  | { need: "opportunistic" }
  /** STARTTLS, any certificate. */
  | { need: "encrypt" }
  /** STARTTLS, and `verify` accepts the chain as sent (DER, leaf first), before any byte of SMTP goes into the channel. */
  | { need: "authenticate"; verify: (chain: readonly Buffer[]) => VerifyVerdict };

export type VerifyVerdict = { kind: "accepted" } | { kind: "refused"; reason: string };

export type DialogueTimeouts = { connectSeconds: number; commandSeconds?: number };

export type ConnectionRequest = {
  address: string;
  port: number;
  localAddress?: string;
  /** Further addresses of the same host, for when `address` hangs or fails (RFC 8305 §5); what is demanded holds for each. */
  others?: readonly DialTarget[];
  /** EHLO name. */
  hostname: string;
  tls: TlsNeed;
  /** SNI (RFC 7672 §8.1: the TLSA base domain); undefined: none is sent. */
  serverName?: string;
  /** TLS from the first octet (RFC 8314 §3.3), as on port 465. */
  implicitTls: boolean;
  timeouts: DialogueTimeouts;
  /** The least TLS version where TLS is not demanded; what is demanded is 1.2 at least. */
  opportunisticVersion?: SecureVersion;
  /** AUTH to a next-hop relay: only with `need: "authenticate"`, after `verify` accepted. */
  auth?: Credentials;
  /** Hears what the server shows of itself, before anything is judged: for whoever explains a connection. */
  onSight?: (sight: ConnectionSight) => void;
};

/** What a server shows while a connection is opened. */
export type ConnectionSight =
  | { kind: "reply"; phase: TimeoutPhase; reply: Reply }
  | ({ kind: "handshake" } & Pick<Secured, "protocol" | "cipher" | "group" | "chain">);

/** `reused`: the session comes from the pool. */
export type ConnectionResult =
  | { kind: "ready"; session: SmtpSession; reused?: "yes" }
  | { kind: "failed"; failure: ConnectionFailure };

/** Why no session came about; `text` is for people, `reply` what the peer said if it said something. */
export type ConnectionFailure = {
  stage: "connect" | "greeting" | "ehlo" | "starttls-missing" | "starttls-refused" | "handshake" | "verify" | "auth";
  text: string;
  reply?: Reply;
  /** For `verify`: what the peer presented. */
  chain?: readonly Buffer[];
  ends?: ConnectionEnds;
  /** For `connect`: each address that was tried. */
  dialled?: readonly DialFailure[];
};

type Failed = Extract<ConnectionResult, { kind: "failed" }>;
type Secured = Extract<Handshake, { kind: "secured" }>;

function failed(stage: ConnectionFailure["stage"], text: string, more: Pick<ConnectionFailure, "reply" | "chain"> = {}): Failed {
  return { kind: "failed", failure: { stage, text, ...more } };
}

/** Handshake, then `verify` on the chain as sent, before a single octet of SMTP goes in; the TLS socket is closed when refused. */
async function secure(socket: Socket, request: ConnectionRequest): Promise<Secured | Failed> {
  const demanded = request.tls.need === "encrypt" || request.tls.need === "authenticate";
  const handshake = await tlsHandshake(socket, {
    demand: demanded ? "demanded" : "opportunistic",
    ...(request.opportunisticVersion === undefined ? {} : { opportunisticVersion: request.opportunisticVersion }),
    ...(request.serverName === undefined ? {} : { serverName: request.serverName }),
    ...(request.timeouts.commandSeconds === undefined ? {} : { ceilingSeconds: request.timeouts.commandSeconds }),
  });
  if (handshake.kind === "failed") return failed("handshake", handshake.text);
  const { protocol, cipher, group, chain } = handshake;
  request.onSight?.({ kind: "handshake", protocol, cipher, chain, ...(group === undefined ? {} : { group }) });
  if (request.tls.need !== "authenticate") return handshake;
  let verdict: VerifyVerdict;
  try {
    verdict = request.tls.verify(handshake.chain);
  } catch (bug) {
    // Whoever cannot judge has not accepted; the caller hears of the bug.
    handshake.socket.destroy();
    throw bug;
  }
  if (verdict.kind === "accepted") return handshake;
  handshake.socket.destroySoon();
  return failed("verify", verdict.reason, { chain: handshake.chain });
}

function securityOf(handshake: Secured, request: ConnectionRequest): ChannelSecurity {
  const { protocol, cipher, group, chain } = handshake;
  const authenticated = request.tls.need === "authenticate" ? "verified" : "not-verified";
  return { kind: "tls", protocol, cipher, authenticated, chain, ...(group === undefined ? {} : { group }) };
}

function openingOptions(request: ConnectionRequest): OpeningOptions {
  const { need } = request.tls;
  return {
    hostname: request.hostname,
    starttls: need === "none" ? "never" : need === "opportunistic" ? "opportunistic" : "required",
    implicitTls: request.implicitTls,
    ...(request.auth === undefined ? {} : { credentials: request.auth }),
  };
}

/**
 * Connects, greets, reaches the TLS that is needed and leaves a session ready for MAIL. Where `encrypt` or `authenticate` is not met nothing
 * of a message was said. After a failed opportunistic handshake it is the caller who connects again with `need: "none"`.
 */
export async function openConnection(request: ConnectionRequest): Promise<ConnectionResult> {
  if (request.auth !== undefined && request.tls.need !== "authenticate") {
    return failed("auth", "credentials are only sent inside authenticated TLS, which was not asked for");
  }
  const { address, localAddress, others = [], port, timeouts } = request;
  const first = localAddress === undefined ? { address } : { address, localAddress };
  const dialled = await dial([first, ...others], { port, connectSeconds: timeouts.connectSeconds });
  if (dialled.kind === "failed") {
    const text = dialled.failures.map((failure) => failure.text).join("; ");
    return { kind: "failed", failure: { stage: "connect", text, dialled: dialled.failures } };
  }
  const { socket } = dialled;
  const ends: ConnectionEnds = { address: dialled.address };
  if (socket.localAddress !== undefined) ends.localAddress = socket.localAddress;
  if (!request.implicitTls) return greet(socket, request, ends, undefined);
  const handshake = await secure(socket, request);
  if (handshake.kind === "failed") return withEnds(handshake, ends);
  return greet(handshake.socket, request, ends, securityOf(handshake, request));
}

/** The opening dialogue on a connected socket, through STARTTLS where it comes to that. */
async function greet(
  socket: Socket,
  request: ConnectionRequest,
  ends: ConnectionEnds,
  initial: ChannelSecurity | undefined,
): Promise<ConnectionResult> {
  const channel = new Channel(socket, request.timeouts.commandSeconds);
  let security = initial;
  let tlsFailure: Failed | undefined;
  const dialogue = overheard(opening(openingOptions(request)), (phase, reply) => {
    const [helo] = (reply.lines[0] ?? "").split(" ");
    if (phase === "greeting" && helo !== undefined && helo !== "") ends.helo = helo;
    request.onSight?.({ kind: "reply", phase, reply });
  });
  const result = await runDialogue(channel, dialogue, async (step) => {
    if (step.kind !== "startTls") throw new Error(`step ${step.kind} has no place before MAIL`);
    const handshake = await startTls(channel, socket, request);
    if (handshake.kind === "failed") {
      tlsFailure = handshake;
      return { kind: "lost", text: handshake.failure.text };
    }
    channel.attach(handshake.socket);
    security = securityOf(handshake, request);
    return { kind: "secured" };
  });
  if (tlsFailure !== undefined) return withEnds(tlsFailure, ends);
  if (result.kind === "failed") {
    if (result.quit === "possible") void quitPolitely(channel);
    else channel.destroy();
    return withEnds(failed(result.stage, result.text, result.reply === undefined ? {} : { reply: result.reply }), ends);
  }
  security ??= {
    kind: "clear",
    starttlsOffered: result.extensions.has("STARTTLS"),
    ...(result.starttlsReply === undefined ? {} : { starttlsReply: result.starttlsReply }),
  };
  return { kind: "ready", session: new OpenSession(channel, security, result.extensions, ends) };
}

function withEnds({ failure }: Failed, ends: ConnectionEnds): Failed {
  return { kind: "failed", failure: { ...failure, ends } };
}

/** The same dialogue, and `listener` hears each reply. */
function* overheard<R>(
  dialogue: Generator<DialogueStep, R, DialogueInput>,
  listener: (phase: TimeoutPhase, reply: Reply) => void,
): Generator<DialogueStep, R, DialogueInput> {
  let turn = dialogue.next();
  while (!turn.done) {
    const step = turn.value;
    const input = yield step;
    if (step.kind === "reply" && input.kind === "reply") listener(step.phase, input.reply);
    turn = dialogue.next(input);
  }
  return turn.value;
}

/** TLS on a socket whose server said 220 to STARTTLS. */
async function startTls(channel: Channel, socket: Socket, request: ConnectionRequest): Promise<Secured | Failed> {
  channel.detach();
  // What came in clear text behind the 220 would be read as if it had come inside TLS: an injection (RFC 3207 §4.2, CVE-2011-0411).
  if (channel.hasUntaken || socket.readableLength > 0) {
    socket.destroy();
    return failed("handshake", "plaintext came behind the server's 220 to STARTTLS: taken for an attack, connection closed");
  }
  return await secure(socket, request);
}
