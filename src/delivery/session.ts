import { closing } from "../smtp/clientDialogue.ts";
import type { DialogueInput, DialogueStep } from "../smtp/dialogueStep.ts";
import { DotStuffing } from "../smtp/dotStuffing.ts";
import type { Extensions } from "../smtp/extensions.ts";
import { mailTransaction } from "../smtp/mailTransaction.ts";
import type { RecipientResult } from "../smtp/transaction.ts";
import type { Channel } from "./channel.ts";
import type { ChannelSecurity, ConnectionEnds, SmtpSession, Transaction } from "./smtpSession.ts";

type ContentStep = Extract<DialogueStep, { kind: "content" }>;

/** Runs a dialogue on a channel; `perform` does the steps that are more than a command and its reply. */
export async function runDialogue<R>(
  channel: Channel,
  dialogue: Generator<DialogueStep, R, DialogueInput>,
  perform: (step: Exclude<DialogueStep, { kind: "reply" }>) => Promise<DialogueInput>,
): Promise<R> {
  let turn = dialogue.next();
  while (!turn.done) {
    const step = turn.value;
    if (step.kind === "reply") {
      if (step.send !== undefined) channel.send(step.send);
      turn = dialogue.next(await channel.receive(step.phase));
    } else turn = dialogue.next(await perform(step));
  }
  return turn.value;
}

function unexpectedStep(step: DialogueStep): never {
  throw new Error(`step ${step.kind} has no place in this dialogue`);
}

/** QUIT where the server may still listen, then close; never rejects. */
export async function quitPolitely(channel: Channel): Promise<void> {
  if (!channel.isLost) await runDialogue(channel, closing(), unexpectedStep);
  await channel.close();
}

/** Sends the content of one message and takes the reply to it. Rejects only when the content cannot be read, or is not what was announced. */
async function sendContent(channel: Channel, content: () => AsyncIterable<Buffer>, step: ContentStep): Promise<DialogueInput> {
  const stuffing = step.framing === "dot" ? new DotStuffing() : undefined;
  let octets = 0;
  // One piece is held back, so that the end leaves together with the last one.
  let held: Buffer = Buffer.from(step.send ?? "");
  for await (const chunk of content()) {
    if ((await channel.writable()) === "interrupted") return interrupted(channel);
    octets += chunk.length;
    if (step.framing === "chunk" && octets > step.octets) throw new Error(`content is longer than its ${step.octets} octets`);
    if (held.length > 0) channel.send(held);
    held = stuffing === undefined ? chunk : stuffing.push(chunk);
  }
  if (step.framing === "chunk" && octets < step.octets)
    throw new Error(`content ended at ${octets} of its ${step.octets} octets`);
  if ((await channel.writable()) === "interrupted") return interrupted(channel);
  if (stuffing === undefined) channel.send(held);
  else channel.sendTogether(held, stuffing.end());
  const answer = await channel.receive("end");
  return answer.kind === "lost" ? { ...answer, endSent: true } : answer;
}

/** The server spoke, or went, before the content was sent to its end. */
async function interrupted(channel: Channel): Promise<DialogueInput> {
  const answer = await channel.receive("end");
  return answer.kind === "lost" ? answer : { kind: "earlyReply", reply: answer.reply };
}

/** A session that is ready for MAIL. */
export class OpenSession implements SmtpSession {
  readonly security: ChannelSecurity;
  readonly extensions: ReadonlySet<string>;
  readonly ends: ConnectionEnds;
  readonly #channel: Channel;
  readonly #announced: Extensions;
  #state: "idle" | "busy" | "closed" = "idle";

  constructor(channel: Channel, security: ChannelSecurity, extensions: Extensions, ends: ConnectionEnds) {
    this.security = security;
    this.ends = ends;
    this.extensions = new Set(extensions.keys());
    this.#channel = channel;
    this.#announced = extensions;
    // RFC 5321 §3.8: a server may say 421 and go at any time; anything else that it says unasked makes the replies ambiguous.
    channel.onIdleEvent(() => {
      if (this.#state === "idle") this.destroy();
    });
    if (channel.isLost || channel.hasUntaken) this.destroy();
  }

  get state(): "idle" | "busy" | "closed" {
    return this.#state;
  }

  async transact(transaction: Transaction): Promise<readonly RecipientResult[]> {
    if (this.#state === "busy") throw new Error("a transaction is going on in this session");
    // A session that ended since it was taken: the dialogue finds the connection lost, and says so for each recipient.
    this.#state = "busy";
    const server = { extensions: this.#announced, inTls: this.security.kind === "tls" };
    try {
      const end = await runDialogue(
        this.#channel,
        mailTransaction(transaction.envelope, transaction.recipients, server),
        (step) => (step.kind === "content" ? sendContent(this.#channel, transaction.content, step) : unexpectedStep(step)),
      );
      if (end.next === "close" || this.#channel.isLost || this.#channel.hasUntaken) this.destroy();
      else this.#state = "idle";
      return end.results;
    } catch (cause) {
      // The content could not be read: the server must never see an end of it.
      this.destroy();
      throw cause;
    }
  }

  async quit(): Promise<void> {
    if (this.#state === "busy") throw new Error("a transaction is going on in this session");
    this.#state = "closed";
    await quitPolitely(this.#channel);
  }

  destroy(): void {
    this.#state = "closed";
    this.#channel.destroy();
  }
}
