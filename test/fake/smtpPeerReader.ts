import type { Duplex } from "node:stream";

/** Pulls lines, counted octets and dot-terminated content from a stream, for scripted servers. `undefined` means: the stream ended before. */
export class PeerReader {
  readonly #stream: Duplex;
  readonly #detach: () => void;
  #buffer: Buffer = Buffer.alloc(0);
  #over = false;
  #wake: (() => void) | undefined;

  constructor(stream: Duplex, record: (octets: Buffer) => void) {
    this.#stream = stream;
    const onData = (octets: Buffer): void => {
      record(octets);
      this.#buffer = this.#buffer.length === 0 ? octets : Buffer.concat([this.#buffer, octets]);
      this.#wake?.();
    };
    const onOver = (): void => {
      this.#over = true;
      this.#wake?.();
    };
    stream.on("data", onData);
    for (const event of ["end", "close", "error"]) stream.on(event, onOver);
    this.#detach = () => stream.off("data", onData);
  }

  /** Stops reading, so that TLS can take the stream over. */
  detach(): void {
    this.#detach();
    this.#stream.pause();
  }

  async line(): Promise<string | undefined> {
    const end = await this.#find("\n", 0);
    if (end === -1) return undefined;
    return this.#take(end + 1)
      .toString("utf8")
      .replace(/\r?\n$/, "");
  }

  /** The content up to `CRLF . CRLF`, with dot-stuffing undone (RFC 5321 §4.5.2). */
  async untilDot(): Promise<Buffer | undefined> {
    while (!this.#over && this.#buffer.length < 3) await this.#more();
    if (this.#buffer.subarray(0, 3).toString("latin1") === ".\r\n") {
      this.#take(3);
      return Buffer.alloc(0);
    }
    const end = await this.#find("\r\n.\r\n", 0);
    if (end === -1) return undefined;
    const stuffed = this.#take(end + 2).toString("latin1");
    this.#take(3);
    return Buffer.from(stuffed.replace(/^\./, "").replaceAll("\r\n.", "\r\n"), "latin1");
  }

  async octets(count: number): Promise<Buffer | undefined> {
    while (this.#buffer.length < count && !this.#over) await this.#more();
    return this.#buffer.length < count ? undefined : this.#take(count);
  }

  /** Resolves when the other side is gone; what it still sends is recorded. */
  async ended(): Promise<void> {
    while (!this.#over) await this.#more();
  }

  #take(count: number): Buffer {
    const taken = this.#buffer.subarray(0, count);
    this.#buffer = this.#buffer.subarray(count);
    return taken;
  }

  async #find(needle: string, from: number): Promise<number> {
    let searched = from;
    for (;;) {
      const at = this.#buffer.indexOf(needle, searched);
      if (at !== -1) return at;
      if (this.#over) return -1;
      searched = Math.max(0, this.#buffer.length - needle.length + 1);
      await this.#more();
    }
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }
}
