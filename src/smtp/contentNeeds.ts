/**
 * What of SMTPUTF8 and 8BITMIME a message really needs, whatever its client declared: for a server that lacks one of them. Many clients declare
 * both for every message.
 */
export type ContentNeeds = {
  /** A header, of the message or possibly of a part of it, with characters outside ASCII (RFC 6531 §3.7.1, RFC 6532 §3.2). */
  smtpUtf8: "yes" | "no";
  /** An octet above 127 anywhere (RFC 6152 §2). */
  eightBitMime: "yes" | "no";
};

/** A longer header is not looked at for its Content-Type: its parts may then have headers of their own. */
const MAX_HEADER_OCTETS = 64 * 1024;
const END_OF_HEADER = "\r\n\r\n";
/** RFC 2046 §5: what has parts, whose headers may be UTF-8. What begins with a comment may be such: nothing is skipped in search of an end. */
const COMPOSITE = /^content-type[ \t]*:\s*(?:\(|multipart|message)/im;

/** Reads the content to its end. Rejects when it cannot be read. */
export async function contentNeeds(content: AsyncIterable<Buffer>): Promise<ContentNeeds> {
  let header = "";
  let body: "not-begun" | "ascii" | "eight-bit" = "not-begun";
  for await (const chunk of content) {
    if (body !== "not-begun") {
      if (isEightBit(chunk.toString("latin1"))) body = "eight-bit";
      continue;
    }
    header += chunk.toString("latin1");
    const end = header.indexOf(END_OF_HEADER);
    if (end === -1 && header.length <= MAX_HEADER_OCTETS) continue;
    const at = end === -1 ? header.length : end + 2;
    body = isEightBit(header.slice(at)) ? "eight-bit" : "ascii";
    header = header.slice(0, at);
  }
  const composite = header.length > MAX_HEADER_OCTETS || COMPOSITE.test(header);
  return {
    smtpUtf8: isEightBit(header) || (body === "eight-bit" && composite) ? "yes" : "no",
    eightBitMime: isEightBit(header) || body === "eight-bit" ? "yes" : "no",
  };
}

function isEightBit(octets: string): boolean {
  return /[\x80-\xff]/.test(octets);
}
