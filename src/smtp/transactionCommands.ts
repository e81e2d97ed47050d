import { announcedSizeLimit, type Extensions } from "./extensions.ts";
import type { NeededExtension, TransactionEnvelope, TransactionRecipient } from "./transaction.ts";

/**
 * The text of MAIL and RCPT with the parameters that the server announced (RFC 1870, 3461, 6152, 6531, 8689), and what is missing.
 *
 * xtext: octets outside printable ASCII, `+` and `=` written as `+XX` (RFC 3461 §4). unitext: characters written as `\x{HEX}` (RFC 6533 §3).
 */

const NON_ASCII = /[^\0-\x7f]/;

/** RFC 3461 §4; the octets of UTF-8 where a character is outside ASCII. */
export function xtext(text: string): string {
  let encoded = "";
  for (const octet of Buffer.from(text)) {
    const plain = octet > 0x20 && octet < 0x7f && octet !== 0x2b && octet !== 0x3d;
    encoded += plain ? String.fromCharCode(octet) : `+${octet.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

/** RFC 6533 §3: utf-8-addr-unitext for a server with SMTPUTF8, utf-8-addr-xtext for others; what is encoded already stays. */
export function unitext(text: string, allowUtf8: boolean): string {
  return text.replace(/\\x\{[0-9A-F]{2,6}\}|[\s\S]/gu, (piece) => {
    if (piece.length > 2) return piece;
    const code = piece.codePointAt(0) ?? 0;
    const special = code <= 0x20 || code === 0x7f || piece === "+" || piece === "=" || piece === "\\";
    if (!special && (code < 0x80 || allowUtf8)) return piece;
    return `\\x{${code.toString(16).toUpperCase().padStart(2, "0")}}`;
  });
}

/** ORCPT value (RFC 3461 §4.2) from `addr-type;decoded text`. */
function originalRecipientValue(original: string, extensions: Extensions): string {
  const semicolon = original.indexOf(";");
  const type = original.slice(0, semicolon);
  const address = original.slice(semicolon + 1);
  if (type.toLowerCase() === "utf-8") return `${type};${unitext(address, extensions.has("SMTPUTF8"))}`;
  return `${type};${xtext(address)}`;
}

/** One command line. A line break inside an address would be a second command: that is a bug of the caller's, never sent. */
function commandLine(words: readonly string[]): string {
  const line = words.join(" ");
  if (/[\r\n\0]/.test(line)) throw new Error(`line break or NUL in an SMTP command: ${JSON.stringify(line)}`);
  return `${line}\r\n`;
}

/** Whether the client said so, or an address has characters outside ASCII (RFC 6531 §3.2). */
function isInternationalized(envelope: TransactionEnvelope, recipients: readonly TransactionRecipient[]): boolean {
  return (
    envelope.smtpUtf8 || NON_ASCII.test(envelope.sender) || recipients.some((recipient) => NON_ASCII.test(recipient.address))
  );
}

/** `MAIL FROM:<...>` with the parameters that the message wants and the server knows. */
export function mailCommand(
  envelope: TransactionEnvelope,
  recipients: readonly TransactionRecipient[],
  extensions: Extensions,
): string {
  const words = [`MAIL FROM:<${envelope.sender}>`];
  if (extensions.has("SIZE")) words.push(`SIZE=${envelope.size}`);
  if (envelope.eightBitMime && extensions.has("8BITMIME")) words.push("BODY=8BITMIME");
  if (isInternationalized(envelope, recipients)) words.push("SMTPUTF8");
  if (envelope.requireTls && extensions.has("REQUIRETLS")) words.push("REQUIRETLS");
  // RFC 3461 §5.2.1 (a), (b): as they were received; §5.2.2 (a): never to a server without DSN.
  if (extensions.has("DSN")) {
    if (envelope.returnContent !== undefined) words.push(`RET=${envelope.returnContent}`);
    if (envelope.envelopeId !== undefined) words.push(`ENVID=${xtext(envelope.envelopeId)}`);
  }
  return commandLine(words);
}

/** `RCPT TO:<...>`; NOTIFY and ORCPT exactly as received (RFC 3461 §5.2.1 (c), (d)). */
export function rcptCommand(recipient: TransactionRecipient, extensions: Extensions): string {
  const words = [`RCPT TO:<${recipient.address}>`];
  if (extensions.has("DSN")) {
    if (recipient.notify !== undefined && recipient.notify.length > 0) words.push(`NOTIFY=${recipient.notify.join(",")}`);
    if (recipient.originalRecipient?.includes(";")) {
      words.push(`ORCPT=${originalRecipientValue(recipient.originalRecipient, extensions)}`);
    }
  }
  return commandLine(words);
}

export type MissingExtension = { extension: NeededExtension; text: string };

/** RFC 6531 §3.2: an internationalized address or message must not be sent to a server without SMTPUTF8. */
export function missingUtf8(
  envelope: TransactionEnvelope,
  recipients: readonly TransactionRecipient[],
  extensions: { has: (name: string) => boolean },
): MissingExtension | undefined {
  if (!isInternationalized(envelope, recipients) || extensions.has("SMTPUTF8")) return undefined;
  const text = "the message has internationalized addresses or headers, and the server does not announce SMTPUTF8";
  return { extension: "SMTPUTF8", text };
}

/**
 * What the message needs and the server cannot do; the message must then not be sent to it.
 * 8BITMIME: RFC 6152 §3 would allow a conversion to 7 bit; this relay changes no content. `envelope` says what the content needs.
 */
export function missingExtension(
  envelope: TransactionEnvelope,
  recipients: readonly TransactionRecipient[],
  extensions: Extensions,
  inTls: boolean,
): MissingExtension | undefined {
  // RFC 8689 §2: the parameter is only allowed inside TLS, and the server must have announced it there. §5: a notification (null sender)
  // should not be lost for want of it.
  if (envelope.requireTls && envelope.sender !== "" && !(inTls && extensions.has("REQUIRETLS"))) {
    return {
      extension: "REQUIRETLS",
      text: "the message requires TLS on its whole way (REQUIRETLS), which the server does not announce",
    };
  }
  const utf8 = missingUtf8(envelope, recipients, extensions);
  if (utf8 !== undefined) return utf8;
  // RFC 6531 §3.1 (8): SMTPUTF8 includes 8BITMIME.
  if (envelope.eightBitMime && !extensions.has("8BITMIME") && !extensions.has("SMTPUTF8")) {
    return { extension: "8BITMIME", text: "the message has 8-bit content, and the server does not announce 8BITMIME" };
  }
  const limit = announcedSizeLimit(extensions);
  // RFC 1870 §5: a message above the fixed maximum will always fail.
  if (limit !== undefined && envelope.size > limit) {
    return { extension: "SIZE", text: `the message has ${envelope.size} octets; the server takes at most ${limit}` };
  }
  return undefined;
}
