import { type DomainName, MAX_NAME_OCTETS, nameFromWire, ROOT } from "./name.ts";

/**
 * Pointers followed while one name is read. A name has at most 127 labels, so an honest one needs no more jumps than that;
 * chains of bare pointers are only ever built to cost work.
 */
export const MAX_COMPRESSION_POINTERS = 127;
/** Labels and pointers followed in all names of a message: compression makes 127 labels out of two octets, again and again. */
export const MAX_LABELS = 16_384;

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
  /** The name that was read last, uncompressed. */
  readonly #name = Buffer.allocUnsafe(MAX_NAME_OCTETS);
  #labels = 0;
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
    const length = this.#readName();
    if (length === 0) return ROOT;
    const result = nameFromWire(this.#name.subarray(0, length));
    this.#namesAt.set(start, result);
    return result;
  }

  /** A name as uncompressed octets, case kept. */
  nameOctets(): Buffer {
    return Buffer.from(this.#name.subarray(0, this.#readName()));
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

  /** Expands a name into `#name` and returns its length (0: failed); the position moves behind its first pointer or its root label. */
  #readName(): number {
    let length = 0;
    let pointers = 0;
    let at = this.#at;
    let segmentStart = at;
    let limit = this.#end;
    let after: number | undefined;
    for (;;) {
      this.#labels += 1;
      if (this.#labels > MAX_LABELS) return this.#failName(`more than ${MAX_LABELS} labels`);
      if (at >= limit) return this.#failName("name runs beyond its end");
      const octet = this.#wire.readUInt8(at);
      if ((octet & POINTER_BITS) === POINTER_BITS) {
        if (this.#firstName === undefined) return this.#failName("compression pointer where none is allowed");
        if (at + 1 >= limit) return this.#failName("name runs beyond its end");
        const target = ((octet & POINTER_OFFSET_MASK) << 8) | this.#wire.readUInt8(at + 1);
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
      if ((octet & POINTER_BITS) !== 0) return this.#failName(`label type 0x${octet.toString(16)} is not defined`);
      if (at + 1 + octet > limit) return this.#failName("name runs beyond its end");
      if (length + 1 + octet > MAX_NAME_OCTETS) return this.#failName("name of more than 255 octets");
      // By hand: labels are short, and a call to copy() costs more than the octets.
      for (const end = at + octet; at <= end; at += 1, length += 1) this.#name[length] = this.#wire[at] ?? 0;
      if (octet > 0) continue;
      this.#at = after ?? at;
      return length;
    }
  }

  #failName(reason: string): 0 {
    this.fail(reason);
    return 0;
  }
}
