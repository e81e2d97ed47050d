import { closingIndex, isText, type Token, tokenize } from "./tokens.ts";

/** One import or re-export. `names` are the imported names, `*` for a namespace, `default` for a default import; empty: side effect. */
export type Import = {
  specifier: string;
  form: "import" | "dynamic" | "re-export";
  /** Only types come through: nothing of the other module runs. */
  typeOnly: boolean;
  names: readonly string[];
  line: number;
};

function unquote(token: Token | undefined): string {
  return token?.kind === "string" ? token.text.slice(1, -1) : "(not a constant)";
}

/** The names between `import` or `export` at `start` and the specifier's string at `end`; `type` alone is no name. */
function namesBetween(tokens: readonly Token[], start: number, end: number): { names: string[]; typeOnly: boolean } {
  const names: string[] = [];
  const typeOnly = isText(tokens[start + 1], "type") && !isText(tokens[start + 2], "from", ",");
  const open = tokens.findIndex((token, i) => i > start && i < end && isText(token, "{"));
  const first = typeOnly ? start + 2 : start + 1;
  if (isText(tokens[first], "*")) names.push("*");
  else if (tokens[first]?.kind === "word") names.push("default");
  if (open === -1) return { names, typeOnly };
  const close = closingIndex(tokens, open);
  let elements = 0;
  let typeElements = 0;
  for (let i = open + 1; i < close; i += 1) {
    elements += 1;
    if (isText(tokens[i], "type") && tokens[i + 1]?.kind === "word" && !isText(tokens[i + 1], "as")) {
      typeElements += 1;
      i += 1;
    }
    names.push(tokens[i]?.text ?? "");
    while (i < close && !isText(tokens[i], ",")) i += 1;
  }
  return { names, typeOnly: typeOnly || (elements > 0 && elements === typeElements && first === open) };
}

/** Every import, dynamic import and re-export of `source`. */
export function importsOf(source: string): readonly Import[] {
  const tokens = tokenize(source);
  const found: Import[] = [];
  tokens.forEach((token, i) => {
    if (token.kind !== "word" || isText(tokens[i - 1], ".")) return;
    if (token.text === "import" && isText(tokens[i + 1], "(")) {
      const text = unquote(tokens[i + 2]);
      // `import("x").T` in a type cannot be told from a dynamic import here: both count as running the module.
      found.push({ specifier: text, form: "dynamic", typeOnly: false, names: ["*"], line: token.line });
    } else if (token.text === "import" && !isText(tokens[i + 1], ".")) {
      const end = tokens.findIndex((other, j) => j > i && other.kind === "string");
      found.push({ specifier: unquote(tokens[end]), form: "import", ...namesBetween(tokens, i, end), line: token.line });
    } else if (token.text === "export") {
      const first = isText(tokens[i + 1], "type") ? i + 2 : i + 1;
      const behind = isText(tokens[first], "{") ? closingIndex(tokens, first) + 1 : first + 1;
      const from = isText(tokens[first], "*") && isText(tokens[behind], "as") ? behind + 2 : behind;
      if (!isText(tokens[first], "{", "*") || !isText(tokens[from], "from")) return;
      found.push({
        specifier: unquote(tokens[from + 1]),
        form: "re-export",
        ...namesBetween(tokens, i, from),
        line: token.line,
      });
    }
  });
  return found;
}
