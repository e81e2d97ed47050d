/**
 * A lexical scan of TypeScript that is good enough to find imports, functions and banned names (the compiler in use has no API for it).
 * Comments are left out; a string or a piece of a template is one token; what stands inside `${...}` is code again.
 */
export type TokenKind = "word" | "number" | "string" | "template" | "regex" | "punctuator";
export type Token = { kind: TokenKind; text: string; line: number };

/** A slash after one of these begins a regular expression; after any other word, a closing bracket or a literal it divides. */
const WORDS_BEFORE_OPERAND = new Set(
  "return typeof case in of delete void throw new do else instanceof await yield satisfies as extends".split(" "),
);

const WORD = /[\p{ID_Start}$_#@][\p{ID_Continue}$\u200c\u200d]*/uy;
const NUMBER = /\.?[0-9](?:[eE][+-]|[\w.])*/y;
const PUNCTUATOR = /=>|\?\.|\.\.\.|[-+*/%&|^!<>=?]=|&&|\|\||\?\?|\+\+|--|[^\s]/y;
const QUOTED = /'(?:[^'\\\n]|\\[\s\S])*'|"(?:[^"\\\n]|\\[\s\S])*"/y;
const REGEX = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
const BLANK = /\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\//y;
const TEMPLATE_PIECE = /(?:[^`\\$]|\\[\s\S]|\$(?!\{))*(?:`|\$\{)/y;

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

function operandMayFollow(previous: Token | undefined): boolean {
  if (previous === undefined) return true;
  if (previous.kind === "word") return WORDS_BEFORE_OPERAND.has(previous.text);
  return previous.kind === "punctuator" && ![")", "]", "}", "++", "--"].includes(previous.text);
}

/** The tokens of `source` in order; throws where the text cannot be read, with the line. */
export function tokenize(source: string): readonly Token[] {
  const tokens: Token[] = [];
  /** Open braces; "template" where the closing one goes on with a template's text. */
  const braces: ("brace" | "template")[] = [];
  let at = 0;
  let line = 1;
  const take = (kind: TokenKind | "blank", text: string | undefined): boolean => {
    if (text === undefined) return false;
    if (kind !== "blank") tokens.push({ kind, text, line });
    line += text.split("\n").length - 1;
    at += text.length;
    return true;
  };
  const takeTemplate = (): void => {
    const piece = matchAt(TEMPLATE_PIECE, source, at + 1);
    if (piece === undefined) throw new Error(`line ${line}: template without an end`);
    if (piece.endsWith("${")) braces.push("template");
    take("template", source.slice(at, at + 1 + piece.length));
  };
  while (at < source.length) {
    if (take("blank", matchAt(BLANK, source, at))) continue;
    const character = source[at];
    if (character === "`" || (character === "}" && braces.at(-1) === "template")) {
      if (character === "}") braces.pop();
      takeTemplate();
      continue;
    }
    if (take("string", matchAt(QUOTED, source, at)) || take("word", matchAt(WORD, source, at))) continue;
    if (take("number", matchAt(NUMBER, source, at))) continue;
    if (character === "/" && operandMayFollow(tokens.at(-1)) && take("regex", matchAt(REGEX, source, at))) continue;
    if (character === "{") braces.push("brace");
    if (character === "}") braces.pop();
    take("punctuator", matchAt(PUNCTUATOR, source, at));
  }
  return tokens;
}

const CLOSING: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" };

/** Index of the bracket that closes the one at `open` (`${` and its end are parts of templates). Throws where there is none. */
export function closingIndex(tokens: readonly Token[], open: number): number {
  let depth = 0;
  for (let i = open; i < tokens.length; i += 1) {
    const token = tokens[i];
    if (token?.kind !== "punctuator") continue;
    if (CLOSING[token.text] !== undefined) depth += 1;
    else if (token.text === ")" || token.text === "]" || token.text === "}") depth -= 1;
    if (depth === 0) return i;
  }
  throw new Error(`line ${tokens[open]?.line}: "${tokens[open]?.text}" is not closed`);
}

export function isText(token: Token | undefined, ...texts: readonly string[]): boolean {
  return token !== undefined && token.kind !== "string" && token.kind !== "template" && texts.includes(token.text);
}
