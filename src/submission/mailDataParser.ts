import { SMTPStream } from "smtp-server/lib/smtp-stream.js";

/**
 * smtp-server's command parser with our own way through mail data: what follows DATA goes undecoded to `receive`, which tells where it ends.
 * Theirs scans octet by octet, yields to the event loop at each stuffed dot and keeps the dot of a line like ".x".
 */
export type MailDataReceiver = (chunk: Buffer, resume: (rest: Buffer | undefined) => void) => void;

export class MailDataParser extends SMTPStream {
  readonly #receive: MailDataReceiver;

  /** `receive` calls `resume` when it can take more; with the octets behind the end of mail data when that is over. */
  constructor(receive: MailDataReceiver) {
    super();
    this.#receive = receive;
  }

  startMailData(): void {
    this._dataMode = true;
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
