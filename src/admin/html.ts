/**
 * Markup that nothing from outside can break: what a template interpolates is escaped, unless it is markup that a template made. Only in element
 * content and in quoted attributes; no template here has a place for text in a script, a style, a URL's scheme or an unquoted attribute.
 */
export class Html {
  readonly #markup: string;

  constructor(parts: TemplateStringsArray, values: readonly HtmlValue[]) {
    this.#markup = parts.map((part, index) => part + (index < values.length ? markupOf(values[index]) : "")).join("");
  }

  get markup(): string {
    return this.#markup;
  }
}

/** Markup that this program wrote: in another of its processes, or as a style sheet. */
export function ownMarkup(markup: string): Html {
  return new Html(Object.assign([markup], { raw: [markup] }), []);
}

export type HtmlValue = string | number | undefined | Html | readonly Html[];

export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return new Html(parts, values);
}

function markupOf(value: HtmlValue): string {
  if (value === undefined) return "";
  if (value instanceof Html) return value.markup;
  if (typeof value === "number") return String(value);
  return typeof value === "string" ? escaped(value) : value.map(markupOf).join("");
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

function escaped(text: string): string {
  return visible(text).replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}

/** Control and format characters (marks of direction, invisible ones, tags), line separators, and letters that look like nothing. */
const HIDING = /\u034f|[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]/gu;
/** More marks on one letter than any script has: they would be drawn over the lines above. */
const STACK = /(\p{M}{4})\p{M}+/gu;

/** Without what could hide, turn or cover what is written, and without halves of characters. */
function visible(text: string): string {
  return text.toWellFormed().replace(HIDING, "\ufffd").replace(STACK, "$1\ufffd");
}

/** The beginning of a sentence, at most `limit` characters, cut between words where that is possible. */
export function beginning(text: string, limit: number): string {
  const characters = [...text];
  if (characters.length <= limit) return text;
  const cut = characters.slice(0, limit - 1).join("");
  const space = cut.lastIndexOf(" ");
  return `${space > limit / 2 ? cut.slice(0, space) : cut}…`;
}

/** A name or a digest, at most `limit` characters, the middle left out: both its ends tell something. */
export function shortened(text: string, limit: number): string {
  const characters = [...text];
  if (characters.length <= limit) return text;
  const tail = Math.floor((limit - 1) / 2);
  return `${characters.slice(0, limit - 1 - tail).join("")}…${tail === 0 ? "" : characters.slice(-tail).join("")}`;
}
