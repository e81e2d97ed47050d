import { readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";

/**
 * `sinkProcess.ts TOKEN keeps|ends PORT ADDRESS[=IDENTITY_PEM]...`: SMTP servers with PIPELINING, and STARTTLS where there is an identity, that
 * discard every message and write on standard output `mesg=N`: how many came from senders with the token in their address. ends: the
 * connection is closed behind each message. They know no errors: whoever talks to them is a relay under test.
 */
const END_OF_DATA = Buffer.from("\r\n.\r\n");
const DISCARDED = "250 2.0.0 discarded\r\n";
const REPORT_MILLISECONDS = 10;
const BACKLOG = 1000;

const [token = "", farewell = "", port = "", ...hosts] = process.argv.slice(2);
let messages = 0;
let reported = 0;

class Dialogue {
  #socket: Socket | TLSSocket;
  #rest = Buffer.alloc(0);
  #mode: "commands" | "content" = "commands";
  #counts = false;
  readonly #secureContext: SecureContext | undefined;

  constructor(socket: Socket, secureContext: SecureContext | undefined) {
    this.#socket = socket;
    this.#secureContext = secureContext;
    this.#read();
    socket.write("220 sink.example ESMTP\r\n");
  }

  #read(): void {
    this.#socket.setNoDelay(true);
    this.#socket.on("data", (chunk: Buffer) => this.#take(chunk));
    this.#socket.on("error", () => this.#socket.destroy());
    this.#socket.on("end", () => this.#socket.end());
  }

  #take(chunk: Buffer): void {
    let octets = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const replies: string[] = [];
    for (;;) {
      const end = this.#mode === "commands" ? octets.indexOf("\r\n") : octets.indexOf(END_OF_DATA);
      if (end === -1) break;
      if (this.#mode === "content") {
        if (this.#counts) messages += 1;
        this.#mode = "commands";
        replies.push(DISCARDED);
        octets = octets.subarray(end + END_OF_DATA.length);
        if (farewell === "ends") break;
        continue;
      }
      const verb = octets.toString("latin1", 0, Math.min(end, 8)).toUpperCase();
      if (verb.startsWith("MAIL")) this.#counts = octets.indexOf(token) !== -1 && octets.indexOf(token) < end;
      // The line end before the content counts as part of its end: content may be empty.
      octets = octets.subarray(verb === "DATA" ? end : end + 2);
      replies.push(this.#reply(verb));
      if (verb === "STARTTLS") break;
    }
    // Of content only what may be the beginning of its end is kept.
    if (this.#mode === "content") octets = octets.subarray(Math.max(0, octets.length - END_OF_DATA.length + 1));
    this.#rest = Buffer.from(octets);
    this.#socket.write(replies.join(""));
    if (farewell === "ends" && replies.at(-1) === DISCARDED) this.#socket.end();
    else if (replies.at(-1)?.startsWith("220") === true) this.#secure();
    else if (replies.at(-1)?.startsWith("221") === true) this.#socket.end();
  }

  #reply(verb: string): string {
    if (verb === "STARTTLS") return "220 2.0.0 go ahead\r\n";
    if (verb === "DATA") this.#mode = "content";
    if (verb === "DATA") return "354 go ahead\r\n";
    if (verb === "QUIT") return "221 2.0.0 bye\r\n";
    if (!verb.startsWith("EHLO")) return "250 2.0.0 ok\r\n";
    const starttls = this.#secureContext === undefined || this.#socket instanceof TLSSocket ? "" : "250-STARTTLS\r\n";
    return `250-sink.example\r\n${starttls}250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n`;
  }

  #secure(): void {
    this.#socket.removeAllListeners("data");
    this.#socket.removeAllListeners("end");
    const secureContext = this.#secureContext;
    if (secureContext === undefined) throw new Error("STARTTLS was not offered");
    this.#socket = new TLSSocket(this.#socket, { isServer: true, secureContext });
    this.#rest = Buffer.alloc(0);
    this.#read();
  }
}

setInterval(() => {
  if (messages === reported) return;
  reported = messages;
  process.stdout.write(`mesg=${messages}\n`);
}, REPORT_MILLISECONDS);
for (const host of hosts) {
  const [address, identity] = host.split("=");
  const pem = identity === undefined ? undefined : readFileSync(identity);
  const secureContext = pem === undefined ? undefined : createSecureContext({ key: pem, cert: pem });
  createServer((socket) => new Dialogue(socket, secureContext)).listen({ host: address, port: Number(port), backlog: BACKLOG });
}
