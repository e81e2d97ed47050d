/**
 * The syntax of `MAIL FROM:<path> parameters` and `RCPT TO:<path> parameters` (RFC 5321 §4.1.1.2, §4.1.1.3, §4.1.2): what stands between the
 * angle brackets, and the parameters by keyword. What they mean is decided elsewhere.
 */
export type AddressCommand = {
  kind: "parsed";
  /** Between the brackets; "" is the null reverse-path. */
  path: string;
  /** Keyword in upper case -> value; "" for a keyword without value. */
  parameters: ReadonlyMap<string, string>;
};

export type AddressCommandError = { kind: "error"; reason: string };

const VERB = { MAIL: /^MAIL[ \t]+FROM:[ \t]*/i, RCPT: /^RCPT[ \t]+TO:[ \t]*/i } as const;
/** esmtp-keyword; and a value without controls, space and `=` (RFC 5321 §4.1.2), or with UTF-8 (RFC 6531 §3.3). */
const PARAMETER = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\0-\x20=\x7f]+))?$/;

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function error(reason: string): AddressCommandError {
  return { kind: "error", reason };
}

/** A command line as text; undefined when it is not UTF-8. */
function commandText(line: Buffer): string | undefined {
  try {
    return strictUtf8.decode(line);
  } catch (problem) {
    if (problem instanceof TypeError) return undefined;
    throw problem;
  }
}

/** Index of the `>` that closes the path: one inside a quoted local part does not. -1: none. */
function closingBracket(text: string): number {
  let quoted = false;
  for (let i = 1; i < text.length; i += 1) {
    const character = text.charAt(i);
    if (quoted && character === "\\") i += 1;
    else if (character === '"') quoted = !quoted;
    else if (character === ">" && !quoted) return i;
  }
  return -1;
}

export function parseAddressCommand(verb: keyof typeof VERB, line: Buffer): AddressCommand | AddressCommandError {
  const text = commandText(line);
  if (text === undefined) return error("the command is not UTF-8");
  const start = VERB[verb].exec(text);
  if (start === null) return error(verb === "MAIL" ? "use MAIL FROM:<address>" : "use RCPT TO:<address>");
  const rest = text.slice(start[0].length).trimEnd();
  if (!rest.startsWith("<")) return error("the address must be in angle brackets");
  const end = closingBracket(rest);
  if (end === -1) return error("the closing angle bracket is missing");
  const tail = rest.slice(end + 1);
  if (tail !== "" && !tail.startsWith(" ")) return error("a space must separate address and parameters");
  const parameters = new Map<string, string>();
  for (const word of tail.split(" ").filter((part) => part !== "")) {
    const [, keyword, value] = PARAMETER.exec(word) ?? [];
    if (keyword === undefined) return error("malformed parameter");
    const key = keyword.toUpperCase();
    if (parameters.has(key)) return error(`parameter ${key} is given twice`);
    parameters.set(key, value ?? "");
  }
  return { kind: "parsed", path: rest.slice(1, end), parameters };
}
