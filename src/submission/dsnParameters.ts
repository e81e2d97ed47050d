import { parseMailbox } from "../smtp/mailbox.ts";
import type { Notify } from "../spool/message.ts";

/** The parameters of RFC 3461 §4, decoded. A malformed one is an error, never ignored: the sender relies on what it asked for. */
export type Parameter<T> = { kind: "value"; value: T } | { kind: "error"; reason: string };

const NOTIFY_WORDS: ReadonlySet<string> = new Set(["NEVER", "SUCCESS", "FAILURE", "DELAY"]);
/** RFC 3461 §4.4 and §4.2, of the encoded form. */
const MAX_ENVID_CHARACTERS = 100;
const MAX_ORCPT_CHARACTERS = 500;
/** RFC 3461 §4: printable ASCII but `+` and `=`, or `+` and two upper-case hexadecimal digits. */
const XTEXT = /^(?:[!-*,-<>-~]|\+[0-9A-F]{2})*$/;
const ADDR_TYPE = /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.]+$/;
/** RFC 6533 §3. */
const EMBEDDED_CHARACTER = /\\x\{([0-9A-F]{2,6})\}/g;
const MAX_CODE_POINT = 0x10ffff;

function error(reason: string): Parameter<never> {
  return { kind: "error", reason };
}

function isNotify(word: string): word is Notify {
  return NOTIFY_WORDS.has(word);
}

function hasControl(text: string): boolean {
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0xd800 && code <= 0xdfff)) return true;
  }
  return false;
}

/** RFC 3461 §4.1: NEVER alone, or any of the others. */
export function parseNotify(text: string): Parameter<readonly Notify[]> {
  const words = text.toUpperCase().split(",");
  const known = words.filter(isNotify);
  if (known.length !== words.length) return error("NOTIFY must be NEVER, or a list of SUCCESS, FAILURE, DELAY");
  const distinct = [...new Set(known)];
  if (distinct.includes("NEVER") && distinct.length > 1) return error("NOTIFY=NEVER stands alone");
  return { kind: "value", value: distinct };
}

function decodeXtext(text: string): string | undefined {
  if (!XTEXT.test(text)) return undefined;
  const octets = text.replace(/\+([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const decoded = Buffer.from(octets, "latin1").toString();
  return hasControl(decoded) || decoded.includes("\ufffd") ? undefined : decoded;
}

function decodeUnitext(text: string): string | undefined {
  const codes = [...text.matchAll(EMBEDDED_CHARACTER)].map(([, hex = ""]) => Number.parseInt(hex, 16));
  if (codes.some((code) => code > MAX_CODE_POINT)) return undefined;
  const decoded = text.replace(EMBEDDED_CHARACTER, (_, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16)));
  return hasControl(decoded) ? undefined : decoded;
}

/** RFC 3461 §4.2, RFC 6533 §3: `addr-type;text`, the text decoded. */
export function parseOriginalRecipient(text: string): Parameter<string> {
  if (text.length > MAX_ORCPT_CHARACTERS) return error(`ORCPT is longer than ${MAX_ORCPT_CHARACTERS} characters`);
  const semicolon = text.indexOf(";");
  const type = text.slice(0, Math.max(semicolon, 0));
  if (!ADDR_TYPE.test(type)) return error("ORCPT must be addr-type;xtext");
  const encoded = text.slice(semicolon + 1);
  const decoded = type.toLowerCase() === "utf-8" ? decodeUnitext(encoded) : decodeXtext(encoded);
  return decoded === undefined || decoded === ""
    ? error("ORCPT is not well encoded")
    : { kind: "value", value: `${type};${decoded}` };
}

/** RFC 3461 §4.4: printable ASCII when decoded. */
export function parseEnvelopeId(text: string): Parameter<string> {
  if (text.length > MAX_ENVID_CHARACTERS) return error(`ENVID is longer than ${MAX_ENVID_CHARACTERS} characters`);
  const decoded = decodeXtext(text);
  const printable = decoded !== undefined && /^[ -~]+$/.test(decoded);
  return printable ? { kind: "value", value: decoded } : error("ENVID must be printable ASCII in xtext");
}

/** RFC 3461 §4.3. */
export function parseReturn(text: string): Parameter<"FULL" | "HDRS"> {
  const word = text.toUpperCase();
  return word === "FULL" || word === "HDRS" ? { kind: "value", value: word } : error("RET must be FULL or HDRS");
}

/** RFC 4954 §5, §8: the value of MAIL's AUTH, which has the same encoding. */
export function isSubmitterIdentity(text: string): boolean {
  const decoded = decodeXtext(text);
  return decoded === "<>" || (decoded !== undefined && !("kind" in parseMailbox(decoded)));
}
