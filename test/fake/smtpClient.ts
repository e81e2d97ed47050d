import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";

/** A client that says to an SMTP server exactly the octets that a test wants, and reads its replies one by one. */
export class SmtpClient {
  #socket: Socket;
  #received = "";
  #ended = false;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#listen(socket);
  }

  #listen(socket: Socket): void {
    socket.on("data", (chunk: Buffer) => {
      this.#received += chunk.toString();
      this.#wake?.();
    });
    const end = (): void => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on("close", end);
    socket.on("error", end);
  }

  /** Connects to `host:port` or `[host]:port`; the greeting is the first reply. */
  static async connect(address: string, localAddress?: string): Promise<SmtpClient> {
    const at = address.lastIndexOf(":");
    const host = address.slice(0, at).replace(/^\[|\]$/g, "");
    const socket = connect({
      host,
      port: Number(address.slice(at + 1)),
      noDelay: true,
      ...(localAddress === undefined ? {} : { localAddress }),
    });
    await once(socket, "connect");
    return new SmtpClient(socket);
  }

  /** Connects and says EHLO. */
  static async open(address: string, localAddress?: string): Promise<SmtpClient> {
    const client = await SmtpClient.connect(address, localAddress);
    await client.reply();
    await client.command("EHLO client.example");
    return client;
  }

  /** Connects with TLS from the first octet; any certificate will do. */
  static async connectTls(address: string, options: ConnectionOptions = {}): Promise<SmtpClient> {
    const at = address.lastIndexOf(":");
    const socket = connectTls({
      host: address.slice(0, at),
      port: Number(address.slice(at + 1)),
      rejectUnauthorized: false,
      ...options,
    });
    await once(socket, "secureConnect");
    return new SmtpClient(socket);
  }

  /** TLS on this connection, whose server said 220 to STARTTLS. */
  async secure(options: ConnectionOptions = {}): Promise<TLSSocket> {
    this.#socket.removeAllListeners();
    const socket = connectTls({ socket: this.#socket, rejectUnauthorized: false, ...options });
    await once(socket, "secureConnect");
    this.#socket = socket;
    this.#listen(socket);
    return socket;
  }

  /** STARTTLS, TLS, and EHLO within; the reply to that EHLO. */
  async starttls(options: ConnectionOptions = {}): Promise<string> {
    await this.command("STARTTLS");
    await this.secure(options);
    return await this.command("EHLO client.example");
  }

  write(octets: string | Buffer): void {
    this.#socket.write(octets);
  }

  /** The next whole reply, its lines joined by LF; "" when the connection ended before one came. */
  async reply(): Promise<string> {
    for (;;) {
      const match = /^(?:\d{3}-[^\r\n]*\r\n)*\d{3}(?: [^\r\n]*)?\r\n/.exec(this.#received);
      if (match !== null) {
        this.#received = this.#received.slice(match[0].length);
        return match[0].trimEnd().replaceAll("\r\n", "\n");
      }
      if (this.#ended) return "";
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async command(line: string | Buffer): Promise<string> {
    this.write(line);
    this.write("\r\n");
    return await this.reply();
  }

  /** MAIL, RCPT and DATA, up to and with the 354. */
  async begin(sender = "a@sender.example", recipient = "u@dest.example"): Promise<string> {
    this.write(`MAIL FROM:<${sender}>\r\nRCPT TO:<${recipient}>\r\nDATA\r\n`);
    await this.reply();
    await this.reply();
    return await this.reply();
  }

  /** A transaction with this content, dot-stuffed as it is to be; the reply after the final dot. */
  async send(content: string | Buffer, sender?: string, recipient?: string): Promise<string> {
    await this.begin(sender, recipient);
    this.write(content);
    this.write(".\r\n");
    return await this.reply();
  }

  get ended(): boolean {
    return this.#ended;
  }

  async closed(): Promise<void> {
    while (!this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
