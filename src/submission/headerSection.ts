/**
 * The header section of a message (RFC 5322 §2.2) as it streams by: gathered until the empty line, because what is added at the top depends on
 * what is missing in it. Content whose first line is no header field has no header section.
 */
const CR = 0x0d;
const LF = 0x0a;
const COLON = 0x3a;
const SPACE = 0x20;
const TAB = 0x09;

/** RFC 5322 §2.2: printable US-ASCII except colon; RFC 5322 §4.5 allows white space before the colon. */
const FIELD_NAME = /^([!-9;-~]+)[ \t]*$/;
/** RFC 8689 §3. */
const TLS_REQUIRED_NO = /^\s*no\s*$/i;

export type HeaderFacts = {
  /** Received fields: the hops so far. */
  received: number;
  hasDate: boolean;
  hasMessageId: boolean;
  /** `TLS-Required: No`, given once. */
  tlsRequiredNo: boolean;
  /** The content begins with something that is no header field. */
  absent: boolean;
};

export type HeaderState = "open" | "complete" | "too-big";

export class HeaderSection {
  readonly #limit: number;
  #bytes: Buffer = Buffer.alloc(0);
  #length = 0;
  #lineStart = 0;
  #scanned = 0;
  #fields = 0;
  #received = 0;
  #date = 0;
  #messageId = 0;
  readonly #tlsRequired: string[] = [];
  #lastField = "";
  #state: HeaderState = "open";

  /** `limit`: octets after which a header section that does not end is too big. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Gathers `content`. Once the state is complete, nothing more is to be given. */
  push(content: Buffer): HeaderState {
    this.#append(content);
    let lineEnd = this.#bytes.subarray(0, this.#length).indexOf(LF, this.#scanned);
    while (lineEnd !== -1 && this.#state === "open") {
      if (this.#line(this.#lineStart, lineEnd) === "last") this.#state = "complete";
      this.#lineStart = lineEnd + 1;
      lineEnd = this.#bytes.subarray(0, this.#length).indexOf(LF, this.#lineStart);
    }
    this.#scanned = this.#length;
    if (this.#state === "open" && this.#length > this.#limit) this.#state = "too-big";
    return this.#state;
  }

  /** All content that was gathered, with what followed the header section in the last piece. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** What is known of the header section so far. */
  get facts(): HeaderFacts {
    const [tlsRequired, ...more] = this.#tlsRequired;
    return {
      received: this.#received,
      hasDate: this.#date > 0,
      hasMessageId: this.#messageId > 0,
      // RFC 8689 §3: more than one MUST NOT be there; what contradicts itself asks for nothing.
      tlsRequiredNo: tlsRequired !== undefined && more.length === 0 && TLS_REQUIRED_NO.test(tlsRequired),
      absent: this.#fields === 0 && this.#state === "complete" && this.#bytes[0] !== CR,
    };
  }

  /** The first piece is mostly the only one, and is used as it is; it is copied when more comes. */
  #append(content: Buffer): void {
    if (this.#length === 0) {
      this.#bytes = content;
      this.#length = content.length;
      return;
    }
    const needed = this.#length + content.length;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    content.copy(this.#bytes, this.#length);
    this.#length = needed;
  }

  /** Looks at the line from `start` to the LF at `end`. */
  #line(start: number, end: number): "field" | "last" {
    const first = this.#bytes[start];
    if ((first === SPACE || first === TAB) && this.#fields > 0) {
      if (this.#lastField === "tls-required") this.#tlsRequired.push(`${this.#tlsRequired.pop() ?? ""}${this.#text(start, end)}`);
      return "field";
    }
    const colon = this.#bytes.subarray(start, end).indexOf(COLON);
    const name = colon <= 0 ? undefined : FIELD_NAME.exec(this.#text(start, start + colon))?.[1]?.toLowerCase();
    // The empty line; or a line that is no field, which ends the header section too.
    if (name === undefined) return "last";
    this.#fields += 1;
    this.#lastField = name;
    if (name === "received") this.#received += 1;
    else if (name === "date") this.#date += 1;
    else if (name === "message-id") this.#messageId += 1;
    else if (name === "tls-required") this.#tlsRequired.push(this.#text(start + colon + 1, end));
    return "field";
  }

  #text(start: number, end: number): string {
    return this.#bytes.toString("latin1", start, end);
  }
}
