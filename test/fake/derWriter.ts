/** Writes DER (X.690) for test certificates, ill-formed ones too: nothing is checked. */

export function der(tag: number, ...content: readonly Buffer[]): Buffer {
  const value = Buffer.concat(content);
  if (value.length < 0x80) return Buffer.concat([Buffer.from([tag, value.length]), value]);
  const octets: number[] = [];
  for (let left = value.length; left > 0; left = Math.floor(left / 256)) octets.unshift(left % 256);
  return Buffer.concat([Buffer.from([tag, 0x80 | octets.length, ...octets]), value]);
}

export const sequence = (...content: readonly Buffer[]): Buffer => der(0x30, ...content);
export const set = (...content: readonly Buffer[]): Buffer => der(0x31, ...content);
export const octetString = (content: Buffer): Buffer => der(0x04, content);
export const bitString = (content: Buffer, unusedBits = 0): Buffer => der(0x03, Buffer.from([unusedBits]), content);
export const utf8String = (text: string): Buffer => der(0x0c, Buffer.from(text, "utf8"));
export const boolean = (value: boolean): Buffer => der(0x01, Buffer.from([value ? 0xff : 0]));
export const explicit = (number: number, ...content: readonly Buffer[]): Buffer => der(0xa0 | number, ...content);
export const implicit = (number: number, content: Buffer): Buffer => der(0x80 | number, content);

export function integer(value: number | Buffer): Buffer {
  const octets = Buffer.isBuffer(value) ? value : Buffer.from([value >> 24, value >> 16, value >> 8, value]);
  let start = 0;
  while (start < octets.length - 1 && octets[start] === 0 && octets.readUInt8(start + 1) < 0x80) start += 1;
  return der(0x02, octets.subarray(start));
}

export function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const octets = [first * 40 + second, ...rest].flatMap((arc) => {
    const groups = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) groups.unshift((left % 128) | 0x80);
    return groups;
  });
  return der(0x06, Buffer.from(octets));
}

/** UTCTime up to 2049, GeneralizedTime from 2050 on (RFC 5280 §4.1.2.5). */
export function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]|\.[0-9]+/g, "");
  return date.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits));
}
