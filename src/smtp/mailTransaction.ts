import type { DialogueInput, DialogueStep } from "./dialogueStep.ts";
import type { Extensions } from "./extensions.ts";
import { type Reply, replyClass, replyText } from "./reply.ts";
import type { RecipientResult, TransactionEnvelope, TransactionPhase, TransactionRecipient } from "./transaction.ts";
import { mailCommand, missingExtension, rcptCommand } from "./transactionCommands.ts";

/**
 * One mail transaction (RFC 5321 §3.3), without sockets: MAIL, RCPT for each recipient, the content, one result per recipient.
 *
 * With PIPELINING (RFC 2920) MAIL, RCPT and DATA leave in groups of bounded size, mostly in one; without it, one by one. With CHUNKING (RFC 3030) the content goes
 * as one BDAT, once it is known that a recipient was accepted. A reply that the place does not allow (3yz to MAIL, 2yz to DATA) is never
 * read as success: the transaction counts as lost and the connection is given up.
 */
export type TransactionEnd = {
  results: readonly RecipientResult[];
  /** Whether a further transaction may follow on the connection. */
  next: "idle" | "close";
};

export type TransactionServer = { extensions: Extensions; inTls: boolean };

type Part<R> = Generator<DialogueStep, R, DialogueInput>;

/** How a part of the dialogue left things: go on; nothing to send the content to, transaction still open; connection not usable. */
type Progress = "proceed" | "reset" | "close";

/** The results so far. A recipient without one is undecided. */
class Ledger {
  readonly #results: (RecipientResult | undefined)[];
  readonly #accepted = new Set<number>();

  constructor(count: number) {
    this.#results = new Array<RecipientResult | undefined>(count).fill(undefined);
  }

  get acceptedCount(): number {
    return this.#accepted.size;
  }

  rcptAccepted(index: number): void {
    this.#accepted.add(index);
  }

  decide(index: number, result: RecipientResult): void {
    this.#results[index] = result;
    this.#accepted.delete(index);
  }

  decideRest(result: RecipientResult): void {
    for (const [index, known] of this.#results.entries()) if (known === undefined) this.decide(index, result);
  }

  /** All results; whoever is still undecided was not delivered to, as far as is known. */
  finish(next: TransactionEnd["next"]): TransactionEnd {
    this.decideRest({ kind: "lost", phase: "CONTENT", ambiguous: "yes", text: "the transaction ended without a result" });
    return { results: this.#results.filter((result) => result !== undefined), next };
  }
}

/** Decides everybody who is undecided by an input that ends the transaction and the connection. */
function breakOff(ledger: Ledger, phase: TransactionPhase, input: DialogueInput): "close" {
  if (input.kind === "lost") ledger.decideRest({ kind: "lost", phase, ambiguous: "no", text: input.text });
  else if (input.kind !== "secured" && input.reply.code === 421)
    ledger.decideRest({ kind: "rejected", phase, reply: input.reply });
  else {
    const said = input.kind === "secured" ? "TLS" : replyText(input.reply);
    ledger.decideRest({ kind: "lost", phase, ambiguous: "no", text: `unexpected reply to ${phase}: ${said}` });
  }
  return "close";
}

/** 4yz and 5yz but 421 (RFC 5321 §3.8: the server closes the connection), which ends everything in any place. */
function refusal(input: DialogueInput): Reply | undefined {
  return input.kind === "reply" && input.reply.code !== 421 && replyClass(input.reply) >= 4 ? input.reply : undefined;
}

function isPositive(input: DialogueInput, digit: 2 | 3): input is { kind: "reply"; reply: Reply } {
  return input.kind === "reply" && replyClass(input.reply) === digit;
}

type Commands = { mail: string; rcpts: readonly string[]; data: string | undefined; pipelining: boolean };

/** RCPT commands that are sent ahead of their replies; well below the replies that the parser holds (MAX_REPLIES_AHEAD). */
export const MAX_PIPELINED_RECIPIENTS = 1000;

/** With pipelining: the RCPT commands from `first` on that leave together, and DATA behind the last of all. */
function pipelined({ rcpts, data }: Commands, first: number): string {
  const end = first + MAX_PIPELINED_RECIPIENTS;
  return [...rcpts.slice(first, end), end >= rcpts.length ? (data ?? "") : ""].join("");
}

/** What is sent before the reply to the RCPT at `index` is waited for, if anything. */
function beforeReply(commands: Commands, index: number): { send?: string } {
  if (!commands.pipelining) return { send: commands.rcpts[index] ?? "" };
  return index > 0 && index % MAX_PIPELINED_RECIPIENTS === 0 ? { send: pipelined(commands, index) } : {};
}

/** MAIL and all RCPT. With pipelining all replies are taken, so that the next reply is the one to what was sent next (RFC 2920 §3.1). */
function* recipients(commands: Commands, ledger: Ledger): Part<Progress> {
  const group = commands.pipelining ? `${commands.mail}${pipelined(commands, 0)}` : commands.mail;
  const mail = yield { kind: "reply", send: group, phase: "MAIL" };
  const mailRefused = refusal(mail);
  if (mailRefused !== undefined) ledger.decideRest({ kind: "rejected", phase: "MAIL", reply: mailRefused });
  else if (!isPositive(mail, 2)) return breakOff(ledger, "MAIL", mail);
  if (mailRefused !== undefined && !commands.pipelining) return "reset";
  for (const index of commands.rcpts.keys()) {
    const rcpt = yield { kind: "reply", ...beforeReply(commands, index), phase: "RCPT" };
    const refused = refusal(rcpt);
    if (refused === undefined && !isPositive(rcpt, 2)) return breakOff(ledger, "RCPT", rcpt);
    if (mailRefused !== undefined) continue;
    if (refused === undefined) ledger.rcptAccepted(index);
    else ledger.decide(index, { kind: "rejected", phase: "RCPT", reply: refused });
  }
  return ledger.acceptedCount > 0 ? "proceed" : "reset";
}

/** DATA, which with pipelining was sent already: its reply is taken even when no recipient is left. */
function* data(commands: Commands, ledger: Ledger): Part<Progress> {
  const answer = yield { kind: "reply", ...(commands.pipelining ? {} : { send: "DATA\r\n" }), phase: "DATA" };
  const refused = refusal(answer);
  if (refused !== undefined) {
    ledger.decideRest({ kind: "rejected", phase: "DATA", reply: refused });
    return "reset";
  }
  if (!isPositive(answer, 3)) return breakOff(ledger, "DATA", answer);
  if (ledger.acceptedCount > 0) return "proceed";
  // RFC 2920 §3.1: DATA accepted although no recipient was: a single dot ends it. Its reply decides nothing any more.
  const dot = yield { kind: "reply", send: ".\r\n", phase: "end" };
  return refusal(dot) !== undefined || isPositive(dot, 2) ? "reset" : "close";
}

/** The content and the reply that decides. */
function* content(step: DialogueStep, ledger: Ledger, server: TransactionServer): Part<Progress> {
  const answer = yield step;
  if (isPositive(answer, 2)) {
    const dsnRelayed = server.extensions.has("DSN") ? "yes" : "no";
    ledger.decideRest({ kind: "accepted", reply: answer.reply, dsnRelayed });
    return "proceed";
  }
  const refused = refusal(answer);
  if (refused !== undefined) {
    ledger.decideRest({ kind: "rejected", phase: "CONTENT", reply: refused });
    return "reset";
  }
  if (answer.kind === "lost") {
    const ambiguous = answer.endSent === true ? "yes" : "no";
    ledger.decideRest({ kind: "lost", phase: "CONTENT", ambiguous, text: answer.text });
    return "close";
  }
  if (answer.kind !== "secured" && replyClass(answer.reply) >= 4) {
    // 421, or a refusal before the content was complete: the message was not accepted; the stream is out of step.
    ledger.decideRest({ kind: "rejected", phase: "CONTENT", reply: answer.reply });
    return "close";
  }
  const said = answer.kind === "secured" ? "TLS" : replyText(answer.reply);
  ledger.decideRest({ kind: "lost", phase: "CONTENT", ambiguous: "yes", text: `unexpected reply to the content: ${said}` });
  return "close";
}

function* reset(ledger: Ledger): Part<TransactionEnd> {
  const answer = yield { kind: "reply", send: "RSET\r\n", phase: "command" };
  return ledger.finish(isPositive(answer, 2) ? "idle" : "close");
}

/** Sends one message to `to`; nothing is sent at all where the server lacks what the message needs. */
export function* mailTransaction(
  envelope: TransactionEnvelope,
  to: readonly [TransactionRecipient, ...TransactionRecipient[]],
  server: TransactionServer,
): Part<TransactionEnd> {
  const ledger = new Ledger(to.length);
  const missing = missingExtension(envelope, to, server.extensions, server.inTls);
  if (missing !== undefined) {
    ledger.decideRest({ kind: "unsupported", ...missing });
    return ledger.finish("idle");
  }
  const chunking = server.extensions.has("CHUNKING");
  const commands: Commands = {
    mail: mailCommand(envelope, to, server.extensions),
    rcpts: to.map((recipient) => rcptCommand(recipient, server.extensions)),
    data: chunking ? undefined : "DATA\r\n",
    pipelining: server.extensions.has("PIPELINING"),
  };
  let progress = yield* recipients(commands, ledger);
  if (!chunking && (progress === "proceed" || (progress === "reset" && commands.pipelining))) {
    progress = yield* data(commands, ledger);
  }
  if (progress === "proceed") {
    const step: DialogueStep = chunking
      ? { kind: "content", send: `BDAT ${envelope.size} LAST\r\n`, framing: "chunk", octets: envelope.size }
      : { kind: "content", framing: "dot" };
    progress = yield* content(step, ledger, server);
    // After its end the transaction is over, accepted or not (RFC 5321 §4.1.1.4); after a refused BDAT it is not (RFC 3030 §2).
    if (progress === "reset" && !chunking) progress = "proceed";
  }
  if (progress === "reset") return yield* reset(ledger);
  return ledger.finish(progress === "proceed" ? "idle" : "close");
}
