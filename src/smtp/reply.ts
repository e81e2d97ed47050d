/**
 * SMTP replies (RFC 5321 §4.2), read strictly and within bounds from a byte stream.
 *
 * Line end: CRLF; a bare LF is taken as a line end too (old servers send it, and nothing can be hidden behind it: every line must begin
 * with its code). Any other control character becomes "?", so that no reply can forge a line in a log or a DSN.
 */

/** One SMTP reply (RFC 5321 §4.2): three-digit code, enhanced status (RFC 2034) if given, and the text of each line without it. */
export type Reply = { code: number; enhanced?: string; lines: readonly string[] };

/** What came is not a reply, or exceeds a bound: the stream cannot be trusted any further. */
export type ReplyError = { kind: "error"; reason: string };

/** RFC 5321 §4.5.3.1.5 says 512; servers in use exceed it, so the bound is a multiple. */
export const MAX_REPLY_LINE_OCTETS = 2048;
export const MAX_REPLY_LINES = 128;
export const MAX_REPLY_OCTETS = 32_768;
/** Replies that came and were not taken yet; far above what a pipelining client has outstanding per read. */
export const MAX_REPLIES_AHEAD = 4096;

/** `code`, then "-" (more lines follow) or " " and the text; the separator may be missing on a last line without text (RFC 5321 §4.2). */
const LINE = /^([2-5]\d\d)(?:([ -])(.*))?$/s;
/** RFC 2034 §4, RFC 3463 §2: class, subject and detail, then a space or the end. */
const ENHANCED = /^([245])\.(\d{1,3})\.(\d{1,3})(?: +|$)/;
const CONTROL = /\p{Cc}/u;
const LF = 0x0a;
const CR = 0x0d;

function error(reason: string): ReplyError {
  return { kind: "error", reason };
}

function printable(text: string): string {
  if (!CONTROL.test(text)) return text;
  return text.replace(/\t/g, " ").replace(/\p{Cc}/gu, "?");
}

/** The enhanced status at the start of `text` when its class is the reply's (RFC 2034 §4 demands that it is; otherwise it is not one). */
function enhancedPrefix(code: number, text: string): { status: string; octets: number } | undefined {
  const match = ENHANCED.exec(text);
  if (match === null || match[1] !== String(code)[0]) return undefined;
  return { status: `${match[1]}.${Number(match[2])}.${Number(match[3])}`, octets: match[0].length };
}

function replyOf(code: number, texts: readonly string[]): Reply {
  let enhanced: string | undefined;
  const lines = texts.map((text) => {
    const prefix = enhancedPrefix(code, text);
    // RFC 2034 §4: every line of a multi-line reply carries the same status; another one is text.
    if (prefix === undefined || (enhanced !== undefined && enhanced !== prefix.status)) return text;
    enhanced = prefix.status;
    return text.slice(prefix.octets);
  });
  return enhanced === undefined ? { code, lines } : { code, enhanced, lines };
}

/** Incremental: `feed` octets as they come, `take` complete replies in order. After an error nothing more is parsed. */
export class ReplyParser {
  #rest: Buffer = Buffer.alloc(0);
  #code: number | undefined;
  #texts: string[] = [];
  #octets = 0;
  readonly #complete: Reply[] = [];
  #error: ReplyError | undefined;

  /** Takes the next octets of the stream; the error, once there is one, is final. */
  feed(chunk: Buffer): ReplyError | undefined {
    if (this.#error !== undefined) return this.#error;
    const input = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let start = 0;
    for (let end = input.indexOf(LF); end !== -1; end = input.indexOf(LF, start)) {
      this.#error = this.#line(input, start, end);
      if (this.#error !== undefined) return this.#error;
      start = end + 1;
    }
    this.#rest = input.subarray(start);
    if (this.#rest.length > MAX_REPLY_LINE_OCTETS)
      this.#error = error(`reply line is longer than ${MAX_REPLY_LINE_OCTETS} octets`);
    return this.#error;
  }

  take(): Reply | undefined {
    return this.#complete.shift();
  }

  /** Whether anything came that was not taken: a whole reply, or a part of one. */
  get hasUntaken(): boolean {
    return this.#complete.length > 0 || this.#rest.length > 0 || this.#code !== undefined;
  }

  #line(input: Buffer, start: number, lineFeed: number): ReplyError | undefined {
    if (lineFeed - start >= MAX_REPLY_LINE_OCTETS) return error(`reply line is longer than ${MAX_REPLY_LINE_OCTETS} octets`);
    const end = lineFeed > start && input[lineFeed - 1] === CR ? lineFeed - 1 : lineFeed;
    const text = input.toString("utf8", start, end);
    const match = LINE.exec(text);
    if (match === null) return error(`not an SMTP reply: ${JSON.stringify(printable(text).slice(0, 80))}`);
    const code = Number(match[1]);
    // RFC 5321 §4.2.1: all lines of one reply have the same code.
    if (this.#code !== undefined && this.#code !== code)
      return error(`reply lines with different codes: ${this.#code} and ${code}`);
    this.#code = code;
    this.#octets += lineFeed - start;
    this.#texts.push(printable(match[3] ?? ""));
    if (this.#texts.length > MAX_REPLY_LINES) return error(`reply has more than ${MAX_REPLY_LINES} lines`);
    if (this.#octets > MAX_REPLY_OCTETS) return error(`reply is longer than ${MAX_REPLY_OCTETS} octets`);
    if (match[2] === "-") return undefined;
    this.#complete.push(replyOf(code, this.#texts));
    this.#code = undefined;
    this.#texts = [];
    this.#octets = 0;
    return this.#complete.length > MAX_REPLIES_AHEAD ? error("replies without commands") : undefined;
  }
}

/** First digit of the code: 2 positive completion, 3 positive intermediate, 4 transient negative, 5 permanent negative (RFC 5321 §4.2.1). */
export function replyClass(reply: Reply): 2 | 3 | 4 | 5 {
  if (reply.code < 300) return 2;
  if (reply.code < 400) return 3;
  return reply.code < 500 ? 4 : 5;
}

/** On one line, as in `250 2.0.0 ok`, cut to `maximumCharacters`. */
export function replyText(reply: Reply, maximumCharacters = 1000): string {
  const text = [String(reply.code), reply.enhanced ?? "", ...reply.lines].filter((part) => part !== "").join(" ");
  return text.length <= maximumCharacters ? text : `${text.slice(0, maximumCharacters - 3)}...`;
}
