/**
 * Which header fields a signature covers (RFC 6376 §5.4). Sealed: listed in h= once more than the field is there, so that another one of the
 * name that is added on the way breaks the signature (RFC 6376 §8.15).
 */
export type SignedField = { name: string; sealed: "always" | "if-present" | "never" };

/** `names`: h=; `fields`: what they stand for, absent ones left out. */
export type CoveredFields = { names: readonly string[]; fields: readonly string[] };

/**
 * What is covered of submitted mail: what readers see and answer to, and what says how the content is read (RFC 6376 §5.4, §5.4.1). What mail
 * servers add by themselves where it is missing is sealed only if it is there. Never what is added on the way: Received, Return-Path.
 */
export const FIELDS_OF_MAIL: readonly SignedField[] = [
  { name: "From", sealed: "always" },
  { name: "To", sealed: "always" },
  { name: "Subject", sealed: "always" },
  { name: "Date", sealed: "always" },
  ...["Cc", "Reply-To", "Sender", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"].map(
    (name): SignedField => ({ name, sealed: "if-present" }),
  ),
  ...["In-Reply-To", "References"].map((name): SignedField => ({ name, sealed: "never" })),
  // RFC 2369, RFC 2919; RFC 8058 §4 requires the last two to be covered.
  ...["Id", "Help", "Subscribe", "Post", "Owner", "Archive", "Unsubscribe", "Unsubscribe-Post"].map(
    (what): SignedField => ({ name: `List-${what}`, sealed: "never" }),
  ),
];

/** RFC 6376 §5.4.2: of fields with the same name the last is signed first; a name beyond them is signed as the null string (§5.4). */
export function coveredFields(header: readonly string[], signed: readonly SignedField[]): CoveredFields {
  const present = new Map<string, string[]>();
  for (const field of header) {
    const name = fieldName(field);
    const same = present.get(name);
    if (same === undefined) present.set(name, [field]);
    else same.push(field);
  }
  const names: string[] = [];
  const fields: string[] = [];
  for (const { name, sealed } of signed) {
    const found = present.get(name.toLowerCase()) ?? [];
    for (const field of found.toReversed()) {
      names.push(name);
      fields.push(field);
    }
    if (sealed === "always" || (sealed === "if-present" && found.length > 0)) names.push(name);
  }
  return { names, fields };
}

/** In lower case. */
export function fieldName(field: string): string {
  return field
    .slice(0, field.indexOf(":"))
    .replace(/[ \t]+$/, "")
    .toLowerCase();
}
