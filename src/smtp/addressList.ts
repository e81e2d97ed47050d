/**
 * The address list of a header field (RFC 5322 §3.4): what a mail program meant to be its recipients, or its author. Comments, display names,
 * groups and folding white space are taken apart; addresses come out as written, and may be local parts without a domain.
 */
export type AddressList = { kind: "addresses"; addresses: readonly string[] } | { kind: "error"; reason: string };

type Token = { kind: "text" | "special" | "space"; text: string };

const SPACE: Token = { kind: "space", text: " " };
const SPECIALS = new Set([",", ":", ";", "<", ">", "@"]);

/** Reads the field's value, folded or not. */
export function parseAddressList(value: string): AddressList {
  const tokens = tokensOf(value.replace(/\r?\n(?=[ \t])/g, ""));
  if (typeof tokens === "string") return { kind: "error", reason: tokens };
  const addresses: string[] = [];
  let bare = "";
  let angle: string | undefined;
  let bracketed: string | undefined;
  let apart = false;
  const end = (): void => {
    const address = bracketed ?? bare;
    if (address !== "") addresses.push(address);
    bare = "";
    bracketed = undefined;
  };
  for (const { kind, text } of tokens) {
    if (kind === "space") {
      apart = true;
      continue;
    }
    if (angle !== undefined) {
      if (kind === "special" && text === ">") {
        bracketed = angle;
        angle = undefined;
      } else if (kind === "special" && text === "<") return { kind: "error", reason: "an angle bracket within angle brackets" };
      else angle = joined(angle, text, apart);
    } else if (kind === "special" && (text === "," || text === ";")) end();
    else if (bracketed !== undefined) return { kind: "error", reason: "something other than a comma behind an angle bracket" };
    else if (kind === "special" && text === "<") angle = "";
    // RFC 5322 §3.4: the name of a group is no address.
    else if (kind === "special" && text === ":") bare = "";
    else if (kind === "special" && text === ">")
      return { kind: "error", reason: "a closing angle bracket without an opening one" };
    else bare = joined(bare, text, apart);
    apart = false;
  }
  if (angle !== undefined) return { kind: "error", reason: "an angle bracket that is not closed" };
  end();
  return { kind: "addresses", addresses };
}

/**
 * White space may stand around the dots and the @ of an address (RFC 5322 §4.4). Words that it keeps apart are no address, and must not become one by
 * being put together: with the space left in, whoever judges the address refuses it.
 */
function joined(before: string, text: string, apart: boolean): string {
  const meet = !apart || before === "" || /[.@:,]$/.test(before) || /^[.@:,]$/.test(text);
  return meet ? before + text : `${before} ${text}`;
}

/** Words, quoted strings, domain literals, specials, and a space for comments and white space; or what is wrong. */
function tokensOf(text: string): Token[] | string {
  const tokens: Token[] = [];
  for (let i = 0; i < text.length; ) {
    const character = text.charAt(i);
    if (character === "(") {
      const after = behindComment(text, i);
      if (after === -1) return "a comment that is not closed";
      tokens.push(SPACE);
      i = after;
    } else if (character === '"' || character === "[") {
      const close = closing(text, i, character === '"' ? '"' : "]");
      if (close === -1) return "a quoted string or literal that is not closed";
      tokens.push({ kind: "text", text: text.slice(i, close + 1) });
      i = close + 1;
    } else {
      if (/\s/.test(character)) tokens.push(SPACE);
      else tokens.push({ kind: character === "@" || !SPECIALS.has(character) ? "text" : "special", text: character });
      i += 1;
    }
  }
  return tokens;
}

/** Comments nest (RFC 5322 §3.2.2). */
function behindComment(text: string, start: number): number {
  let depth = 0;
  for (let i = start; i < text.length; i += 1) {
    const character = text.charAt(i);
    if (character === "\\") i += 1;
    else if (character === "(") depth += 1;
    else if (character === ")") {
      depth -= 1;
      if (depth === 0) return i + 1;
    }
  }
  return -1;
}

function closing(text: string, start: number, mark: string): number {
  for (let i = start + 1; i < text.length; i += 1) {
    if (text.charAt(i) === "\\") i += 1;
    else if (text.charAt(i) === mark) return i;
  }
  return -1;
}
