/**
 * A reader for the part of DER (X.690) that certificates are made of. It reads definite lengths in their shortest form only, never
 * past the end of its input, and one level at a time: nesting costs no recursion.
 */
export type DerElement = {
  /** Identifier octet: class, constructed bit, tag number below 31. */
  tag: number;
  /** The content octets. */
  value: Buffer;
  /** Identifier, length and content octets, as they came. */
  raw: Buffer;
};

export const BOOLEAN = 0x01;
export const INTEGER = 0x02;
export const BIT_STRING = 0x03;
export const OCTET_STRING = 0x04;
export const OBJECT_IDENTIFIER = 0x06;
export const SEQUENCE = 0x30;
export const SET = 0x31;

const HIGH_TAG_NUMBER = 0x1f;
const LONG_FORM = 0x80;
/** Four length octets are more than any input here can have. */
const MAX_LENGTH_OCTETS = 4;
/** Those in use have fewer than 20; the time to write one out as text grows with the square of its length. */
const MAX_OBJECT_IDENTIFIER_OCTETS = 256;

/** The input is not what was expected; turned into a value where a whole structure is read (`orMalformed`). */
export class DerError extends Error {}

/** `context(0)` is `[0]` of ASN.1, primitive; constructed with the second argument. */
export function context(number: number, form: "primitive" | "constructed"): number {
  return (form === "constructed" ? 0xa0 : LONG_FORM) | number;
}

function readLength(bytes: Buffer, at: number): { length: number; next: number } {
  const first = bytes[at];
  if (first === undefined) throw new DerError("ends before a length");
  if (first < LONG_FORM) return { length: first, next: at + 1 };
  const octets = first & 0x7f;
  if (octets === 0 || octets > MAX_LENGTH_OCTETS) throw new DerError("length is indefinite or too large");
  if (at + 1 + octets > bytes.length) throw new DerError("ends inside a length");
  const length = bytes.readUIntBE(at + 1, octets);
  if (length < LONG_FORM || bytes[at + 1] === 0) throw new DerError("length is not in its shortest form");
  return { length, next: at + 1 + octets };
}

/** The elements that `bytes` consist of, in order. Throws `DerError` when they do not fill it exactly. */
export function derElements(bytes: Buffer): DerElement[] {
  const elements: DerElement[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = bytes.readUInt8(at);
    if ((tag & HIGH_TAG_NUMBER) === HIGH_TAG_NUMBER) throw new DerError("tag number above 30");
    const { length, next } = readLength(bytes, at + 1);
    if (next + length > bytes.length) throw new DerError("content goes past the end");
    elements.push({ tag, value: bytes.subarray(next, next + length), raw: bytes.subarray(at, next + length) });
    at = next + length;
  }
  return elements;
}

/** The single element that `bytes` are; throws `DerError` on another tag or on octets behind it. */
export function derElement(bytes: Buffer, tag: number): DerElement {
  const [element, ...more] = derElements(bytes);
  if (element === undefined || more.length > 0) throw new DerError("one element expected");
  return expectTag(element, tag);
}

/** `element` itself when it is there and has the tag. */
function expectTag(element: DerElement | undefined, tag: number): DerElement {
  if (element === undefined) throw new DerError(`element with tag ${tag} missing`);
  if (element.tag !== tag) throw new DerError(`tag ${element.tag} where ${tag} is expected`);
  return element;
}

/** Takes elements from the front of a SEQUENCE, optional ones by their tag. */
export class DerSequence {
  readonly #elements: readonly DerElement[];
  #at = 0;

  constructor(content: Buffer) {
    this.#elements = derElements(content);
  }

  required(tag: number): DerElement {
    const element = expectTag(this.#elements[this.#at], tag);
    this.#at += 1;
    return element;
  }

  optional(tag: number): DerElement | undefined {
    const element = this.#elements[this.#at];
    if (element === undefined || element.tag !== tag) return undefined;
    this.#at += 1;
    return element;
  }

  /** All that is left, as it came. */
  rest(): Buffer {
    const left = this.#elements.slice(this.#at);
    this.#at = this.#elements.length;
    return Buffer.concat(left.map((element) => element.raw));
  }

  /** Throws `DerError` when something is left. */
  end(): void {
    if (this.#at !== this.#elements.length) throw new DerError("unexpected element at the end of a sequence");
  }
}

/** Value of an INTEGER that has to be non-negative and small (version, path length). */
export function smallInteger(value: Buffer): number {
  if (value.length === 0 || value.length > MAX_LENGTH_OCTETS || value.readUInt8(0) >= 0x80) {
    throw new DerError("integer is negative or too large");
  }
  if (value.length > 1 && value[0] === 0 && value.readUInt8(1) < 0x80) throw new DerError("integer is not in its shortest form");
  return value.readUIntBE(0, value.length);
}

/** Value of a BOOLEAN: DER knows 0x00 and 0xff only. */
export function booleanValue(value: Buffer): boolean {
  if (value.length !== 1 || (value[0] !== 0 && value[0] !== 0xff)) throw new DerError("boolean is neither 00 nor ff");
  return value[0] === 0xff;
}

/** Content of an OBJECT IDENTIFIER in dotted form. */
export function objectIdentifier(value: Buffer): string {
  if (value.length > MAX_OBJECT_IDENTIFIER_OCTETS) throw new DerError(`object identifier of ${value.length} octets`);
  const last = value[value.length - 1];
  if (last === undefined || last >= 0x80) throw new DerError("object identifier ends inside an arc");
  const arcs: bigint[] = [];
  let arc = 0n;
  for (const octet of value) {
    if (arc === 0n && octet === 0x80) throw new DerError("arc is not in its shortest form");
    arc = (arc << 7n) | BigInt(octet & 0x7f);
    if (octet < 0x80) {
      arcs.push(arc);
      arc = 0n;
    }
  }
  const [first = 0n, ...rest] = arcs;
  const root = first < 40n ? 0n : first < 80n ? 1n : 2n;
  return [root, first - root * 40n, ...rest].join(".");
}

/** What `read` gives, or the sentence of the `DerError` that it threw; other errors are bugs and go on. */
export function orMalformed<T>(read: () => T): T | { kind: "malformed"; because: string } {
  try {
    return read();
  } catch (error) {
    if (error instanceof DerError) return { kind: "malformed", because: error.message };
    throw error;
  }
}
