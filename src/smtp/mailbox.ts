import { domainToASCII } from "node:url";
import { type DomainName, displayName, isName, parseName } from "../dns/name.ts";
import { type AddressLiteral, addressLiteralText, parseAddressLiteral } from "./addressLiteral.ts";

/**
 * Envelope addresses (RFC 5321 §4.1.2, RFC 6531 §3.3).
 *
 * Local part: what stands before the last `@`: a Dot-string (`joe.smith`) or a Quoted-string (`"joe smith"`); all quoted forms of the
 * same characters are the same mailbox. U-label: a domain label with characters outside ASCII; A-label: its `xn--` form (RFC 5890).
 */

/** The right side of an address: a domain (A-labels) or an address literal (RFC 5321 §4.1.3). */
export type MailDomain = { kind: "domain"; name: DomainName } | AddressLiteral;

/**
 * One address of an envelope (RFC 5321 §4.1.2, RFC 6531 §3.3). `text` is what goes into MAIL and RCPT, without angle brackets: minimal
 * quoting, domain in A-labels. `localPart` is without quotes and backslashes. `needsSmtpUtf8`: the local part has non-ASCII characters.
 */
export type Mailbox = { text: string; localPart: string; domain: MailDomain; needsSmtpUtf8: boolean };

export type MailboxError = { kind: "error"; reason: string };

/** RFC 5321 §4.5.3.1.1, .2, .3, in octets; the path's limit counts its angle brackets. */
export const MAX_LOCAL_PART_OCTETS = 64;
export const MAX_DOMAIN_OCTETS = 255;
export const MAX_PATH_OCTETS = 256;

const ATEXT = /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u00a0-\u{10ffff}]+$/u;
const NON_ASCII = /[^\0-\x7f]/;
const LDH_LABEL = /^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$/;

function error(reason: string): MailboxError {
  return { kind: "error", reason };
}

/** Printable name of one character for an error text. */
function characterName(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code > 0x20 && code < 0x7f ? character : `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** C0, DEL and C1 controls and lone surrogates: never allowed, quoted or not. */
function forbiddenCharacter(text: string): string | undefined {
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0xd800 && code <= 0xdfff)) return character;
  }
  return undefined;
}

/** Reads the quoted string at the start of `text`: its content without quotes, and the index behind the closing quote. */
function readQuoted(text: string): { content: string; next: number } | MailboxError {
  let content = "";
  for (let i = 1; i < text.length; i += 1) {
    const character = text.charAt(i);
    if (character === '"') return { content, next: i + 1 };
    if (character !== "\\") {
      content += character;
      continue;
    }
    // RFC 5321 §4.1.2: quoted-pairSMTP is a backslash and one ASCII graphic or space.
    const escaped = text.charAt(i + 1);
    if (!/^[ -~]$/.test(escaped)) return error("backslash in the local part is not followed by a printable ASCII character");
    content += escaped;
    i += 1;
  }
  return error("quoted local part is not closed");
}

function isDotString(localPart: string): boolean {
  return localPart.split(".").every((atom) => ATEXT.test(atom));
}

function dotStringError(localPart: string): MailboxError {
  if (localPart === "") return error("local part is empty");
  for (const character of localPart) {
    if (character !== "." && !ATEXT.test(character)) {
      return error(`character ${characterName(character)} in the local part needs quoting`);
    }
  }
  return error("local part has a dot at its start or end, or two in a row");
}

/** Splits at the `@` that ends the local part. A Dot-string cannot contain one, so it is the first. */
function splitAddress(text: string): { localPart: string; domain: string } | MailboxError {
  if (text.startsWith('"')) {
    const quoted = readQuoted(text);
    if ("kind" in quoted) return quoted;
    if (text.charAt(quoted.next) !== "@") return error("quoted local part is not followed by @");
    return { localPart: quoted.content, domain: text.slice(quoted.next + 1) };
  }
  const at = text.indexOf("@");
  if (at === -1) return error("address has no @");
  const localPart = text.slice(0, at);
  return isDotString(localPart) ? { localPart, domain: text.slice(at + 1) } : dotStringError(localPart);
}

/** RFC 5321 Appendix C: a source route (`@a,@b:user@c`) is accepted and ignored. */
function withoutSourceRoute(text: string): string | MailboxError {
  if (!text.startsWith("@")) return text;
  const colon = text.indexOf(":");
  const hops = colon === -1 ? [] : text.slice(0, colon).split(",");
  const malformed =
    hops.length === 0 || hops.some((hop) => !hop.startsWith("@") || parseMailDomain(hop.slice(1)).kind === "error");
  return malformed ? error("source route is malformed, or the local part is empty") : text.slice(colon + 1);
}

function checkLabels(domain: string): MailboxError | undefined {
  const labels = domain.split(".");
  for (const label of labels) {
    if (label === "") return error("domain has an empty label: a dot at its start or end, or two in a row");
    if (LDH_LABEL.test(label)) continue;
    const wrong = /[^A-Za-z0-9-]/u.exec(label);
    if (wrong !== null) return error(`character ${characterName(wrong[0])} is not allowed in a domain`);
    return error(`domain label ${JSON.stringify(label)} starts or ends with a hyphen`);
  }
  if (labels.every((label) => /^\d+$/.test(label))) return error("domain is a number: an IP address is written in brackets");
  return undefined;
}

/** A-labels of `domain` (RFC 6531 §3.2, RFC 5891); ASCII passes as it is. */
function toALabels(domain: string): string | MailboxError {
  if (!NON_ASCII.test(domain)) return domain;
  // domainToASCII is a URL parser's: "/", "%" or "@" would end or change the host, so the ASCII part is checked before.
  const wrong = /[\0-\x7f]/.exec(domain.replace(/[A-Za-z0-9.-]/g, ""));
  if (wrong !== null) return error(`character ${characterName(wrong[0])} is not allowed in a domain`);
  const ascii = domainToASCII(domain);
  return ascii === "" ? error("domain is not a valid internationalized domain name") : ascii;
}

/**
 * Parses what stands behind the `@`, or a `RecipientRequest.destination`: a domain (U-labels become A-labels) or an address literal.
 * Characters are those of RFC 5321 §4.1.2: letters, digits, hyphen, no underscore, no trailing dot.
 */
export function parseMailDomain(text: string): MailDomain | MailboxError {
  if (text === "") return error("domain is empty");
  if (Buffer.byteLength(text) > MAX_DOMAIN_OCTETS) return error(`domain is longer than ${MAX_DOMAIN_OCTETS} octets`);
  if (text.startsWith("[")) return parseAddressLiteral(text);
  const ascii = toALabels(text);
  if (typeof ascii !== "string") return ascii;
  const malformed = checkLabels(ascii);
  if (malformed !== undefined) return malformed;
  const name = parseName(ascii);
  return isName(name) ? { kind: "domain", name } : error(`domain: ${name.reason}`);
}

function domainText(domain: MailDomain, given: string): string {
  if (domain.kind === "literal") return addressLiteralText(domain);
  return NON_ASCII.test(given) ? displayName(domain.name) : given;
}

/** The form with the least quoting (RFC 5321 §4.1.2). */
function localPartText(localPart: string): string {
  return isDotString(localPart) ? localPart : `"${localPart.replace(/["\\]/g, "\\$&")}"`;
}

/** Parses one address, with or without source route, without angle brackets. The null reverse-path ("") and a bare `postmaster` are the caller's. */
export function parseMailbox(text: string): Mailbox | MailboxError {
  if (Buffer.byteLength(text) > MAX_PATH_OCTETS - 2) return error(`address is longer than ${MAX_PATH_OCTETS - 2} octets`);
  const forbidden = forbiddenCharacter(text);
  if (forbidden !== undefined) return error(`address contains the character ${characterName(forbidden)}`);
  const address = withoutSourceRoute(text);
  if (typeof address !== "string") return address;
  const parts = splitAddress(address);
  if ("kind" in parts) return parts;
  if (Buffer.byteLength(parts.localPart) > MAX_LOCAL_PART_OCTETS) {
    return error(`local part is longer than ${MAX_LOCAL_PART_OCTETS} octets`);
  }
  const domain = parseMailDomain(parts.domain);
  if (domain.kind === "error") return domain;
  const whole = `${localPartText(parts.localPart)}@${domainText(domain, parts.domain)}`;
  // A-labels are longer than the U-labels they stand for.
  if (Buffer.byteLength(whole) > MAX_PATH_OCTETS - 2) return error(`address is longer than ${MAX_PATH_OCTETS - 2} octets`);
  return { text: whole, localPart: parts.localPart, domain, needsSmtpUtf8: NON_ASCII.test(parts.localPart) };
}

/** Key of the destination, as in `RecipientRequest.destination`: the domain in lower-case A-labels without trailing dot, or the literal. */
export function destinationOf(mailbox: Mailbox): string {
  return mailbox.domain.kind === "literal" ? addressLiteralText(mailbox.domain) : displayName(mailbox.domain.name);
}
