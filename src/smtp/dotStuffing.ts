const LF = 0x0a;
const CR = 0x0d;
const DOT = 0x2e;
const END_OF_LINE_AND_DATA = Buffer.from("\r\n.\r\n");
const END_OF_DATA = Buffer.from(".\r\n");

/**
 * Transparency of RFC 5321 §4.5.2, for content that comes in chunks: a dot at the start of a line is doubled, and the end of data is a line
 * of its own. Lines end in CRLF here; a dot behind a bare LF is doubled nevertheless, so that no server can see an end of data in content
 * (SMTP smuggling), however it takes line ends.
 */
export class DotStuffing {
  #last = LF;
  #beforeLast = CR;

  /** The octets to send for the next chunk; the chunk itself where nothing is to be doubled. */
  push(chunk: Buffer): Buffer {
    const last = chunk.at(-1);
    if (last === undefined) return chunk;
    const dots: number[] = [];
    if (this.#last === LF && chunk[0] === DOT) dots.push(0);
    for (let at = chunk.indexOf("\n."); at !== -1; at = chunk.indexOf("\n.", at + 1)) dots.push(at + 1);
    this.#beforeLast = chunk.at(-2) ?? this.#last;
    this.#last = last;
    return dots.length === 0 ? chunk : doubled(chunk, dots);
  }

  /** The end of data: `.` on a line of its own, behind a CRLF where the content does not end in one. */
  end(): Buffer {
    return this.#last === LF && this.#beforeLast === CR ? END_OF_DATA : END_OF_LINE_AND_DATA;
  }
}

function doubled(chunk: Buffer, dots: readonly number[]): Buffer {
  const out = Buffer.allocUnsafe(chunk.length + dots.length);
  let from = 0;
  let to = 0;
  for (const dot of dots) {
    to += chunk.copy(out, to, from, dot);
    out[to] = DOT;
    to += 1;
    from = dot;
  }
  chunk.copy(out, to, from);
  return out;
}
