/**
 * SASLprep (RFC 4013), which RFC 4616 §2 wants for user names and passwords: other spaces become a space, what is commonly mapped to nothing
 * goes, NFKC; controls, private use, surrogates and unassigned code points are refused. Its rule for right-to-left text (RFC 4013 §2.4) is not
 * checked: it guards against names that look alike, and here names are made by the operator.
 */
const MAX_OCTETS = 1024;
/** RFC 3454 C.1.2. */
const OTHER_SPACES = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g;
/** RFC 3454 B.1. */
const MAPPED_TO_NOTHING = /\u00ad|\u034f|\u1806|[\u180b-\u180d]|[\u200b-\u200d]|\u2060|[\ufe00-\ufe0f]|\ufeff/g;
/** RFC 3454 C.2 to C.9, and code points that are unassigned now. */
const PROHIBITED = new RegExp(
  [
    "[\\p{Cc}\\p{Cs}\\p{Co}\\p{Cn}]",
    "\\u0340|\\u0341|\\u06dd|\\u070f|\\u180e|\\u200e|\\u200f|[\\u2028-\\u202e]|[\\u2061-\\u2063]|[\\u206a-\\u206f]",
    "[\\u2ff0-\\u2ffb]|[\\ufff9-\\ufffd]|[\\u{1d173}-\\u{1d17a}]|\\u{e0001}|[\\u{e0020}-\\u{e007f}]",
  ].join("|"),
  "u",
);

/** The prepared form; undefined when there is none, when it is empty, or when it is too long. */
export function saslPrepared(text: string): string | undefined {
  if (Buffer.byteLength(text) > MAX_OCTETS) return undefined;
  const prepared = text
    .replace(OTHER_SPACES, (space) => (space === "\u200b" ? "" : " "))
    .replace(MAPPED_TO_NOTHING, "")
    .normalize("NFKC");
  return prepared === "" || PROHIBITED.test(prepared) ? undefined : prepared;
}
