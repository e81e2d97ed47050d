import type { Cause, Outcome } from "../policy/disposition.ts";
import type { DsnAction } from "../smtp/dsn.ts";
import { replyText } from "../smtp/reply.ts";
import type { QueuedRecipient } from "../spool/message.ts";

/** What the human-readable part of a notification says: what happened, to whom, and who can do something about it. */
export type BounceRecipient = {
  request: QueuedRecipient;
  outcome: Outcome;
  /** The server that took the message, where one did. */
  host?: string;
};

const LINE_CHARACTERS = 76;
const MAX_WORD_CHARACTERS = 240;

export const BOUNCE_SUBJECT: Readonly<Record<DsnAction, string>> = {
  failed: "Undelivered mail",
  delayed: "Mail is delayed",
  delivered: "Mail was delivered",
  relayed: "Mail was passed on",
};

const INTRODUCTION: Readonly<Record<DsnAction, string>> = {
  failed: "Your message could not be delivered to the recipients below. It will not be tried again.",
  delayed:
    "Your message could not be delivered to the recipients below yet. It is kept and tried again;\r\nyou need not send it again. If it stays undeliverable you will be told.",
  delivered: "Your message was delivered to the recipients below, as you asked to be told.",
  relayed:
    "Your message was handed to the mail servers of the recipients below, as you asked to be told.\r\nThese servers do not report what becomes of it further on.",
};

/** What a server's own status says to do (RFC 3463 §3); the first match counts. */
const ADVICE_BY_STATUS: readonly (readonly [RegExp, string])[] = [
  [/^\d\.1\.[123]$/, "Check the address for typing errors; if it is right, ask the recipient for the current one."],
  [/^\d\.1\.6$/, "The recipient has moved: ask for the new address."],
  [/^\d\.1\.[78]$/, "The recipient's server does not accept your own address as sender: ask your mail administrator."],
  [/^\d\.2\.1$/, "The mailbox is disabled: only the recipient or the recipient's provider can change that."],
  [/^\d\.2\.2$/, "The mailbox is full: tell the recipient by other means, or try again later."],
  [/^\d\.(2\.3|3\.4)$/, "The message is too large for the recipient's server: send it smaller, or in another way."],
  [/^\d\.7\./, "The recipient's server refuses the message by its own rules: its postmaster can say why."],
];

function adviceForReply(status: string, domain: string): string {
  const known = ADVICE_BY_STATUS.find(([pattern]) => pattern.test(status));
  return known?.[1] ?? `The answer of the server is all that is known here: the postmaster of ${domain} can explain it.`;
}

/** RFC 8689 §4.2.1: the sender asked for it, so the sender can do without. */
const REQUIRETLS_ADVICE =
  "You asked that the message travel over protected connections only (REQUIRETLS), which is not possible to this recipient: send it in another way, or without that request.";

/** What the sender can do, by where the trouble lies; what its cause is, and who has to mend it, is said before. */
function advice(status: string, cause: Cause, domain: string): string {
  switch (cause.kind) {
    case "no-such-domain":
      return "Check the part behind the @ for typing errors; if it is right, ask the recipient for the current address.";
    case "null-mx":
      return "Ask the recipient for another address.";
    case "no-address":
      return `The operator of ${domain} has to correct its DNS; check the address for typing errors too.`;
    case "dns":
      return `Nothing is wrong with the message: tell the recipient by other means that the DNS of ${domain} does not answer.`;
    case "dnssec":
      return `Sent all the same, the message could go to a wrong server. Tell the recipient by other means that the DNSSEC signatures of ${domain} do not hold.`;
    case "tls-policy":
    case "tls-handshake":
      if (status === "5.7.10") return REQUIRETLS_ADVICE;
      return `The message was not sent without protection. Tell the recipient by other means that the operator of ${domain} has to look.`;
    case "connect":
      return `The operator of ${domain} has to look, or the network is at fault: try again later, or tell the recipient by other means.`;
    case "reply":
      return adviceForReply(status, domain);
    case "capability":
      if (status === "5.7.30") return REQUIRETLS_ADVICE;
      return `The mail server of ${domain} cannot take this kind of message (see above): send it in a simpler form.`;
    case "loop":
      return `The mail of ${domain} would come back to this server: the operator of ${domain}, or of this server, has to correct that.`;
    case "lifetime":
      return `If it is still needed, send the message again; the postmaster of ${domain} should know of the trouble.`;
    case "local":
      return "The fault is on this side: the administrator of this mail server has to look.";
    default:
      return cause.kind satisfies never;
  }
}

/** Indented and wrapped; no line comes near the 998 octets of RFC 5322 §2.1.1, whatever a server said. */
function indented(text: string): string {
  const lines: string[] = [];
  let line = "   ";
  for (const word of text.split(/\s+/).flatMap((long) => long.match(new RegExp(`.{1,${MAX_WORD_CHARACTERS}}`, "gu")) ?? [])) {
    if (line.length + 1 + word.length > LINE_CHARACTERS && line.trim() !== "") {
      lines.push(line);
      line = "   ";
    }
    line += ` ${word}`;
  }
  return [...lines, line].join("\r\n");
}

function paragraph({ request, outcome }: BounceRecipient): string {
  const lines = [`<${request.address}>`];
  if (outcome.kind === "delivered") lines.push(indented(`The server said: ${replyText(outcome.reply)}`));
  else {
    lines.push(indented(outcome.cause.text));
    const { reply, host } = outcome.cause;
    const said = reply === undefined ? "" : replyText(reply);
    if (said !== "" && !outcome.cause.text.includes(said)) lines.push(indented(`${host ?? "The server"} said: ${said}`));
    lines.push(indented(advice(outcome.status, outcome.cause, request.destination)));
    lines.push(`    Status code: ${outcome.status}`);
  }
  return lines.join("\r\n");
}

/** The first part of the notification; CRLF line ends, UTF-8 where the servers' words are. */
export function bounceText(action: DsnAction, hostname: string, recipients: readonly BounceRecipient[]): string {
  const end =
    action === "failed" || action === "delayed"
      ? "The details for mail software, and your message or its headers, are attached."
      : "The details for mail software, and your message's headers, are attached.";
  const parts = [`This is the mail server ${hostname}.`, INTRODUCTION[action], ...recipients.map(paragraph), end];
  return `${parts.join("\r\n\r\n")}\r\n`;
}
