import { parseAddressList } from "../smtp/addressList.ts";
import { destinationOf, parseMailbox } from "../smtp/mailbox.ts";
import { fieldName } from "./coveredFields.ts";
import type { DkimKey } from "./signingKey.ts";

/** Whose message it is, by its From field: in A-labels and lower case. */
export type Author = { kind: "domain"; domain: string } | { kind: "unclear"; reason: string };

/** The fields of a header section, one character for each octet, without their last line ends. */
export type HeaderFields = { kind: "fields"; fields: readonly string[] } | { kind: "malformed"; reason: string };

/** `domain`: of authors, exactly; with a dot in front: all below it, for which the domain itself signs. */
export type SigningKey = { domain: string; key: DkimKey };

const FIELD = /^[!-9;-~]+[ \t]*:/;

/**
 * A header section without the empty line at its end. What is no field is not guessed at: mail programs differ in what they would make of it, and
 * the signature would be good for one of these readings only.
 */
export function headerFields(section: string): HeaderFields {
  const fields: string[] = [];
  for (const line of section.split("\r\n")) {
    if (/[\r\n]/.test(line)) return { kind: "malformed", reason: "a line of its header has a CR or LF in it" };
    const last = fields.at(-1);
    if (/^[ \t]/.test(line) && last !== undefined) fields[fields.length - 1] = `${last}\r\n${line}`;
    else if (FIELD.test(line)) fields.push(line);
    else return { kind: "malformed", reason: `line ${fields.length + 1} of its header is no header field` };
  }
  return { kind: "fields", fields };
}

/**
 * RFC 5322 §3.6: From is there once. Its addresses must be of one domain: d= can be aligned with one only (RFC 7489 §3.1.1, §6.6.1), and a
 * signature must not lend its credit to an author beside the one that it speaks for (RFC 6376 §8.15).
 */
export function authorOf(fields: readonly string[]): Author {
  const [from, ...more] = fields.filter((field) => fieldName(field) === "from");
  if (from === undefined) return { kind: "unclear", reason: "it has no From field" };
  if (more.length > 0) return { kind: "unclear", reason: `it has ${more.length + 1} From fields` };
  const value = Buffer.from(from.slice(from.indexOf(":") + 1), "latin1").toString("utf8");
  const list = parseAddressList(value);
  if (list.kind === "error") return { kind: "unclear", reason: `its From field is malformed: ${list.reason}` };
  const domains = new Set<string>();
  for (const address of list.addresses) {
    const mailbox = parseMailbox(address);
    if ("kind" in mailbox) return { kind: "unclear", reason: `its From field is malformed: ${mailbox.reason}` };
    domains.add(destinationOf(mailbox));
  }
  const [domain, ...others] = domains;
  if (domain === undefined) return { kind: "unclear", reason: "its From field names no address" };
  if (others.length > 0) return { kind: "unclear", reason: `its From field has addresses of ${domains.size} domains` };
  return { kind: "domain", domain };
}

/** Those that sign for an author of `domain`: of the entries with the domain itself, else with the longest one above it. */
export function keysFor(domain: string, keys: readonly SigningKey[]): readonly DkimKey[] {
  const matching = keys.filter(
    (entry) => entry.domain === domain || (entry.domain.startsWith(".") && domain.endsWith(entry.domain)),
  );
  const exact = matching.filter((entry) => entry.domain === domain);
  const longest = Math.max(0, ...matching.map((entry) => entry.domain.length));
  const chosen = exact.length > 0 ? exact : matching.filter((entry) => entry.domain.length === longest);
  return chosen.map(({ key }) => key);
}
