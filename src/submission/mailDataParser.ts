import { SMTPStream } from "smtp-server/lib/smtp-stream.js";

/**
 * smtp-server's command parser with our own way through mail data: what follows DATA goes undecoded to `receive`, which tells where it ends.
 * Theirs scans octet by octet, yields to the event loop at each stuffed dot and keeps the dot of a line like ".x".
 */
export type MailDataReceiver = (chunk: Buffer, resume: (rest: Buffer | undefined) => void) => void;

const LF = 0x0a;

export class MailDataParser extends SMTPStream {
  readonly #receive: MailDataReceiver;
  /** Whether the client waits for the reply to what is being handled, or has sent more already (RFC 2920). */
  client: "waits" | "goes-on" = "waits";

  /** `receive` calls `resume` when it can take more; with the octets behind the end of mail data when that is over. */
  constructor(receive: MailDataReceiver) {
    super();
    this.#receive = receive;
  }

  startMailData(): void {
    this._dataMode = true;
  }

  override _write(chunk: Buffer, encoding: BufferEncoding | "buffer", done: (error?: Error | null) => void): void {
    if (!this._dataMode) this.client = chunk.indexOf(LF) === chunk.length - 1 ? "waits" : "goes-on";
    super._write(chunk, encoding, done);
  }

  override _feedDataStream(chunk: Buffer, done: (error?: Error | null) => void): void {
    this.#receive(chunk, (rest) => {
      if (rest === undefined) {
        done();
        return;
      }
      this._dataMode = false;
      this._remainder = "";
      this._write(rest, "buffer", done);
    });
  }
}
