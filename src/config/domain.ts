import { isIP } from "node:net";
import { domainToASCII } from "node:url";
import { splitEndpoint } from "./address.ts";
import { problem, shown, textual, type ValueType, value } from "./value.ts";

/** Domain names in settings: A-labels or U-labels (RFC 5890) as written, A-labels in lower case and without a trailing dot as used. */

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
const MAX_NAME_CHARACTERS = 253;
/** What the URL host parser behind domainToASCII would take as syntax of its own. */
const URL_SYNTAX = /[\s%/:?#@[\]\\]/;

/** The A-label form; undefined where `text` is no domain name. */
function asciiName(text: string): string | undefined {
  if (URL_SYNTAX.test(text)) return undefined;
  const bare = text.endsWith(".") ? text.slice(0, -1) : text;
  // An underscore is no host name character, and yet DNS names have it; domainToASCII lets it pass and gives "" for what it refuses.
  const ascii = domainToASCII(bare);
  if (ascii === "" || ascii.length > MAX_NAME_CHARACTERS || isIP(ascii) !== 0) return undefined;
  return ascii.split(".").every((label) => LABEL.test(label)) ? ascii : undefined;
}

function nameType(words: string, read: (text: string) => string | undefined): ValueType<string> {
  return textual(words, (text) => {
    const found = read(text);
    return found === undefined ? "no" : value(found);
  });
}

export const domainName: ValueType<string> = nameType("a domain name", asciiName);

/** A zone: a domain name, or "." for the root. */
export const zoneName: ValueType<string> = nameType("a domain name", (text) => (text === "." ? "." : asciiName(text)));

/** Recipient domains: one, or with a dot in front all of its subdomains. */
export const domainPattern: ValueType<string> = nameType("a domain, or .domain for its subdomains", readPattern);

function readPattern(text: string): string | undefined {
  if (!text.startsWith(".")) return asciiName(text);
  const name = asciiName(text.slice(1));
  return name === undefined ? undefined : `.${name}`;
}

/** As `domainPattern`, and "*" for every domain. */
export const routedDomain: ValueType<string> = nameType('a domain, .domain for its subdomains, or "*"', (text) =>
  text === "*" ? "*" : readPattern(text),
);

/** `example.org[:port]` (its MX hosts), `[host.example.org][:port]`, `[192.0.2.1][:port]` (no MX look-up). */
export const nextHop: ValueType<string> = textual("host, host:port, [host], [host]:port or [address]:port", (text) => {
  if (isIP(text) !== 0 || splitEndpoint(text)?.address.includes(".")) {
    return problem(`${shown(text)} is an address: write it in brackets, such as [192.0.2.1]:25`);
  }
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::([0-9]{1,5}))?$/.exec(text);
  const port = match?.[3] === undefined ? 25 : Number(match[3]);
  if (match === null || port < 1 || port > 65535) return "no";
  const suffix = match[3] === undefined ? "" : `:${port}`;
  if (match[1] === undefined) {
    const domain = asciiName(match[2] ?? "");
    return domain === undefined ? "no" : value(`${domain}${suffix}`);
  }
  const address = match[1].replace(/^ipv6:/i, "");
  if (isIP(address) !== 0) return value(`[${address.toLowerCase()}]${suffix}`);
  const host = asciiName(match[1]);
  return host === undefined ? "no" : value(`[${host}]${suffix}`);
});
