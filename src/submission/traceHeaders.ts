import { isIPv6 } from "node:net";
import { parseMailDomain } from "../smtp/mailbox.ts";

/** What is added at the top of a message: Received (RFC 5321 §4.4), and Date and Message-ID where they are missing (RFC 6409 §8.2, §8.3). */
export type Arrival = {
  /** Argument of HELO or EHLO, as given. */
  helo: string;
  /** Address of the client, without brackets. */
  address: string;
  protocol: "SMTP" | "ESMTP";
  secure: boolean;
  authenticated: boolean;
  smtpUtf8: boolean;
};

export type TraceFacts = {
  arrival: Arrival;
  /** Our own name. */
  hostname: string;
  id: string;
  /** Shown only if it is the only one: the others are not its business (RFC 5321 §7.6). */
  recipients: readonly string[];
  now: number;
  hasDate: boolean;
  hasMessageId: boolean;
  /** No header section follows: the content is the body, behind an empty line. */
  headerAbsent: boolean;
};

function literal(address: string): string {
  return address.includes(":") && isIPv6(address) ? `[IPv6:${address}]` : `[${address}]`;
}

/** The client's name if it is a domain or a literal, and ASCII; else its address: what a client says must not write our header for us. */
function fromDomain(helo: string, address: string): string {
  const acceptable = /^[!-~]+$/.test(helo) && parseMailDomain(helo).kind !== "error";
  return acceptable ? helo : literal(address);
}

/** RFC 3848, RFC 6531 §4.3: the names registered for `with`. */
function withProtocol({ protocol, secure, authenticated, smtpUtf8 }: Arrival): string {
  const base = smtpUtf8 ? "UTF8SMTP" : protocol;
  if (base === "SMTP") return base;
  return `${base}${secure ? "S" : ""}${authenticated ? "A" : ""}`;
}

/** RFC 5322 §3.3, in UTC. */
export function dateTime(now: number): string {
  return new Date(now).toUTCString().replace("GMT", "+0000");
}

/** The lines to put before the content, each with CRLF. */
export function traceHeaders(facts: TraceFacts): string {
  const { arrival, hostname, id, recipients, now } = facts;
  const date = dateTime(now);
  const [only, ...others] = recipients;
  const forClause = only !== undefined && others.length === 0 ? `\r\n\tfor <${only}>` : "";
  const from = `${fromDomain(arrival.helo, arrival.address)} (${literal(arrival.address)})`;
  const received = `Received: from ${from}\r\n\tby ${hostname} with ${withProtocol(arrival)} id ${id}${forClause};\r\n\t${date}\r\n`;
  const dateField = facts.hasDate ? "" : `Date: ${date}\r\n`;
  const messageId = facts.hasMessageId ? "" : `Message-ID: <${id}@${hostname}>\r\n`;
  return `${received}${dateField}${messageId}${facts.headerAbsent ? "\r\n" : ""}`;
}
