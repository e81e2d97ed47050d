const LF = 0x0a;
/** A line that is longer comes in pieces, each as a line. */
const MAX_LINE_OCTETS = 1024 * 1024;

/**
 * The output of one of several processes, in whole lines, so that lines of different processes do not run into each other. What stands behind
 * the last line end waits for the rest, and comes with `end`.
 */
export class WholeLines {
  readonly #write: (text: string) => void;
  #rest: Buffer = Buffer.alloc(0);

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  push(chunk: Buffer): void {
    const last = chunk.lastIndexOf(LF);
    if (last === -1) {
      this.#rest = Buffer.concat([this.#rest, chunk]);
      if (this.#rest.length >= MAX_LINE_OCTETS) this.end();
      return;
    }
    this.#write(Buffer.concat([this.#rest, chunk.subarray(0, last + 1)]).toString());
    this.#rest = Buffer.from(chunk.subarray(last + 1));
  }

  /** Nothing more comes of the line that has begun. */
  end(): void {
    if (this.#rest.length > 0) this.#write(`${this.#rest.toString()}\n`);
    this.#rest = Buffer.alloc(0);
  }
}
