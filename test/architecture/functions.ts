import { closingIndex, isText, type Token, tokenize } from "./tokens.ts";

/** A function, method or arrow function, its lines counted from the line of its parameter list to the line of its last bracket. */
export type FunctionSpan = { name: string; line: number; lines: number };

const CONTROL = new Set(["if", "for", "while", "switch", "catch", "with", "return", "await", "typeof", "new"]);
const TYPE_PREFIX = ["readonly", "keyof", "typeof", "unique", "asserts", "infer", "new", "|", "&", "-"];
const TYPE_JOINER = ["|", "&", "=>", "is", "extends", "?", ":"];

/** Index behind `<...>` that opens at `open`; `=>` inside does not close it. */
function behindAngles(tokens: readonly Token[], open: number): number {
  let depth = 0;
  for (let i = open; i < tokens.length; i += 1) {
    if (isText(tokens[i], "<")) depth += 1;
    else if (isText(tokens[i], ">")) depth -= 1;
    else if (isText(tokens[i], "(", "[", "{")) i = closingIndex(tokens, i);
    if (depth === 0) return i + 1;
  }
  return tokens.length;
}

/** Index behind one operand of a type: a name with arguments, a literal, a bracket. `at` itself where there is none. */
function behindTypeOperand(tokens: readonly Token[], at: number): number {
  let i = at;
  while (isText(tokens[i], ...TYPE_PREFIX)) i += 1;
  const token = tokens[i];
  if (token === undefined) return at;
  if (isText(token, "{", "(", "[")) i = closingIndex(tokens, i) + 1;
  else if (token.kind === "punctuator" || token.kind === "regex") return at;
  else i += 1;
  while (isText(tokens[i], ".", "[", "<")) {
    if (isText(tokens[i], ".")) i += 2;
    else if (isText(tokens[i], "[")) i = closingIndex(tokens, i) + 1;
    else i = behindAngles(tokens, i);
  }
  return i;
}

/** Index of the `{` of the body that follows a parameter list closed at `close`; undefined where this was no function's list. */
function bodyAfter(tokens: readonly Token[], close: number): number | undefined {
  if (isText(tokens[close + 1], "{")) return close + 1;
  if (!isText(tokens[close + 1], ":")) return undefined;
  let i = close + 2;
  for (;;) {
    const next = behindTypeOperand(tokens, i);
    if (next === i) return undefined;
    if (isText(tokens[next], "{")) return next;
    if (!isText(tokens[next], ...TYPE_JOINER)) return undefined;
    i = next + 1;
  }
}

function endsOperand(token: Token | undefined): boolean {
  return token !== undefined && (token.kind !== "punctuator" || isText(token, ")", "]", "}", ">"));
}

/** Index of the last token of an arrow function whose `=>` stands at `arrow`. */
function endOfArrow(tokens: readonly Token[], arrow: number): number {
  if (isText(tokens[arrow + 1], "{")) return closingIndex(tokens, arrow + 1);
  let i = arrow + 1;
  for (; i < tokens.length; i += 1) {
    if (isText(tokens[i], ",", ";", ")", "]", "}")) return i - 1;
    // Behind an operand no expression has a brace: this was the arrow of a return type, `(): (a: B) => C {`, and the body is another's.
    if (isText(tokens[i], "{") && endsOperand(tokens[i - 1])) return i - 1;
    if (isText(tokens[i], "(", "[", "{")) i = closingIndex(tokens, i);
  }
  return tokens.length - 1;
}

function nameBefore(tokens: readonly Token[], open: number): string {
  let i = open - 1;
  for (let depth = 0; isText(tokens[i], ">") || depth > 0; i -= 1) {
    if (isText(tokens[i], ">")) depth += 1;
    if (isText(tokens[i], "<")) depth -= 1;
    if (tokens[i] === undefined) break;
  }
  const before = tokens[i];
  return before?.kind === "word" && !CONTROL.has(before.text) ? before.text : "(anonymous)";
}

/** Every function of `source`, outer and inner. */
export function functionsOf(source: string): readonly FunctionSpan[] {
  const tokens = tokenize(source);
  const spans: FunctionSpan[] = [];
  const add = (name: string, first: number, last: number): void => {
    const line = tokens[first]?.line ?? 0;
    const end = tokens[last];
    const endLine = (end?.line ?? line) + (end === undefined ? 0 : end.text.split("\n").length - 1);
    spans.push({ name, line, lines: endLine - line + 1 });
  };
  tokens.forEach((token, i) => {
    if (isText(token, "=>")) {
      add("(arrow)", i, endOfArrow(tokens, i));
      return;
    }
    if (!isText(token, "(")) return;
    const before = tokens[i - 1];
    if (before?.kind === "word" && CONTROL.has(before.text)) return;
    if (isText(before, "await") && isText(tokens[i - 2], "for")) return;
    const body = bodyAfter(tokens, closingIndex(tokens, i));
    if (body !== undefined) add(nameBefore(tokens, i), i, closingIndex(tokens, body));
  });
  return spans;
}
