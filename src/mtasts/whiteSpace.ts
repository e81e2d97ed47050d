/** WSP of RFC 5234: space and tab. By hand, since an expression for it takes quadratic time on what an attacker may send. */
function isWhiteSpace(text: string, at: number): boolean {
  return text[at] === " " || text[at] === "\t";
}

/** `text` without WSP before it and behind it. */
export function withoutWhiteSpace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isWhiteSpace(text, start)) start += 1;
  while (end > start && isWhiteSpace(text, end - 1)) end -= 1;
  return text.slice(start, end);
}
