const BASE32HEX_DIGITS = "0123456789abcdefghijklmnopqrstuv";

/** RFC 4648 §7 without padding, in lower case: the owner names of NSEC3 records. */
export function base32hex(octets: Uint8Array): string {
  let text = "";
  let bits = 0;
  let count = 0;
  for (const octet of octets) {
    bits = ((bits << 8) | octet) & 0x1fff;
    count += 8;
    for (; count >= 5; count -= 5) text += BASE32HEX_DIGITS.charAt((bits >> (count - 5)) & 0x1f);
  }
  return count === 0 ? text : text + BASE32HEX_DIGITS.charAt((bits << (5 - count)) & 0x1f);
}
