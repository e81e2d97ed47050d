import type { EnhancedStatus } from "./enhancedStatus.ts";
import { type Reply, replyText } from "./reply.ts";
import { unitext } from "./transactionCommands.ts";

/**
 * The machine-readable part of a delivery status notification: message/delivery-status (RFC 3464 §2) or, where UTF-8 is needed and the
 * sender understands it, message/global-delivery-status (RFC 6533 §4.1).
 */
export type DsnAction = "failed" | "delayed" | "delivered" | "relayed";

/** Per-recipient fields (RFC 3464 §2.3). */
export type DsnRecipient = {
  /** As it came in RCPT. */
  address: string;
  /** ORCPT as `addr-type;decoded text`. */
  originalRecipient?: string;
  action: DsnAction;
  status: EnhancedStatus;
  /** Name, or address literal, of the server that was spoken to. */
  remoteMta?: string;
  /** What the server said; or, where none did, what went wrong here. */
  diagnostic: { from: "remote"; reply: Reply } | { from: "here"; text: string };
  /** Milliseconds since the epoch, as all times here. */
  lastAttemptAt?: number;
  willRetryUntil?: number;
};

/** Per-message fields (RFC 3464 §2.2). */
export type DeliveryStatus = {
  reportingMta: string;
  arrivedAt: number;
  /** ENVID, decoded. */
  envelopeId?: string;
  recipients: readonly [DsnRecipient, ...DsnRecipient[]];
};

/** `ascii`: what is outside ASCII is encoded or replaced; `utf8`: for message/global-delivery-status. */
export type DsnCharacters = "ascii" | "utf8";

/** RFC 5322 §2.1.1: lines should stay below this; folded where a blank allows it. */
const FOLD_AT = 76;
/** Longest text without a blank that goes on one line, well below the 998 octets of RFC 5322 §2.1.1 even as UTF-8. */
const MAX_WORD_CHARACTERS = 240;
const MAX_FIELD_CHARACTERS = 2000;
const NON_ASCII = /[^\0-\x7f]/;

/** RFC 5322 §3.3 date-time in UTC, with numeric zone as RFC 3464 §2.2.5 demands. */
export function dateTime(milliseconds: number): string {
  return new Date(milliseconds).toUTCString().replace("GMT", "+0000");
}

/** One header-like field: no line breaks or controls from outside, folded, ended by CRLF. */
function field(name: string, value: string, characters: DsnCharacters): string {
  const printable = value.slice(0, MAX_FIELD_CHARACTERS).replace(/\p{Cc}/gu, " ");
  const text = characters === "ascii" ? printable.replace(/[^\0-\x7f]/gu, "?") : printable;
  let out = `${name}:`;
  let column = out.length;
  for (const word of text.split(/ +/).flatMap((long) => long.match(new RegExp(`.{1,${MAX_WORD_CHARACTERS}}`, "gsu")) ?? [])) {
    const fold = column + 1 + word.length > FOLD_AT && column > name.length + 1;
    out += fold ? `\r\n ${word}` : ` ${word}`;
    column = fold ? 1 + word.length : column + 1 + word.length;
  }
  return `${out}\r\n`;
}

/** `rfc822; a@b`, or `utf-8; ...` in the form that the part can carry (RFC 6533 §3). */
function addressValue(address: string, characters: DsnCharacters): string {
  if (!NON_ASCII.test(address)) return `rfc822; ${address}`;
  return `utf-8; ${characters === "utf8" ? address : unitext(address, false)}`;
}

/** ORCPT's type and text (RFC 3461 §6.3 (d)); unitext is undone where UTF-8 can stand (RFC 6533 §3). */
function originalValue(original: string, characters: DsnCharacters): string {
  const semicolon = original.indexOf(";");
  const type = original.slice(0, semicolon);
  const address = original.slice(semicolon + 1);
  if (characters === "ascii") return `${type}; ${NON_ASCII.test(address) ? unitext(address, false) : address}`;
  const decoded = address.replace(/\\x\{([0-9A-F]{2,6})\}/g, (escaped, hex: string) => {
    const code = Number.parseInt(hex, 16);
    return code > 0x7f && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff) ? String.fromCodePoint(code) : escaped;
  });
  return `${type}; ${type.toLowerCase() === "utf-8" ? decoded : address}`;
}

/** `dns; name` (RFC 3464 §2.2.2); a name that is no fully-qualified one is not called dns (RFC 3461 §6.3 (b)). */
function mtaValue(name: string): string {
  return `${name.includes(".") || name.startsWith("[") ? "dns" : "x-local-hostname"}; ${name}`;
}

function recipientFields(recipient: DsnRecipient, characters: DsnCharacters): string {
  const { originalRecipient, diagnostic, remoteMta, lastAttemptAt, willRetryUntil } = recipient;
  let text = "";
  const add = (name: string, value: string | undefined): void => {
    if (value !== undefined) text += field(name, value, characters);
  };
  add("Original-Recipient", originalRecipient?.includes(";") ? originalValue(originalRecipient, characters) : undefined);
  add("Final-Recipient", addressValue(recipient.address, characters));
  add("Action", recipient.action);
  add("Status", recipient.status);
  // RFC 3464 §2.3.6: a diagnostic without Remote-MTA is understood as our own.
  if (diagnostic.from === "remote") {
    add("Remote-MTA", remoteMta === undefined ? undefined : mtaValue(remoteMta));
    add("Diagnostic-Code", `smtp; ${replyText(diagnostic.reply)}`);
  } else add("Diagnostic-Code", `X-Dane-Relay; ${diagnostic.text}`);
  add("Last-Attempt-Date", lastAttemptAt === undefined ? undefined : dateTime(lastAttemptAt));
  // RFC 3464 §2.3.9: only for "delayed".
  add("Will-Retry-Until", willRetryUntil === undefined || recipient.action !== "delayed" ? undefined : dateTime(willRetryUntil));
  return text;
}

/** The whole body part: per-message fields, then a blank line and the fields of each recipient. */
export function deliveryStatusText(status: DeliveryStatus, characters: DsnCharacters): string {
  // RFC 3464 §2.2.1, RFC 3461 §6.3 (a): only if the sender gave one.
  const id = status.envelopeId === undefined ? "" : field("Original-Envelope-Id", status.envelopeId, characters);
  const message = field("Reporting-MTA", mtaValue(status.reportingMta), characters);
  const arrival = field("Arrival-Date", dateTime(status.arrivedAt), characters);
  return [id + message + arrival, ...status.recipients.map((recipient) => recipientFields(recipient, characters))].join("\r\n");
}

/** Whether anything in `status` would be lost in ASCII. */
export function needsUtf8(status: DeliveryStatus): boolean {
  return status.recipients.some((recipient) => {
    const said = recipient.diagnostic.from === "remote" ? replyText(recipient.diagnostic.reply) : "";
    return NON_ASCII.test(`${recipient.address}${recipient.originalRecipient ?? ""}${said}`);
  });
}
