import type { DomainName } from "../dns/name.ts";

/** The right side of an address: a domain (A-labels) or an address literal (RFC 5321 §4.1.3). */
export type MailDomain = { kind: "domain"; name: DomainName } | { kind: "literal"; address: string; family: 4 | 6 };

/** One address of an envelope (RFC 5321 §4.1.2, RFC 6531 §3.3). `text` is what goes into MAIL and RCPT, without angle brackets. */
export type Mailbox = { text: string; localPart: string; domain: MailDomain; needsSmtpUtf8: boolean };
