import { createHash, type KeyObject, verify } from "node:crypto";

/**
 * A receiver's check of DKIM signatures (RFC 6376 §6, relaxed/relaxed), written apart from the signer: on octets, field by field. Gives the
 * tags of each signature with whether body hash and signature hold under the key that `keyOf` has for it.
 */
export type CheckedSignature = { tags: ReadonlyMap<string, string>; bodyHash: "holds" | "broken"; signature: "holds" | "broken" };

type Field = { name: string; raw: string };

function split(message: Buffer): { fields: Field[]; body: string } {
  const text = message.toString("latin1");
  const end = text.indexOf("\r\n\r\n");
  const fields: Field[] = [];
  for (const line of text.slice(0, end).split("\r\n")) {
    const last = fields.at(-1);
    if (/^[ \t]/.test(line) && last !== undefined) last.raw += `\r\n${line}`;
    else fields.push({ name: line.slice(0, line.indexOf(":")).trimEnd().toLowerCase(), raw: line });
  }
  return { fields, body: text.slice(end + 4) };
}

function canonicalField({ name, raw }: Field): string {
  const value = raw.slice(raw.indexOf(":") + 1).replaceAll("\r\n", "");
  return `${name}:${value.replace(/[ \t]+/g, " ").replace(/^ | $/g, "")}`;
}

function canonicalBody(body: string): string {
  const tidy = body.replace(/[ \t]+/g, " ").replace(/ (?=\r\n|$)/g, "");
  const end = tidy.replace(/(\r\n)+$/, "");
  return end === "" ? "" : `${end}\r\n`;
}

function tagsOf(raw: string): Map<string, string> {
  const list = raw.slice(raw.indexOf(":") + 1).replace(/\r\n/g, "");
  return new Map(
    list
      .split(";")
      .filter((part) => part.trim() !== "")
      .map((part) => {
        const equals = part.indexOf("=");
        return [part.slice(0, equals).trim(), part.slice(equals + 1).replace(/[ \t]+/g, "")];
      }),
  );
}

/** RFC 6376 §3.7, §5.4.2: fields from the bottom up, absent ones as nothing, and the signature's own field with an empty b=. */
function signedInput(fields: readonly Field[], own: Field, names: readonly string[]): string {
  const left = fields.filter((field) => field !== own);
  const lines: string[] = [];
  for (const name of names) {
    const at = left.findLastIndex((field) => field.name === name.toLowerCase());
    const [field] = at === -1 ? [] : left.splice(at, 1);
    if (field !== undefined) lines.push(canonicalField(field));
  }
  const stripped = own.raw.replace(/([;:]\s*b=)[^;]*/, "$1");
  return [...lines, canonicalField({ name: own.name, raw: stripped })].join("\r\n");
}

export function checkDkim(
  message: Buffer,
  keyOf: (domain: string, selector: string) => KeyObject | undefined,
): CheckedSignature[] {
  const { fields, body } = split(message);
  return fields
    .filter(({ name }) => name === "dkim-signature")
    .map((own) => {
      const tags = tagsOf(own.raw);
      const hash = createHash("sha256").update(canonicalBody(body), "latin1").digest("base64");
      const input = Buffer.from(signedInput(fields, own, (tags.get("h") ?? "").split(":")), "latin1");
      const key = keyOf(tags.get("d") ?? "", tags.get("s") ?? "");
      const octets = Buffer.from(tags.get("b") ?? "", "base64");
      const ed25519 = tags.get("a") === "ed25519-sha256";
      const signed = ed25519 ? createHash("sha256").update(input).digest() : input;
      const holds = key !== undefined && verify(ed25519 ? null : "sha256", signed, key, octets);
      return { tags, bodyHash: hash === tags.get("bh") ? "holds" : "broken", signature: holds ? "holds" : "broken" };
    });
}
