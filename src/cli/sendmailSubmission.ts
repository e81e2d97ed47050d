import { connect, type Socket } from "node:net";
import { DotStuffing } from "../smtp/dotStuffing.ts";
import { type Extensions, extensionsOf, NO_EXTENSIONS } from "../smtp/extensions.ts";
import { type Reply, ReplyParser, replyText } from "../smtp/reply.ts";
import type { TransactionEnvelope, TransactionRecipient } from "../smtp/transaction.ts";
import { mailCommand, rcptCommand } from "../smtp/transactionCommands.ts";

/** One message to the relay's listener, for all its recipients or for none: a program that calls sendmail has one exit status for all. */
export type Submission = {
  host: string;
  port: number;
  /** EHLO name. */
  hostname: string;
  envelope: TransactionEnvelope;
  recipients: readonly TransactionRecipient[];
  content: Buffer;
};

export type Submitted =
  | { kind: "accepted"; text: string }
  /** As the server said it. */
  | { kind: "refused"; reply: Reply; text: string }
  /** No server, no SMTP, no answer: may be tried again. */
  | { kind: "unreachable"; text: string };

/** RFC 5321 §4.5.3.2: the longest of its timeouts. */
const SILENCE_MILLISECONDS = 600_000;

/** Of silence behind the end of the input, for who does not say QUIT. */
const AFTER_INPUT_MILLISECONDS = 30_000;

/** A reply other than the one that is needed; it ends the dialogue. */
class Refusal extends Error {
  readonly reply: Reply;
  constructor(reply: Reply) {
    super(replyText(reply));
    this.reply = reply;
  }
}

export async function submitMessage(submission: Submission): Promise<Submitted> {
  const { host, port } = submission;
  const socket = connect({ host, port });
  socket.setTimeout(SILENCE_MILLISECONDS, () => socket.destroy(new Error("no answer in time")));
  try {
    return { kind: "accepted", text: replyText(await dialogue(new Dialogue(socket), submission)) };
  } catch (error) {
    if (error instanceof Refusal) return { kind: "refused", reply: error.reply, text: error.message };
    return { kind: "unreachable", text: `${host}:${port}: ${error instanceof Error ? error.message : String(error)}` };
  } finally {
    socket.end("QUIT\r\n");
    socket.destroySoon();
  }
}

async function dialogue(peer: Dialogue, { hostname, envelope, recipients, content }: Submission): Promise<Reply> {
  await peer.expect(220, "");
  const extensions = await hello(peer, hostname);
  await peer.expect(250, mailCommand(envelope, recipients, extensions));
  for (const recipient of recipients) await peer.expect(250, rcptCommand(recipient, extensions));
  await peer.expect(354, "DATA\r\n");
  const stuffing = new DotStuffing();
  const stuffed = stuffing.push(content);
  return await peer.expect(250, Buffer.concat([stuffed, stuffing.end()]));
}

async function hello(peer: Dialogue, hostname: string): Promise<Extensions> {
  try {
    return extensionsOf(await peer.expect(250, `EHLO ${hostname}\r\n`));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    await peer.expect(250, `HELO ${hostname}\r\n`);
    return NO_EXTENSIONS;
  }
}

/** Command, reply, command, reply. */
class Dialogue {
  readonly #socket: Socket;
  readonly #parser = new ReplyParser();
  #wake: () => void = () => undefined;
  #ended: string | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk) => {
      const wrong = this.#parser.feed(chunk);
      if (wrong !== undefined) socket.destroy(new Error(wrong.reason));
      this.#wake();
    });
    socket.on("error", (error) => this.#end(error.message));
    socket.on("close", () => this.#end("the server closed the connection"));
  }

  #end(reason: string): void {
    this.#ended ??= reason;
    this.#wake();
  }

  /** Sends, and takes the next reply; throws a Refusal when it has another code. */
  async expect(code: number, send: string | Buffer): Promise<Reply> {
    if (send.length > 0) this.#socket.write(send);
    const reply = await this.#reply();
    if (reply.code === code || (code === 250 && reply.code === 251)) return reply;
    throw new Refusal(reply);
  }

  async #reply(): Promise<Reply> {
    for (;;) {
      const reply = this.#parser.take();
      if (reply !== undefined) return reply;
      if (this.#ended !== undefined) throw new Error(this.#ended);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** -bs: SMTP on standard input and output is that of the listener. Resolves when either side has ended. */
export function passSession(
  { host, port }: Pick<Submission, "host" | "port">,
  input: NodeJS.ReadableStream,
  out: (text: string) => void,
): Promise<{ kind: "ended" } | { kind: "unreachable"; text: string }> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.setEncoding("latin1");
    socket.on("data", (text) => out(String(text)));
    socket.on("error", (error) => resolve({ kind: "unreachable", text: error.message }));
    socket.on("close", () => resolve({ kind: "ended" }));
    // Replies are still to come when the input has ended; behind QUIT the server closes.
    input.pipe(socket, { end: false });
    input.on("end", () => socket.setTimeout(AFTER_INPUT_MILLISECONDS, () => socket.destroy()));
  });
}
