import { parseAddressList } from "../smtp/addressList.ts";

/** What `sendmail` makes of a message on standard input: CRLF line ends, recipients out of the header, no Bcc, a From where there is none. */
export type MessageWishes = {
  /** Whether recipients are read from the header (-t). */
  fromHeader: "yes" | "no";
  dots: "content" | "end";
  /** For From where it is missing; "" adds none. */
  author: string;
  /** As -F has it. */
  fullName: string | undefined;
};

export type PreparedMessage =
  | { kind: "message"; content: Buffer; recipients: readonly string[] }
  | { kind: "unusable"; reason: string };

type Field = { name: string; text: string };

const FIELD = /^([!-9;-~]+)[ \t]*:/;
const RECIPIENTS = new Set(["to", "cc", "bcc"]);
const RESENT_RECIPIENTS = new Set(["resent-to", "resent-cc", "resent-bcc"]);
const HIDDEN = new Set(["bcc", "resent-bcc"]);

export function prepareMessage(input: Buffer, { fromHeader, dots, author, fullName }: MessageWishes): PreparedMessage {
  const text = ended(input.toString("latin1").replace(/\r?\n/g, "\n"), dots);
  // mbox's own separator, which mail programs still put in front.
  const lines = text.replace(/^From [^\n]*\n/, "").split("\n");
  const { fields, rest } = split(lines);
  // Whoever names the recipients apart from the header names these too: they are to stay hidden there as well.
  const kept = fields.filter(({ name }) => !HIDDEN.has(name));
  const recipients = fromHeader === "yes" ? recipientsOf(fields) : [];
  if (typeof recipients === "string") return { kind: "unusable", reason: recipients };
  if (author !== "" && !fields.some(({ name }) => name === "from")) {
    const address = octetsOf(author);
    kept.push({ name: "from", text: fullName === undefined ? `From: ${address}` : `From: ${quoted(fullName)} <${address}>` });
  }
  const header = kept.map((field) => `${field.text.replaceAll("\n", "\r\n")}\r\n`).join("");
  return { kind: "message", content: Buffer.from(`${header}\r\n${rest.join("\r\n")}`, "latin1"), recipients };
}

/** Up to a line that is a dot alone, where that is an end; with a line end. */
function ended(text: string, dots: MessageWishes["dots"]): string {
  const dot = dots === "end" ? /(?:^|\n)\.\n/.exec(text) : null;
  const whole = dot === null ? text : text.slice(0, dot.index + (dot[0].startsWith("\n") ? 1 : 0));
  return whole === "" || whole.endsWith("\n") ? whole : `${whole}\n`;
}

/** The header section; `rest` is the body, whose empty line in front is taken away, or was never there. */
function split(lines: readonly string[]): { fields: readonly Field[]; rest: readonly string[] } {
  const fields: Field[] = [];
  for (const [index, line] of lines.entries()) {
    const last = fields.at(-1);
    if (line === "") return { fields, rest: lines.slice(index + 1) };
    if (/^[ \t]/.test(line) && last !== undefined) {
      last.text += `\n${line}`;
      continue;
    }
    const name = FIELD.exec(line)?.[1];
    if (name === undefined) return { fields, rest: lines.slice(index) };
    fields.push({ name: name.toLowerCase(), text: line });
  }
  return { fields, rest: [] };
}

/** RFC 5322 §3.6.6: a message that is sent again goes to whom its Resent fields name. */
function recipientsOf(fields: readonly Field[]): readonly string[] | string {
  const names = fields.some(({ name }) => RESENT_RECIPIENTS.has(name)) ? RESENT_RECIPIENTS : RECIPIENTS;
  const found: string[] = [];
  for (const { name, text } of fields.filter((field) => names.has(field.name))) {
    const parsed = parseAddressList(Buffer.from(text.slice(text.indexOf(":") + 1), "latin1").toString());
    if (parsed.kind === "error") return `the header field ${name} has ${parsed.reason}`;
    for (const address of parsed.addresses) found.push(address);
  }
  return found;
}

/** A display name (RFC 5322 §3.2.4). */
function quoted(name: string): string {
  return `"${octetsOf(name).replace(/["\\]/g, "\\$&")}"`;
}

/** As the octets of the header are kept, one character each: else the low octet of U+010A would be a line end. Without what ends a line. */
function octetsOf(text: string): string {
  return Buffer.from(text.replace(/[\r\n\0]/g, " ")).toString("latin1");
}
