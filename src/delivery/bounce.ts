import { isUtf8 } from "node:buffer";
import type { Outcome } from "../policy/disposition.ts";
import { type DeliveryStatus, type DsnAction, type DsnRecipient, dateTime, deliveryStatusText, needsUtf8 } from "../smtp/dsn.ts";
import { statusOf } from "../smtp/enhancedStatus.ts";
import { destinationOf, parseMailbox } from "../smtp/mailbox.ts";
import type { Envelope, MessageId, NewMessage } from "../spool/message.ts";
import { BOUNCE_SUBJECT, type BounceRecipient, bounceText } from "./bounceText.ts";

/**
 * Delivery status notifications (RFC 3461 §6, RFC 3464, RFC 6533): who gets one, and the message that it is.
 *
 * Never about a notification (null sender), never where NOTIFY forbids it, always with the null sender, so that none can answer another.
 */
export type DsnRequest = {
  /** Of the message that is reported on. */
  envelope: Envelope;
  kind: DsnAction;
  recipients: readonly BounceRecipient[];
  /** The beginning of the stored content, or all of it. */
  original: Buffer;
  hostname: string;
  now: number;
  newId: () => MessageId;
  /** For `delayed`: when it will be given up. */
  retryUntil?: number;
};

export type Dsn = { kind: "dsn"; message: NewMessage; content: Buffer } | { kind: "none"; because: string };

/** The returned header is cut behind this; the rest of what makes a notification is small. */
const MAX_RETURNED_HEADER_OCTETS = 16 * 1024;
const NON_ASCII = /[^\0-\x7f]/;
const BASE64_LINE = 76;

/** RFC 3461 §5.2: failures and delays unless NOTIFY says otherwise, success only where it was asked for. */
function isWanted(action: DsnAction, notify: readonly string[] | undefined): boolean {
  switch (action) {
    case "failed":
      return notify === undefined || notify.includes("FAILURE");
    case "delayed":
      return notify === undefined || notify.includes("DELAY");
    case "delivered":
    case "relayed":
      return notify?.includes("SUCCESS") ?? false;
    default:
      return action satisfies never;
  }
}

function dsnRecipient({ request, outcome, host }: BounceRecipient, options: DsnRequest): DsnRecipient {
  const { originalRecipient } = request;
  return {
    address: request.address,
    action: options.kind,
    lastAttemptAt: options.now,
    ...(originalRecipient === undefined ? {} : { originalRecipient }),
    ...(options.retryUntil === undefined ? {} : { willRetryUntil: options.retryUntil }),
    ...(outcome.kind === "delivered" ? deliveredFields(outcome, host) : troubleFields(outcome)),
  };
}

type OutcomeFields = Pick<DsnRecipient, "status" | "diagnostic" | "remoteMta">;

function deliveredFields(outcome: Extract<Outcome, { kind: "delivered" }>, host: string | undefined): OutcomeFields {
  const diagnostic = { from: "remote", reply: outcome.reply } as const;
  return { status: statusOf("CONTENT", outcome.reply), diagnostic, ...(host === undefined ? {} : { remoteMta: host }) };
}

function troubleFields(outcome: Exclude<Outcome, { kind: "delivered" }>): OutcomeFields {
  const { status, cause } = outcome;
  if (cause.reply === undefined) return { status, diagnostic: { from: "here", text: cause.text } };
  const remoteMta = cause.host ?? (cause.address === undefined ? undefined : `[${cause.address}]`);
  return { status, diagnostic: { from: "remote", reply: cause.reply }, ...(remoteMta === undefined ? {} : { remoteMta }) };
}

/** The header, up to the blank line; cut at a line's end where it is too long. */
function headerOf(original: Buffer): Buffer {
  const end = original.indexOf("\r\n\r\n");
  const header = end === -1 ? original : original.subarray(0, end + 2);
  if (header.length <= MAX_RETURNED_HEADER_OCTETS) return header;
  const cut = header.lastIndexOf("\r\n", MAX_RETURNED_HEADER_OCTETS);
  return header.subarray(0, cut === -1 ? 0 : cut + 2);
}

/** In-Reply-To lets the sender's program show the notification beside the message. */
function messageIdOf(original: Buffer): string | undefined {
  return /^message-id:[ \t]*(?:\r\n[ \t]+)?(<[\x21-\x3b\x3d\x3f-\x7e]{1,240}>)[ \t]*$/im.exec(
    headerOf(original).toString("latin1"),
  )?.[1];
}

type Part = { type: string; content: Buffer; encoding: "7bit" | "8bit" | "base64" };

function isAscii(content: Buffer): boolean {
  return !NON_ASCII.test(content.toString("latin1"));
}

/**
 * What the way back to the sender carries for certain: a server that lacks 8BITMIME would make a notification undeliverable that came with 8-bit
 * parts, and nobody is told of that. Only to an internationalized sender there is no way but by SMTPUTF8, which carries them (RFC 6531 §3.1 (8)).
 */
type Transport = "7bit" | "8bit";

function textPart(type: string, content: Buffer, transport: Transport): Part {
  if (isAscii(content)) return { type, content, encoding: "7bit" };
  // RFC 6533 §6.3, §6.4: 8bit wherever possible, else base64.
  return { type, content, encoding: transport === "8bit" && isUtf8(content) ? "8bit" : "base64" };
}

/**
 * What is returned of the message. RFC 3461 §6.2: all of it only for a failure, where RET does not say HDRS, and where it is at hand as a
 * whole; RFC 8689 §5: of a REQUIRETLS message only the header.
 */
function returnedPart({ envelope, kind, original }: DsnRequest, transport: Transport): Part {
  const whole =
    original.length >= envelope.size && kind === "failed" && envelope.returnContent !== "HDRS" && !envelope.requireTls;
  const header = headerOf(original);
  // RFC 6533 §4.2, §4.3: the types for messages with UTF-8 headers.
  const utf8Header = !isAscii(header);
  if (!whole) return textPart(utf8Header ? "message/global-headers" : "text/rfc822-headers", header, transport);
  // RFC 2046 §5.2.1: message/rfc822 must not be encoded; message/global may be (RFC 6533 §4.5).
  return textPart(isAscii(original) ? "message/rfc822" : "message/global", original, transport);
}

function partOctets({ type, content, encoding }: Part): Buffer {
  const head = Buffer.from(`Content-Type: ${type}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n`);
  if (encoding !== "base64") return Buffer.concat([head, content]);
  const lines = content.toString("base64").match(new RegExp(`.{1,${BASE64_LINE}}`, "g")) ?? [];
  return Buffer.concat([head, Buffer.from(`${lines.join("\r\n")}\r\n`)]);
}

/** `multipart/report` (RFC 6522). The boundary is made of the id, which the returned message cannot know. */
function compose(header: readonly string[], id: MessageId, parts: readonly Part[]): Buffer {
  const boundary = `dsn-${id}`;
  const top = [
    ...header,
    "MIME-Version: 1.0",
    "Content-Type: multipart/report; report-type=delivery-status;",
    ` boundary="${boundary}"`,
    ...(parts.some(({ encoding }) => encoding === "8bit") ? ["Content-Transfer-Encoding: 8bit"] : []),
  ];
  const octets: Buffer[] = [Buffer.from(`${top.join("\r\n")}\r\n\r\n`)];
  for (const part of parts) octets.push(Buffer.from(`--${boundary}\r\n`), partOctets(part), Buffer.from("\r\n"));
  return Buffer.concat([...octets, Buffer.from(`--${boundary}--\r\n`)]);
}

/** The notification about some recipients of a message, ready for the queue; or why there is none. */
export function buildDsn(options: DsnRequest): Dsn {
  const { envelope, kind, now } = options;
  const hostname = options.hostname.replace(/\.$/, "");
  // RFC 5321 §6.1, RFC 3464 §2: no notification about a notification.
  if (envelope.sender === "") return { kind: "none", because: "the message has the null sender" };
  const [first, ...rest] = options.recipients.filter(({ request }) => isWanted(kind, request.notify));
  if (first === undefined) return { kind: "none", because: "no recipient's NOTIFY asks for it" };
  const sender = parseMailbox(envelope.sender);
  if ("kind" in sender) return { kind: "none", because: `the sender's address is none: ${sender.reason}` };

  const id = options.newId();
  const status: DeliveryStatus = {
    reportingMta: hostname,
    arrivedAt: envelope.acceptedAt,
    recipients: [dsnRecipient(first, options), ...rest.map((recipient) => dsnRecipient(recipient, options))],
    ...(envelope.envelopeId === undefined ? {} : { envelopeId: envelope.envelopeId }),
  };
  // RFC 6533 §4: the UTF-8 type only for senders who showed that they understand it.
  const utf8 = envelope.smtpUtf8 && needsUtf8(status);
  const transport = sender.needsSmtpUtf8 ? "8bit" : "7bit";
  const parts = [
    textPart("text/plain; charset=utf-8", Buffer.from(bounceText(kind, hostname, [first, ...rest])), transport),
    utf8
      ? textPart("message/global-delivery-status", Buffer.from(deliveryStatusText(status, "utf8")), transport)
      : textPart("message/delivery-status", Buffer.from(deliveryStatusText(status, "ascii")), transport),
    returnedPart(options, transport),
  ];
  const answered = messageIdOf(options.original);
  const content = compose(
    [
      `Date: ${dateTime(now)}`,
      `From: Mail Delivery System <MAILER-DAEMON@${hostname}>`,
      `To: <${sender.text}>`,
      `Subject: ${BOUNCE_SUBJECT[kind]}`,
      `Message-ID: <${id}@${hostname}>`,
      ...(answered === undefined ? [] : [`In-Reply-To: ${answered}`]),
      // RFC 3834 §5: made by a machine, and nothing for machines to answer.
      "Auto-Submitted: auto-replied",
    ],
    id,
    parts,
  );
  const message: NewMessage = {
    envelope: {
      id,
      sender: "",
      acceptedAt: now,
      smtpUtf8: sender.needsSmtpUtf8,
      eightBitMime: parts.some(({ encoding }) => encoding === "8bit"),
      // RFC 8689 §5: a notification is protected as the message was.
      requireTls: envelope.requireTls,
      tlsRequiredNo: false,
      size: content.length,
    },
    // RFC 3461 §6.1: if NOTIFY is used its value is NEVER.
    recipients: [{ address: sender.text, destination: destinationOf(sender), notify: ["NEVER"] }],
  };
  return { kind: "dsn", message, content };
}
