/**
 * What follows DATA (RFC 5321 §4.1.1.4, §4.5.2), octet by octet.
 *
 * A line ends with CRLF and with nothing else. Transparency: of a line that begins with a dot and goes on, that dot is removed. End of mail
 * data: a line that is a dot alone, so only CRLF . CRLF (or . CRLF at the very start); every other sequence (LF . LF, CR LF . LF ...) is content,
 * and content with a bare CR or LF is refused as a whole (RFC 5321 §2.3.8), so that no server behind us can see an end where we saw none.
 */
const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;
const FIRST_PLAIN = CR + 1;

type LineState = "start" | "dot" | "dot-cr" | "text" | "text-cr";

/** What is wrong with the content, as far as it was read; `line` counts from 1. */
export type ContentFault = { kind: "bare-cr" | "bare-lf" | "nul"; line: number };

/** `end`: index of the first octet behind the end of mail data; undefined while more is to come. */
export type Decoded = { content: Buffer; end: number | undefined };

export class MailDataDecoder {
  #state: LineState = "start";
  #line = 1;
  #seen = 0;
  /** The first fault found. Content with a fault is not to be used. */
  fault: ContentFault | undefined;

  /** Whether an octet above 127 was seen. */
  get eightBit(): boolean {
    return this.#seen > 0x7f;
  }

  /** Decodes the next octets as they came; `content` may share their memory. */
  decode(chunk: Buffer): Decoded {
    const output = new Unstuffed(chunk);
    const length = chunk.length;
    let state = this.#state;
    let seen = this.#seen;
    /** Where the dot of the current line is; undefined: in an earlier chunk, which ended before it. */
    let dotAt: number | undefined;
    for (let i = 0; i < length; i += 1) {
      let octet = chunk[i] ?? 0;
      if (state === "text") {
        // The bulk of all content: printable octets in the middle of a line.
        while (octet >= FIRST_PLAIN && i + 1 < length) {
          seen |= octet;
          i += 1;
          octet = chunk[i] ?? 0;
        }
      }
      seen |= octet;
      if (state === "dot-cr" && octet === LF) {
        this.#state = "start";
        this.#seen = seen;
        return { content: output.until(dotAt ?? 0), end: i + 1 };
      }
      if (state === "start" && octet === DOT) {
        dotAt = i;
        state = "dot";
        continue;
      }
      const line = this.#next(state, octet);
      if (dotAt !== undefined && line !== "dot-cr") {
        output.skip(dotAt);
        dotAt = undefined;
      }
      state = line;
    }
    this.#state = state;
    this.#seen = seen;
    // A dot, or dot and CR, at the end of the chunk is held back: it may be the end. (A CR that turns out to be bare is lost: a fault anyway.)
    const held = state === "dot" || state === "dot-cr" ? (dotAt ?? 0) : length;
    return { content: output.until(held), end: undefined };
  }

  #next(state: LineState, octet: number): LineState {
    if (octet === LF) {
      if (state === "text-cr") {
        this.#line += 1;
        return "start";
      }
      this.#found("bare-lf");
      return "text";
    }
    if (state === "text-cr" || state === "dot-cr") this.#found("bare-cr");
    if (octet === CR) return state === "dot" ? "dot-cr" : "text-cr";
    if (octet === 0) this.#found("nul");
    return "text";
  }

  #found(kind: ContentFault["kind"]): void {
    this.fault ??= { kind, line: this.#line };
  }
}

/** A chunk without the dots that were skipped; copied only when there are any. */
class Unstuffed {
  readonly #chunk: Buffer;
  #copy: Buffer | undefined;
  #copied = 0;
  #from = 0;

  constructor(chunk: Buffer) {
    this.#chunk = chunk;
  }

  skip(at: number): void {
    this.#take(at);
    this.#from = at + 1;
  }

  #take(to: number): void {
    this.#copy ??= Buffer.allocUnsafe(this.#chunk.length);
    this.#copied += this.#chunk.copy(this.#copy, this.#copied, this.#from, to);
  }

  /** What is left of the chunk's octets before `to`. */
  until(to: number): Buffer {
    if (this.#copy === undefined) return this.#chunk.subarray(this.#from, to);
    this.#take(to);
    return this.#copy.subarray(0, this.#copied);
  }
}
