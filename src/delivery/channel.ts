import type { Socket } from "node:net";
import { type DialogueInput, phaseSeconds, type TimeoutPhase } from "../smtp/dialogueStep.ts";
import { type Reply, ReplyParser } from "../smtp/reply.ts";

type Lost = Extract<DialogueInput, { kind: "lost" }>;

/** Up to this size a copy costs less than a second buffer in the same write. */
const MAX_COPIED_OCTETS = 16 * 1024;

/** Names of what is waited for, for the text of a timeout. */
const AWAITED: Readonly<Record<TimeoutPhase, string>> = {
  greeting: "no greeting",
  command: "no reply",
  MAIL: "no reply to MAIL",
  RCPT: "no reply to RCPT",
  DATA: "no reply to DATA",
  block: "the server took no more of the content",
  end: "no reply to the end of the message",
  QUIT: "no reply to QUIT",
};

/**
 * Octets out, replies in, over one socket, clear or TLS. Everything that can go wrong with the socket becomes one `lost` with one sentence,
 * here and nowhere else; nothing rejects. What comes is bounded by the parser; a server that floods is cut off.
 */
export class Channel {
  readonly #ceilingSeconds: number | undefined;
  #parser = new ReplyParser();
  #socket: Socket;
  #lost: Lost | undefined;
  #wake: (() => void) | undefined;
  #idleListener: (() => void) | undefined;
  readonly #listeners = {
    data: (chunk: Buffer) => this.#received(chunk),
    end: () => this.#lose("the server closed the connection"),
    close: () => this.#lose("the server closed the connection"),
    error: (error: NodeJS.ErrnoException) => this.#lose(`connection lost: ${error.code ?? error.message}`),
    drain: () => this.#wake?.(),
  };

  constructor(socket: Socket, ceilingSeconds: number | undefined) {
    this.#ceilingSeconds = ceilingSeconds;
    this.#socket = socket;
    this.attach(socket);
  }

  /** Goes on with `socket` (TLS on top of the one before); nothing that was read before counts any more (RFC 3207 §4.2). */
  attach(socket: Socket): void {
    this.#socket = socket;
    this.#parser = new ReplyParser();
    for (const [event, listener] of Object.entries(this.#listeners)) socket.on(event, listener);
    // The socket may have died between its handshake and this line.
    if (socket.destroyed || socket.readableEnded) this.#lose("the server closed the connection");
  }

  /** Stops reading here, so that TLS can take the socket over. */
  detach(): void {
    for (const [event, listener] of Object.entries(this.#listeners)) this.#socket.off(event, listener);
    this.#socket.pause();
  }

  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  /** Whether the server said something that nobody took: before TLS, that is somebody else's injection; when idle, its farewell. */
  get hasUntaken(): boolean {
    return this.#parser.hasUntaken || this.#socket.readableLength > 0;
  }

  /** Called once when, with nothing being waited for, the server speaks or goes. */
  onIdleEvent(listener: () => void): void {
    this.#idleListener = listener;
  }

  send(octets: string | Buffer): void {
    if (this.#lost === undefined) this.#socket.write(octets);
  }

  /** Both in one go: small ones as one write, large ones without copying them. */
  sendTogether(first: Buffer, second: Buffer): void {
    if (first.length <= MAX_COPIED_OCTETS) {
      this.send(Buffer.concat([first, second]));
      return;
    }
    this.#socket.cork();
    this.send(first);
    this.send(second);
    this.#socket.uncork();
  }

  /** The next reply, in order; a reply that came before the connection was lost still counts. */
  async receive(phase: TimeoutPhase): Promise<{ kind: "reply"; reply: Reply } | Lost> {
    let deadline: NodeJS.Timeout | undefined;
    try {
      for (;;) {
        const reply = this.#parser.take();
        if (reply !== undefined) return { kind: "reply", reply };
        if (this.#lost !== undefined) return this.#lost;
        deadline ??= this.#startTimer(phase);
        await this.#event();
      }
    } finally {
      clearTimeout(deadline);
    }
  }

  /** Resolves when the socket takes more, or earlier when there is nothing more to send to: a reply came, or the connection is lost. */
  async writable(): Promise<"writable" | "interrupted"> {
    let deadline: NodeJS.Timeout | undefined;
    try {
      for (;;) {
        if (this.#lost !== undefined || this.#parser.hasUntaken) return "interrupted";
        if (!this.#socket.writableNeedDrain) return "writable";
        deadline ??= this.#startTimer("block");
        await this.#event();
      }
    } finally {
      clearTimeout(deadline);
    }
  }

  /** Flushes what was written and closes; resolves when the socket is gone, after at most the time of QUIT. */
  async close(): Promise<void> {
    const gone = new Promise<void>((resolve) => {
      if (this.#socket.closed) resolve();
      else this.#socket.once("close", () => resolve());
    });
    const deadline = setTimeout(() => this.#socket.destroy(), phaseSeconds("QUIT", this.#ceilingSeconds) * 1000);
    this.#lose("closed");
    this.#socket.end();
    // A half-closed socket would wait for a server that never closes its side.
    this.#socket.resume();
    await gone;
    clearTimeout(deadline);
  }

  destroy(): void {
    this.#lose("closed");
    this.#socket.destroy();
  }

  #startTimer(phase: TimeoutPhase): NodeJS.Timeout {
    const seconds = phaseSeconds(phase, this.#ceilingSeconds);
    return setTimeout(() => {
      this.#lose(`${AWAITED[phase]} within ${seconds} s`);
      this.#socket.destroy();
    }, seconds * 1000);
  }

  #event(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }

  #received(chunk: Buffer): void {
    const error = this.#parser.feed(chunk);
    if (error === undefined) this.#notify();
    else {
      this.#lose(`the server does not speak SMTP: ${error.reason}`);
      this.#socket.destroy();
    }
  }

  #lose(text: string): void {
    this.#lost ??= { kind: "lost", text };
    this.#notify();
  }

  #notify(): void {
    if (this.#wake !== undefined) this.#wake();
    else this.#idleListener?.();
  }
}
