import { withoutWhiteSpace } from "./whiteSpace.ts";

/** The TXT RRset at `_mta-sts.<policy domain>` (RFC 8461 §3.1): whether the domain has a policy, and which version of it. */
export type StsRecord =
  | { kind: "record"; id: string }
  /** No record that is about MTA-STS at all. */
  | { kind: "absent" }
  /** There is something, and it is not exactly one valid record: counts as no policy, but its operator would like to know. */
  | { kind: "unusable"; reason: string };

/** RFC 8461 §3.1: what does not begin so is some other TXT record. Its ABNF allows white space before the semicolon. */
const VERSION = /^v=STSv1[ \t]*;/;
const ID = /^id=[A-Za-z0-9]{1,32}$/;
/** sts-extension; a field that is called `id` and is no sts-id is none either. */
const EXTENSION = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[\x21-\x3a\x3c\x3e-\x7e]+$/;

/** Reads all TXT records of the name; each is the character-strings that it holds. */
export function readStsRecords(records: readonly (readonly Buffer[])[]): StsRecord {
  // RFC 8461 §3.1: several strings are one text, without spaces between. Octets beyond ASCII match nothing below.
  const texts = records.map((strings) => Buffer.concat(strings).toString("latin1")).filter((text) => VERSION.test(text));
  const [text] = texts;
  if (text === undefined) return { kind: "absent" };
  if (texts.length > 1) return { kind: "unusable", reason: `${texts.length} MTA-STS records, where there must be one` };
  return readFields(text);
}

function readFields(text: string): StsRecord {
  const [, ...parts] = text.split(";");
  const fields = parts.map(withoutWhiteSpace);
  const last = fields.pop() ?? "";
  // One delimiter may end the record, with white space around it; white space alone may not.
  if (!text.endsWith(last)) return { kind: "unusable", reason: "white space at the end" };
  if (last !== "") fields.push(last);
  // RFC 8461 §3.2: of a field that is there twice the first counts.
  let id: string | undefined;
  for (const field of fields) {
    const named = field.startsWith("id=");
    if (!(named ? ID : EXTENSION).test(field))
      return { kind: "unusable", reason: `malformed field ${JSON.stringify(shown(field))}` };
    if (named) id ??= field.slice("id=".length);
  }
  return id === undefined ? { kind: "unusable", reason: "the field id is missing" } : { kind: "record", id };
}

const MAX_SHOWN_CHARACTERS = 60;

function shown(field: string): string {
  return field.length > MAX_SHOWN_CHARACTERS ? `${field.slice(0, MAX_SHOWN_CHARACTERS)}..` : field;
}
