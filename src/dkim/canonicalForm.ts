import { createHash } from "node:crypto";

/**
 * The canonical forms of c=relaxed/relaxed (RFC 6376 §3.4.2, §3.4.4). Octets are kept as they are, UTF-8 or not: header fields are strings with
 * one character for each octet (latin1). WSP: space and tab, nothing else that other standards call white space.
 */

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;

/** RFC 6376 §3.4.2: name in lower case, unfolded, each run of WSP one space, none around the colon nor at the end. */
export function relaxedField(field: string): string {
  const colon = field.indexOf(":");
  const name = field.slice(0, colon).replace(/[ \t]+$/, "");
  const value = field
    .slice(colon + 1)
    .replace(/\r\n/g, "")
    .replace(/[ \t]+/g, " ")
    .replace(/^ | $/g, "");
  return `${name.toLowerCase()}:${value}`;
}

/** Line ends that earlier slices held back are hashed in blocks of this many. */
const LINES_PER_BLOCK = 4096;
const BLOCK_OF_LINES = Buffer.from("\r\n".repeat(LINES_PER_BLOCK));
/** Octets that are made canonical at a time. */
const SLICE_OCTETS = 16_384;
/** A space and a CR that an earlier slice held back. */
const CARRIED_OCTETS = 2;

/**
 * bh= of a body that comes in pieces, in constant memory: the SHA-256 of its relaxed form (RFC 6376 §3.4.4), in which WSP is reduced and gone at
 * line ends, empty lines at the end are gone, and the last line has a CRLF; nothing at all stays of a body of empty lines.
 */
export class RelaxedBodyHash {
  readonly #hash = createHash("sha256");
  /** What counts only when an octet that is neither WSP nor line end follows: line ends, then WSP on the line that is begun. */
  #lineEnds = 0;
  #space: "none" | "pending" = "none";
  /** A CR that may be the first half of a line end. */
  #carriageReturn: "none" | "pending" = "none";
  #content: "none" | "some" = "none";
  readonly #out = Buffer.allocUnsafe(SLICE_OCTETS + CARRIED_OCTETS);

  update(piece: Buffer): void {
    for (let at = 0; at < piece.length; at += SLICE_OCTETS) this.#slice(piece.subarray(at, at + SLICE_OCTETS));
  }

  #slice(piece: Buffer): void {
    const out = this.#out;
    let length = 0;
    let lineEnds = this.#lineEnds;
    let space = this.#space;
    let carriageReturn = this.#carriageReturn;
    for (let i = 0; i < piece.length; i += 1) {
      const octet = piece[i] ?? 0;
      if (octet === LF && carriageReturn === "pending") {
        space = "none";
        carriageReturn = "none";
        lineEnds += 1;
        continue;
      }
      if (carriageReturn === "none") {
        if (octet === SPACE || octet === TAB) space = "pending";
        else if (octet === CR) carriageReturn = "pending";
        if (octet === SPACE || octet === TAB || octet === CR) continue;
      }
      if (lineEnds > 0) {
        // Those of this slice fit in the room that they left; those of earlier ones may not.
        if (length + 2 * lineEnds > i) {
          this.#hash.update(out.subarray(0, length));
          length = 0;
          this.#hashLineEnds(lineEnds);
          lineEnds = 0;
        }
        for (; lineEnds > 0; lineEnds -= 1) {
          out[length++] = CR;
          out[length++] = LF;
        }
      }
      if (space === "pending") out[length++] = SPACE;
      space = "none";
      if (carriageReturn === "pending") {
        // A CR alone is an octet like others, and this one is looked at once more.
        out[length++] = CR;
        carriageReturn = "none";
        i -= 1;
      } else out[length++] = octet;
    }
    if (length > 0) this.#content = "some";
    this.#hash.update(out.subarray(0, length));
    this.#lineEnds = lineEnds;
    this.#space = space;
    this.#carriageReturn = carriageReturn;
  }

  /** The value of bh=. Nothing can be added afterwards. */
  digest(): string {
    // The CR that ends a body is its last octet; the LF that is put behind it is the second half of another line end.
    if (this.#carriageReturn === "pending") {
      this.#hashLineEnds(this.#lineEnds);
      this.#hash.update(this.#space === "pending" ? " \r" : "\r");
      this.#content = "some";
    }
    if (this.#content === "some") this.#hash.update("\r\n");
    return this.#hash.digest("base64");
  }

  #hashLineEnds(count: number): void {
    for (let left = count; left > 0; left -= LINES_PER_BLOCK) {
      this.#hash.update(BLOCK_OF_LINES.subarray(0, 2 * Math.min(left, LINES_PER_BLOCK)));
    }
  }
}
