import type { Tlsa } from "../dane/tlsa.ts";
import type { EnhancedStatus } from "../smtp/enhancedStatus.ts";
import type { Reply } from "../smtp/reply.ts";

/** Where the trouble lies; the first word an operator reads. */
export type CauseKind =
  | "dns" // a look-up failed: SERVFAIL, timeout
  | "dnssec" // a look-up was bogus
  | "no-such-domain"
  | "null-mx"
  | "no-address"
  | "loop" // addresses refused by allowLoopback, or too many hops
  | "connect" // no TCP connection, or it broke before or between commands
  | "tls-policy" // what the policy demands was not there: no STARTTLS, no match, DANE or STS refused
  | "tls-handshake"
  | "reply" // the peer said 4yz or 5yz
  | "capability" // the peer lacks what the message needs (SMTPUTF8, SIZE, REQUIRETLS)
  | "lifetime" // given up after delivery.retry.lifetimeHours
  | "local"; // our own fault: configuration, disk

/** `text` is one sentence for the log, the queue and the DSN: what happened and, where it helps, who has to do what. */
export type Cause = { kind: CauseKind; text: string; host?: string; address?: string; reply?: Reply };

/** What was reached, in the words of design.md: left and right side of `wanted:got`. */
export type TlsWanted = "dane" | "dane-only" | "sts" | "encrypt" | "may" | "none";
export type TlsGot = TlsWanted | "halfdane" | "nocertmatch" | "nostarttls" | "notls" | "notlsa" | "noconnect";

/** Label `outcome` of dane_outcomes_total and field `dane` of the delivery event; closed. */
export const DANE_OUTCOMES = [
  "authenticated",
  "halfdane",
  "unusable",
  "mismatch",
  "starttls-missing",
  "handshake-failed",
  "bogus",
  "lookup-failed",
  "insecure",
  "no-tlsa",
  "address-literal",
  "exempt",
  "not-tried",
] as const;
export type DaneOutcome = (typeof DANE_OUTCOMES)[number];

/** What protected one delivery, as evidence for an auditor. */
export type AchievedSecurity = {
  tls: string;
  dane: DaneOutcome;
  protocol?: string;
  cipher?: string;
  group?: string;
  matched?: { record: Tlsa; depth: number };
};

/** Per recipient, persisted. */
export type Outcome =
  | { kind: "delivered"; reply: Reply; security: AchievedSecurity }
  | { kind: "deferred"; status: EnhancedStatus; cause: Cause }
  | { kind: "failed"; status: EnhancedStatus; cause: Cause };
