import { type DomainName, isName, MAX_NAME_OCTETS, nameFromLabels, ROOT } from "./name.ts";

/**
 * Pointers followed while one name is read. A name has at most 127 labels, so an honest one needs no more jumps than that;
 * chains of bare pointers are only ever built to cost work.
 */
export const MAX_COMPRESSION_POINTERS = 127;

const POINTER_BITS = 0xc0;
const POINTER_OFFSET_MASK = 0x3f;

/**
 * Reads octets in order and never beyond `end`. The first thing that does not fit sets `failure`; from then on every read yields
 * zero, an empty buffer or the root, so that a decoder reads a whole structure and looks at `failure` once, at its end.
 */
export class WireReader {
  readonly #wire: Buffer;
  readonly #firstName: number | undefined;
  readonly #namesAt = new Map<number, DomainName>();
  #at: number;
  #end: number;
  #failure: string | undefined;

  /** Names may point back into `wire`, as far as the offset `firstName` (RFC 1035 §4.1.4); without it a pointer is a failure. */
  constructor(wire: Buffer, firstName?: number) {
    this.#wire = wire;
    this.#firstName = firstName;
    this.#at = 0;
    this.#end = wire.length;
  }

  get failure(): string | undefined {
    return this.#failure;
  }

  get position(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  fail(reason: string): void {
    this.#failure ??= reason;
    this.#at = this.#end;
  }

  octet(): number {
    if (!this.#has(1)) return 0;
    const value = this.#wire.readUInt8(this.#at);
    this.#at += 1;
    return value;
  }

  uint16(): number {
    if (!this.#has(2)) return 0;
    const value = this.#wire.readUInt16BE(this.#at);
    this.#at += 2;
    return value;
  }

  uint32(): number {
    if (!this.#has(4)) return 0;
    const value = this.#wire.readUInt32BE(this.#at);
    this.#at += 4;
    return value;
  }

  /** The next `count` octets, sharing memory with the wire. */
  octets(count: number): Buffer {
    if (!this.#has(count)) return Buffer.alloc(0);
    const value = this.#wire.subarray(this.#at, this.#at + count);
    this.#at += count;
    return value;
  }

  /** All that is left. */
  rest(): Buffer {
    return this.octets(this.remaining);
  }

  /** A <character-string> (RFC 1035 §3.3): one length octet and as many octets. */
  characterString(): Buffer {
    return this.octets(this.octet());
  }

  name(): DomainName {
    const pointer = this.#barePointer();
    const known = pointer === undefined ? undefined : this.#namesAt.get(pointer);
    if (known !== undefined) {
      this.#at += 2;
      return known;
    }
    const start = pointer ?? this.#at;
    const labels = this.#labels();
    if (labels === undefined) return ROOT;
    const result = nameFromLabels(labels);
    if (!isName(result)) {
      this.fail(result.reason);
      return ROOT;
    }
    this.#namesAt.set(start, result);
    return result;
  }

  /** A name as uncompressed octets, case kept. */
  nameOctets(): Buffer {
    const labels = this.#labels();
    if (labels === undefined) return Buffer.alloc(0);
    const parts: Buffer[] = [];
    for (const label of labels) parts.push(Buffer.of(label.length), label);
    parts.push(Buffer.of(0));
    return Buffer.concat(parts);
  }

  /** Runs `read` on the next `count` octets alone; it is a failure to leave some of them unread. */
  within<T>(count: number, read: () => T): T | undefined {
    if (!this.#has(count)) return undefined;
    const outerEnd = this.#end;
    this.#end = this.#at + count;
    const value = read();
    if (this.#failure === undefined && this.#at !== this.#end) this.fail(`${this.#end - this.#at} octets too many`);
    this.#end = outerEnd;
    if (this.#failure !== undefined) this.#at = outerEnd;
    return value;
  }

  /** To be called last: anything unread is a failure. */
  finish(): void {
    if (this.#failure === undefined && this.#at !== this.#end) this.fail(`${this.#end - this.#at} octets after the end`);
  }

  #has(count: number): boolean {
    if (this.#failure !== undefined) return false;
    if (count <= this.#end - this.#at) return true;
    this.fail(`ends ${count - (this.#end - this.#at)} octets too early, at ${this.#end}`);
    return false;
  }

  /** Where the name at the current position points to when it is nothing but a pointer. */
  #barePointer(): number | undefined {
    if (this.#firstName === undefined || this.remaining < 2) return undefined;
    const first = this.#wire.readUInt8(this.#at);
    if ((first & POINTER_BITS) !== POINTER_BITS) return undefined;
    return ((first & POINTER_OFFSET_MASK) << 8) | this.#wire.readUInt8(this.#at + 1);
  }

  /** The labels of a name; the position moves behind its first pointer or its root label. */
  #labels(): readonly Buffer[] | undefined {
    const labels: Buffer[] = [];
    let octets = 1;
    let pointers = 0;
    let at = this.#at;
    let segmentStart = at;
    let limit = this.#end;
    let after: number | undefined;
    for (;;) {
      if (at >= limit) return this.#failName("name runs beyond its end");
      const length = this.#wire.readUInt8(at);
      if (length === 0) {
        this.#at = after ?? at + 1;
        return labels;
      }
      if ((length & POINTER_BITS) === POINTER_BITS) {
        if (this.#firstName === undefined) return this.#failName("compression pointer where none is allowed");
        if (at + 1 >= limit) return this.#failName("name runs beyond its end");
        const target = ((length & POINTER_OFFSET_MASK) << 8) | this.#wire.readUInt8(at + 1);
        pointers += 1;
        // RFC 1035 §4.1.4: a pointer goes to a prior occurrence. Strictly backwards from this segment, so there can be no loop.
        if (target >= segmentStart || target < this.#firstName)
          return this.#failName("compression pointer does not point back to a name");
        if (pointers > MAX_COMPRESSION_POINTERS) return this.#failName("too many compression pointers");
        after ??= at + 2;
        limit = segmentStart;
        at = target;
        segmentStart = target;
        continue;
      }
      if ((length & POINTER_BITS) !== 0) return this.#failName(`label type 0x${length.toString(16)} is not defined`);
      if (at + 1 + length > limit) return this.#failName("name runs beyond its end");
      octets += length + 1;
      if (octets > MAX_NAME_OCTETS) return this.#failName("name of more than 255 octets");
      labels.push(this.#wire.subarray(at + 1, at + 1 + length));
      at += length + 1;
    }
  }

  #failName(reason: string): undefined {
    this.fail(reason);
    return undefined;
  }
}
