import { destinationOf, parseMailbox } from "../smtp/mailbox.ts";
import type { RecipientRequest } from "../spool/message.ts";
import type { AddressCommand } from "./addressCommand.ts";
import { isSubmitterIdentity, parseEnvelopeId, parseNotify, parseOriginalRecipient, parseReturn } from "./dsnParameters.ts";
import type { Rejection } from "./rejection.ts";

/** One mail transaction (RFC 5321 §3.3) from MAIL to the end of its data: the envelope as it is being built. */
export type Transaction = {
  /** "" is the null reverse-path. */
  sender: string;
  smtpUtf8: boolean;
  /** RFC 8689 §2. */
  requireTls: boolean;
  envelopeId?: string;
  returnContent?: "FULL" | "HDRS";
  /** By mailbox: one that is given again replaces what was given before. Local parts differ by case (RFC 5321 §2.4). */
  recipients: Map<string, RecipientRequest>;
};

export type Begun = { kind: "begun"; transaction: Transaction } | { kind: "rejected"; rejection: Rejection };
export type Addressed =
  | { kind: "addressed"; mailbox: string; recipient: RecipientRequest }
  | { kind: "rejected"; rejection: Rejection };

const NON_ASCII = /[^\0-\x7f]/;

function rejected(reason: Rejection["reason"], code: number, status: Rejection["status"], text: string) {
  return { kind: "rejected", rejection: { reason, code, status, text } } as const;
}

function badParameter(text: string) {
  return rejected("bad-parameter", 501, "5.5.4", text);
}

/** RFC 5321 §4.1.1.11. */
function unknownParameter(command: AddressCommand, known: ReadonlySet<string>) {
  const unknown = [...command.parameters.keys()].find((keyword) => !known.has(keyword));
  return unknown === undefined ? undefined : rejected("bad-parameter", 555, "5.5.4", `parameter ${unknown} is not supported`);
}

const MAIL_PARAMETERS: ReadonlySet<string> = new Set(["SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "REQUIRETLS"]);
const MAIL_PARAMETERS_WITH_AUTH: ReadonlySet<string> = new Set([...MAIL_PARAMETERS, "AUTH"]);
const RCPT_PARAMETERS: ReadonlySet<string> = new Set(["NOTIFY", "ORCPT"]);

function checkSize(size: string | undefined, maxMessageBytes: number) {
  if (size === undefined) return undefined;
  if (!/^\d{1,20}$/.test(size)) return badParameter("SIZE must be a number");
  // RFC 1870 §6.1 (1).
  return Number(size) > maxMessageBytes ? tooBig(maxMessageBytes) : undefined;
}

export function tooBig(maxMessageBytes: number): { kind: "rejected"; rejection: Rejection } {
  return rejected("too-big", 552, "5.3.4", `the message is larger than ${maxMessageBytes} octets`);
}

function checkBody(body: string | undefined) {
  if (body === undefined || /^(?:7BIT|8BITMIME)$/i.test(body)) return undefined;
  return badParameter("BODY must be 7BIT or 8BITMIME");
}

/** RFC 6531 §3.5: codes for an address that needs SMTPUTF8 in a transaction without it. */
function checkUtf8(path: string, smtpUtf8: boolean) {
  if (smtpUtf8 || !NON_ASCII.test(path)) return undefined;
  return rejected("utf8-address", 553, "5.6.7", "a non-ASCII address needs the SMTPUTF8 parameter of MAIL");
}

/** What the session allows. `requireTls`: whether it is in TLS, and if not, whether it could be. `auth`: whether there is AUTH at all. */
export type SessionTerms = {
  maxMessageBytes: number;
  requireTls: "in-tls" | "offered" | "not-offered";
  auth: "offered" | "not-offered";
};

/** RFC 4954 §5: parsed and discarded, as one does who trusts no client's word about who submitted the message. */
function checkSubmitter(value: string | undefined) {
  return value === undefined || isSubmitterIdentity(value) ? undefined : badParameter("AUTH must be a mailbox or <> in xtext");
}

/** RFC 8689 §2: the parameter takes no value, and only inside TLS it is announced, and allowed. */
function checkRequireTls(value: string | undefined, terms: SessionTerms) {
  if (value === undefined) return undefined;
  if (value !== "") return badParameter("REQUIRETLS takes no value");
  switch (terms.requireTls) {
    case "in-tls":
      return undefined;
    case "offered":
      // RFC 3207 §4: the words for what needs TLS first.
      return rejected("tls-required", 530, "5.7.0", "REQUIRETLS is only for connections in TLS: STARTTLS comes first");
    case "not-offered":
      return rejected("bad-parameter", 555, "5.5.4", "parameter REQUIRETLS is not supported: there is no TLS here");
    default:
      return terms.requireTls satisfies never;
  }
}

/** MAIL (RFC 5321 §4.1.1.2). */
export function beginTransaction(command: AddressCommand, terms: SessionTerms): Begun {
  const { path, parameters } = command;
  const smtpUtf8 = parameters.get("SMTPUTF8");
  if (smtpUtf8 !== undefined && smtpUtf8 !== "") return badParameter("SMTPUTF8 takes no value");
  const refusal =
    unknownParameter(command, terms.auth === "offered" ? MAIL_PARAMETERS_WITH_AUTH : MAIL_PARAMETERS) ??
    checkSubmitter(parameters.get("AUTH")) ??
    checkRequireTls(parameters.get("REQUIRETLS"), terms) ??
    checkSize(parameters.get("SIZE"), terms.maxMessageBytes) ??
    checkBody(parameters.get("BODY")) ??
    checkUtf8(path, smtpUtf8 !== undefined);
  if (refusal !== undefined) return refusal;
  const transaction: Transaction = {
    sender: "",
    smtpUtf8: smtpUtf8 !== undefined,
    requireTls: parameters.has("REQUIRETLS"),
    recipients: new Map(),
  };
  if (path !== "") {
    const mailbox = parseMailbox(path);
    if ("kind" in mailbox) return rejected("bad-address", 501, "5.1.7", `sender address: ${mailbox.reason}`);
    transaction.sender = mailbox.text;
  }
  const ret = parameters.get("RET");
  if (ret !== undefined) {
    const parsed = parseReturn(ret);
    if (parsed.kind === "error") return badParameter(parsed.reason);
    transaction.returnContent = parsed.value;
  }
  const envelopeId = parameters.get("ENVID");
  if (envelopeId !== undefined) {
    const parsed = parseEnvelopeId(envelopeId);
    if (parsed.kind === "error") return badParameter(parsed.reason);
    transaction.envelopeId = parsed.value;
  }
  return { kind: "begun", transaction };
}

/** RCPT (RFC 5321 §4.1.1.3). A bare `postmaster` is that of `hostname`. */
export function parseRecipient(command: AddressCommand, transaction: Transaction, hostname: string): Addressed {
  const { parameters } = command;
  const path = /^postmaster$/i.test(command.path) ? `${command.path}@${hostname}` : command.path;
  const refusal = unknownParameter(command, RCPT_PARAMETERS) ?? checkUtf8(path, transaction.smtpUtf8);
  if (refusal !== undefined) return refusal;
  const mailbox = parseMailbox(path);
  if ("kind" in mailbox) return rejected("bad-address", 501, "5.1.3", `recipient address: ${mailbox.reason}`);
  const recipient: RecipientRequest = { address: mailbox.text, destination: destinationOf(mailbox) };
  const notify = parameters.get("NOTIFY");
  if (notify !== undefined) {
    const parsed = parseNotify(notify);
    if (parsed.kind === "error") return badParameter(parsed.reason);
    recipient.notify = parsed.value;
  }
  const original = parameters.get("ORCPT");
  if (original !== undefined) {
    const parsed = parseOriginalRecipient(original);
    if (parsed.kind === "error") return badParameter(parsed.reason);
    recipient.originalRecipient = parsed.value;
  }
  return { kind: "addressed", mailbox: `${mailbox.localPart}@${recipient.destination}`, recipient };
}
