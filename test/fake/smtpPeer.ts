/**
 * A scripted SMTP server on a real socket, for the misbehaviour that real servers don't offer. It answers by its script, in order, pipelined
 * commands too, and records every octet and every message that it got.
 *
 *   const peer = await startPeer({ address: "127.15.0.1", starttls: { accept: { key, cert } }, replies: { RCPT: "550 5.1.1 no" } });
 *   ... peer.messages, peer.sessions[0].commands ...
 *   await peer.close();
 */
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { PeerReader } from "./smtpPeerReader.ts";

/** What the peer does at one point of the dialogue. Text is a whole reply without its last CRLF; inner lines are separated by "\n". */
export type PeerAction =
  | string
  /** `until`: what the reply waits for. */
  | { reply?: string; delayMs?: number; until?: Promise<unknown>; afterwards?: "close" | "reset" | "hang" }
  | ((line: string, session: PeerSession) => Exclude<PeerAction, (...args: never[]) => unknown>);

export type PeerTls = Pick<tls.SecureContextOptions, "key" | "cert" | "minVersion" | "maxVersion" | "ciphers" | "ecdhCurve">;

export type PeerStarttls =
  /** Not announced; the command gets 502. `stripped`: announced as XXXXXXXX by something in the middle, the command gets 500. */
  | "absent"
  | "stripped"
  /** Announced, and refused with this reply. */
  | { refuse: string }
  /** Announced and answered 220; then TLS with this certificate (PEM, leaf first, chain in the order it will be sent). */
  | { accept: PeerTls }
  /** As `accept`, with this plaintext in the same segment behind the 220 (CVE-2011-0411 from the server's side). */
  | { accept: PeerTls; inject: string }
  /** Answered 220; then no TLS: octets that are none, silence, or the end of the connection. */
  | { broken: "garbage" | "hang" | "close" };

export type PeerCommand = "EHLO" | "HELO" | "AUTH" | "MAIL" | "RCPT" | "DATA" | "CONTENT" | "BDAT" | "RSET" | "NOOP" | "QUIT";

export type PeerScript = {
  address: string;
  /** Default 0: a free one. */
  port?: number;
  implicitTls?: PeerTls;
  greeting?: PeerAction;
  /** EHLO keywords beside STARTTLS; default PIPELINING, 8BITMIME, SMTPUTF8, SIZE, DSN, ENHANCEDSTATUSCODES. */
  extensions?: readonly string[];
  /** The same inside TLS, where they differ. */
  extensionsInTls?: readonly string[];
  starttls?: PeerStarttls;
  replies?: Partial<Record<PeerCommand, PeerAction>>;
  /** While the content comes, after this many octets of it. `freeze`: open, but nothing more is read. */
  contentLimit?: { octets: number; afterwards: "close" | "reset" | "hang" | "freeze" };
};

export type PeerMessage = {
  mail: string;
  recipients: readonly string[];
  /** Without dot-stuffing and final dot. */
  content: Buffer;
  inTls: boolean;
  via: "DATA" | "BDAT";
  session: PeerSession;
};

export type PeerSession = {
  /** Command lines in order, with where they came: in clear text or inside TLS. */
  commands: { line: string; inTls: boolean }[];
  clear: Buffer[];
  insideTls: Buffer[];
  handshake?: { protocol: string; serverName?: string };
  handshakeError?: string;
  /** Every content that came whole, whatever the reply was. */
  contents: Buffer[];
  ended: boolean;
};

export type Peer = {
  readonly address: string;
  readonly port: number;
  readonly sessions: readonly PeerSession[];
  /** Only those that got their 2yz. */
  readonly messages: readonly PeerMessage[];
  /** Resolves when `count` messages were accepted. */
  received(count: number): Promise<void>;
  close(): Promise<void>;
};

const EXTENSIONS = ["PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 52428800", "DSN", "ENHANCEDSTATUSCODES"];

const DEFAULT_REPLIES: Readonly<Record<PeerCommand, string>> = {
  EHLO: "250 peer.test",
  HELO: "250 peer.test",
  AUTH: "235 2.7.0 ok",
  MAIL: "250 2.1.0 ok",
  RCPT: "250 2.1.5 ok",
  DATA: "354 go ahead",
  CONTENT: "250 2.0.0 queued",
  BDAT: "250 2.0.0 queued",
  RSET: "250 2.0.0 ok",
  NOOP: "250 2.0.0 ok",
  QUIT: "221 2.0.0 bye",
};

/** Thrown inside one session to end it; never leaves it. */
class SessionEnd extends Error {}

class PeerDialogue {
  readonly session: PeerSession = { commands: [], clear: [], insideTls: [], contents: [], ended: false };
  readonly #script: PeerScript;
  readonly #accepted: (message: PeerMessage) => void;
  /** The one below TLS, too: only that can be reset. */
  readonly #plain: net.Socket;
  #socket: net.Socket;
  #reader: PeerReader;
  #inTls = false;
  #mail: string | undefined;
  #recipients: string[] = [];
  #chunks: Buffer[] = [];

  constructor(socket: net.Socket, script: PeerScript, accepted: (message: PeerMessage) => void) {
    this.#plain = socket;
    this.#socket = socket;
    this.#script = script;
    this.#accepted = accepted;
    this.#reader = new PeerReader(socket, (octets) => this.session.clear.push(octets));
  }

  async run(): Promise<void> {
    try {
      if (this.#script.implicitTls !== undefined) await this.#secure(this.#script.implicitTls);
      await this.#act(this.#script.greeting ?? "220 peer.test ESMTP", "");
      for (let line = await this.#reader.line(); line !== undefined; line = await this.#reader.line()) {
        this.session.commands.push({ line, inTls: this.#inTls });
        await this.#command(line);
      }
    } catch (cause) {
      if (!(cause instanceof SessionEnd)) throw cause;
    } finally {
      this.session.ended = true;
      this.#socket.destroy();
    }
  }

  /** Says what the script says; returns the code that was sent, and how the script goes on. */
  async #say(action: PeerAction, line: string): Promise<{ code: number; afterwards?: "close" | "reset" | "hang" }> {
    const chosen = typeof action === "function" ? action(line, this.session) : action;
    const { reply, delayMs, until, afterwards } = typeof chosen === "string" ? { reply: chosen } : chosen;
    await until;
    if (delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, delayMs));
    if (reply !== undefined) this.#send(reply);
    return { code: Number(reply?.slice(0, 3) ?? 0), ...(afterwards === undefined ? {} : { afterwards }) };
  }

  async #act(action: PeerAction, line: string): Promise<number> {
    const { code, afterwards } = await this.#say(action, line);
    if (afterwards !== undefined) await this.#end(afterwards);
    return code;
  }

  /** `behind` goes into the same segment, as it is. */
  #send(reply: string, behind = ""): void {
    const lines = reply.split("\n");
    const code = reply.slice(0, 3);
    const text = lines.map((line, index) => {
      const own = index === 0 ? line.slice(4) : line;
      return `${code}${index === lines.length - 1 ? " " : "-"}${own}\r\n`;
    });
    this.#socket.write(text.join("") + behind);
  }

  async #end(how: "close" | "reset" | "hang" | "freeze"): Promise<never> {
    if (how === "hang") await this.#reader.ended();
    else if (how === "freeze") await this.#frozen();
    else if (how === "reset") this.#plain.resetAndDestroy();
    else {
      this.#socket.end();
      await this.#reader.ended();
    }
    throw new SessionEnd();
  }

  /** Ends with the peer: whoever does not read does not see the other side go. */
  async #frozen(): Promise<void> {
    this.#socket.pause();
    await once(this.#plain, "close");
  }

  async #secure(options: PeerTls): Promise<void> {
    this.#reader.detach();
    const secured = new tls.TLSSocket(this.#socket, { isServer: true, secureContext: tls.createSecureContext(options) });
    this.#socket.on("error", () => secured.destroy());
    this.#socket = secured;
    this.#reader = new PeerReader(secured, (octets) => this.session.insideTls.push(octets));
    const failed = new Promise<string>((resolve) => {
      secured.on("error", (error) => resolve(error.message));
      secured.on("close", () => resolve("closed"));
    });
    const outcome = await Promise.race([once(secured, "secure").then(() => undefined), failed]);
    if (outcome !== undefined) {
      this.session.handshakeError = outcome;
      throw new SessionEnd();
    }
    this.#inTls = true;
    const serverName = (secured as unknown as { servername?: string | false }).servername;
    this.session.handshake = { protocol: secured.getProtocol() ?? "", ...(serverName ? { serverName } : {}) };
  }

  async #command(line: string): Promise<void> {
    const verb = line.split(" ", 1)[0]?.toUpperCase() ?? "";
    if (verb === "STARTTLS") return this.#starttls();
    if (!(verb in DEFAULT_REPLIES) || verb === "CONTENT") return this.#send("500 5.5.2 unknown");
    const command = verb as PeerCommand;
    if (command === "BDAT") return this.#bdat(line);
    const action = this.#script.replies?.[command] ?? this.#defaultReply(command);
    const code = await this.#act(action, line);
    if (command === "MAIL" && code === 250) this.#mail = line;
    else if (command === "RCPT" && (code === 250 || code === 251)) this.#recipients.push(line);
    else if (command === "DATA" && code === 354) await this.#data();
    else if (command === "EHLO" || command === "HELO" || command === "RSET") this.#reset();
    else if (command === "QUIT") await this.#end("close");
  }

  #defaultReply(command: PeerCommand): string {
    if (command === "EHLO") {
      const extensions = (this.#inTls ? this.#script.extensionsInTls : undefined) ?? this.#script.extensions ?? EXTENSIONS;
      const starttls = this.#script.starttls ?? "absent";
      const announced = starttls === "stripped" ? ["XXXXXXXX"] : starttls === "absent" || this.#inTls ? [] : ["STARTTLS"];
      return ["250 peer.test", ...extensions, ...announced].join("\n");
    }
    if (command === "RCPT" && this.#mail === undefined) return "503 5.5.1 no MAIL";
    if (command === "DATA" && this.#recipients.length === 0) return "503 5.5.1 no valid RCPT";
    return DEFAULT_REPLIES[command];
  }

  #reset(): void {
    this.#mail = undefined;
    this.#recipients = [];
    this.#chunks = [];
  }

  async #starttls(): Promise<void> {
    const starttls = this.#script.starttls ?? "absent";
    if (starttls === "absent") return this.#send("502 5.5.1 not implemented");
    if (starttls === "stripped") return this.#send("500 5.5.2 unknown");
    if ("refuse" in starttls) return this.#send(starttls.refuse);
    if ("accept" in starttls) {
      this.#reset();
      this.#send("220 2.0.0 ready", "inject" in starttls ? starttls.inject : "");
      return this.#secure(starttls.accept);
    }
    this.#send("220 2.0.0 ready");
    if (starttls.broken === "garbage") {
      this.#socket.write("this is not TLS\r\n");
      return this.#end("hang");
    }
    return this.#end(starttls.broken);
  }

  async #data(): Promise<void> {
    const limit = this.#script.contentLimit;
    if (limit !== undefined) {
      await this.#reader.octets(limit.octets);
      await this.#end(limit.afterwards);
    }
    const content = await this.#reader.untilDot();
    if (content === undefined) throw new SessionEnd();
    await this.#content(content, "DATA", this.#script.replies?.CONTENT ?? DEFAULT_REPLIES.CONTENT);
  }

  async #bdat(line: string): Promise<void> {
    const [, size, last] = line.split(" ");
    const octets = await this.#reader.octets(Number(size));
    if (octets === undefined) throw new SessionEnd();
    const action = this.#script.replies?.BDAT;
    if (this.#recipients.length === 0 && action === undefined) return this.#send("503 5.5.1 no valid RCPT");
    this.#chunks.push(octets);
    if (last?.toUpperCase() === "LAST") return this.#content(Buffer.concat(this.#chunks), "BDAT", action ?? DEFAULT_REPLIES.BDAT);
    await this.#act(action ?? "250 2.0.0 go on", line);
  }

  async #content(content: Buffer, via: "DATA" | "BDAT", action: PeerAction): Promise<void> {
    const message = {
      mail: this.#mail ?? "",
      recipients: this.#recipients,
      content,
      inTls: this.#inTls,
      via,
      session: this.session,
    };
    this.#reset();
    this.session.contents.push(content);
    const { code, afterwards } = await this.#say(action, "");
    if (code >= 200 && code < 300 && message.recipients.length > 0) this.#accepted(message);
    if (afterwards !== undefined) await this.#end(afterwards);
  }
}

/** Listens until `close`, which also ends what is open. */
export async function startPeer(script: PeerScript): Promise<Peer> {
  const messages: PeerMessage[] = [];
  const sessions: PeerSession[] = [];
  const open = new Set<net.Socket>();
  let waiting: { count: number; resolve: () => void }[] = [];
  const accepted = (message: PeerMessage): void => {
    messages.push(message);
    for (const waiter of waiting) if (messages.length >= waiter.count) waiter.resolve();
    waiting = waiting.filter((waiter) => messages.length < waiter.count);
  };
  const server = net.createServer((socket) => {
    open.add(socket);
    socket.setNoDelay(true);
    socket.on("close", () => open.delete(socket));
    const dialogue = new PeerDialogue(socket, script, accepted);
    sessions.push(dialogue.session);
    void dialogue.run();
  });
  server.listen(script.port ?? 0, script.address);
  await once(server, "listening");
  return {
    address: script.address,
    port: (server.address() as net.AddressInfo).port,
    sessions,
    messages,
    received: (count) =>
      messages.length >= count ? Promise.resolve() : new Promise((resolve) => waiting.push({ count, resolve })),
    close: async () => {
      server.close();
      for (const socket of open) socket.destroy();
      if (server.listening) await once(server, "close");
    },
  };
}
