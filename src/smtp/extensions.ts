import type { Reply } from "./reply.ts";

/** What a server announced: EHLO keyword in upper case -> its parameters as one text ("" for none). */
export type Extensions = ReadonlyMap<string, string>;

export const NO_EXTENSIONS: Extensions = new Map();

/** Keyword and parameters of RFC 5321 §4.1.1.1: `ehlo-line = ehlo-keyword *( SP ehlo-param )`. */
const EHLO_LINE = /^([A-Za-z0-9][A-Za-z0-9-]*)(?: +(.*?))? *$/;

/** The extensions of a positive EHLO reply. Its first line is the server's name; a line that is no keyword announces nothing. */
export function extensionsOf(reply: Reply): Extensions {
  const extensions = new Map<string, string>();
  for (const line of reply.lines.slice(1)) {
    const match = EHLO_LINE.exec(line);
    const keyword = match?.[1]?.toUpperCase();
    if (keyword !== undefined && !extensions.has(keyword)) extensions.set(keyword, match?.[2] ?? "");
  }
  return extensions;
}

/** RFC 1870 §4: the largest message in octets; undefined when SIZE is not announced, or without a limit (0, or no number). */
export function announcedSizeLimit(extensions: Extensions): number | undefined {
  const parameter = extensions.get("SIZE");
  if (parameter === undefined || !/^\d{1,20}$/.test(parameter)) return undefined;
  const limit = Number(parameter);
  return limit === 0 ? undefined : limit;
}

/** RFC 4954 §3: the mechanisms of AUTH, in upper case. */
export function announcedMechanisms(extensions: Extensions): ReadonlySet<string> {
  const words = (extensions.get("AUTH") ?? "").toUpperCase().split(/ +/);
  return new Set(words.filter((word) => word !== ""));
}
