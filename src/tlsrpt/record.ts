import { withoutWhiteSpace } from "../mtasts/whiteSpace.ts";
import { destinationOf, parseMailbox } from "../smtp/mailbox.ts";

/** The TXT RRset at `_smtp._tls.<reporting domain>` (RFC 8460 §3): whether a domain wants reports, and where they go. */
export type TlsrptRecord =
  | { kind: "record"; uris: readonly [ReportUri, ...ReportUri[]] }
  /** No record that is about TLSRPT at all. */
  | { kind: "absent" }
  /** There is something, and it is not exactly one valid record with a place to send to: counts as no TLSRPT. */
  | { kind: "unusable"; reason: string };

/** `text`: as it was published. `address`: what `mailto` names, as it goes into RCPT. `destination`: as in `RecipientRequest`. */
export type ReportUri =
  | { scheme: "mailto"; text: string; address: string; destination: string }
  | { scheme: "https"; text: string; url: URL };

export const MAX_RECORD_OCTETS = 8192;
/** Places that one report goes to; what is listed behind them is not used. */
export const MAX_REPORT_URIS = 5;
export const MAX_URI_CHARACTERS = 1024;

/** RFC 8460 §3: what does not begin so is discarded. Its ABNF allows white space before the semicolon. */
const VERSION = /^v=TLSRPTv1[ \t]*;/;
/** RFC 8460 §3, tlsrpt-extension. */
const EXTENSION = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[\x21-\x3a\x3c\x3e-\x7e]+$/;
/** RFC 8460 §3: commas, exclamation points and semicolons MUST be encoded in a URI; white space and controls are in none (RFC 3986 §2). */
const URI = /^[A-Za-z][A-Za-z0-9+.-]*:[\x22-\x2b\x2d-\x3a\x3c-\x7e]+$/;
const RUA = "rua=";

/** Reads all TXT records of the name; each is the character-strings that it holds. */
export function readTlsrptRecords(records: readonly (readonly Buffer[])[]): TlsrptRecord {
  // RFC 8460 §3: several strings are one text, without spaces between.
  const texts = records.map((strings) => Buffer.concat(strings).toString("latin1")).filter((text) => VERSION.test(text));
  const [text] = texts;
  if (text === undefined) return { kind: "absent" };
  // RFC 8460 §3: not exactly one: senders MUST assume that the domain does not implement TLSRPT.
  if (texts.length > 1) return { kind: "unusable", reason: `${texts.length} TLSRPT records, where there must be one` };
  if (text.length > MAX_RECORD_OCTETS) {
    return { kind: "unusable", reason: `a record of ${text.length} octets (at most ${MAX_RECORD_OCTETS})` };
  }
  return readFields(text);
}

function readFields(text: string): TlsrptRecord {
  const [, ...parts] = text.split(";");
  const fields = parts.map(withoutWhiteSpace);
  // One delimiter may end the record.
  if (fields.at(-1) === "") fields.pop();
  let rua: string | undefined;
  for (const field of fields) {
    if (field.startsWith(RUA)) rua ??= field.slice(RUA.length);
    // RFC 8460 §3: unknown fields are ignored where they are well formed.
    else if (!EXTENSION.test(field)) return { kind: "unusable", reason: `malformed field ${JSON.stringify(shown(field))}` };
  }
  return rua === undefined ? { kind: "unusable", reason: "the field rua is missing" } : readUris(rua);
}

function readUris(rua: string): TlsrptRecord {
  const uris: ReportUri[] = [];
  let reason = "rua names no place";
  for (const part of rua.split(",")) {
    const uri = readUri(withoutWhiteSpace(part));
    if ("reason" in uri) reason = uri.reason;
    else if (!uris.some(({ text }) => text === uri.text)) uris.push(uri);
  }
  const [first, ...rest] = uris.slice(0, MAX_REPORT_URIS);
  return first === undefined ? { kind: "unusable", reason } : { kind: "record", uris: [first, ...rest] };
}

/** One place to send to. */
export function readUri(text: string): ReportUri | { reason: string } {
  if (text.length > MAX_URI_CHARACTERS) return { reason: `a URI of ${text.length} characters (at most ${MAX_URI_CHARACTERS})` };
  if (!URI.test(text)) return { reason: `${JSON.stringify(shown(text))} is no URI` };
  const scheme = text.slice(0, text.indexOf(":")).toLowerCase();
  if (scheme === "mailto") return readMailto(text);
  if (scheme === "https") return readHttps(text);
  return { reason: `${JSON.stringify(shown(text))} is neither mailto nor https` };
}

/** RFC 6068 §2: one address. Header fields behind a question mark are not taken over: they are the destination's words, not ours. */
function readMailto(text: string): ReportUri | { reason: string } {
  const encoded = text.slice("mailto:".length).split("?", 1)[0] ?? "";
  const address = percentDecoded(encoded);
  const mailbox = address === undefined ? undefined : parseMailbox(address);
  if (mailbox === undefined || "kind" in mailbox) {
    const because = mailbox === undefined ? "it is not percent-encoded UTF-8" : mailbox.reason;
    return { reason: `${JSON.stringify(shown(text))} names no mailbox: ${because}` };
  }
  // What a destination chooses leads to its mail hosts, by DNS; the report's own header is ASCII.
  if (mailbox.domain.kind === "literal" || mailbox.needsSmtpUtf8) {
    return { reason: `${JSON.stringify(shown(text))}: reports go to ASCII addresses at domains` };
  }
  return { scheme: "mailto", text, address: mailbox.text, destination: destinationOf(mailbox) };
}

function percentDecoded(encoded: string): string | undefined {
  if (/%(?![0-9A-Fa-f]{2})/.test(encoded)) return undefined;
  const octets = Buffer.from(
    encoded.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    "latin1",
  );
  const decoded = octets.toString("utf8");
  return Buffer.from(decoded).equals(octets) ? decoded : undefined;
}

function readHttps(text: string): ReportUri | { reason: string } {
  const url = URL.parse(text);
  if (url === null || url.hostname === "") return { reason: `${JSON.stringify(shown(text))} names no host` };
  // RFC 9110 §4.2.4: user information in https is an error of the sender, and a disguise for phishing.
  if (url.username !== "" || url.password !== "") return { reason: `${JSON.stringify(shown(text))} has user information in it` };
  return { scheme: "https", text, url };
}

const MAX_SHOWN_CHARACTERS = 80;

function shown(text: string): string {
  return text.length > MAX_SHOWN_CHARACTERS ? `${text.slice(0, MAX_SHOWN_CHARACTERS)}..` : text;
}
