import type { Tlsa } from "../dane/tlsa.ts";
import { type EnhancedStatus, type SmtpPhase, statusOf } from "../smtp/enhancedStatus.ts";
import { type Reply, replyClass, replyText } from "../smtp/reply.ts";

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

/**
 * `text` is one sentence for the log, the queue and the DSN: what happened and, where it helps, who has to do what. `ambiguous`: the end of the
 * message was sent and nothing came back, so the peer may have it, and get it twice.
 */
export type Cause = { kind: CauseKind; text: string; host?: string; address?: string; reply?: Reply; ambiguous?: "yes" };

/** What was reached, in the words of design.md: left and right side of `wanted:got`. */
export type TlsWanted = "dane" | "dane-only" | "sts" | "pkix" | "encrypt" | "may" | "none";
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
  /** `dsn`: who reports success if the sender asked for it (RFC 3461 §5.2.2): the host that took it, or we. */
  | { kind: "delivered"; reply: Reply; security: AchievedSecurity; dsn?: "passed-on" | "ours" }
  | { kind: "deferred"; status: EnhancedStatus; cause: Cause }
  | { kind: "failed"; status: EnhancedStatus; cause: Cause };

/** One recipient after one host: whether a further host may be tried now, and what this one's word is. */
export type Verdict = { next: "other-host" | "no"; outcome: Outcome };

/** Where a connection ended before a transaction could begin. */
export type SessionStage =
  | "connect"
  | "greeting"
  | "ehlo"
  | "starttls-missing"
  | "starttls-refused"
  | "handshake"
  | "verify"
  | "auth";

/**
 * What follows where a demand on the connection is not met by any host: `deferred` (RFC 7672 §2.2: next server or delayed delivery), or
 * `failed` at once for REQUIRETLS (RFC 8689 §4.2.1).
 */
export type Unmet = "deferred" | "failed";

/** One host's part in it. It is never the last word: a further host may meet the demand, and one that was out of reach may do so later. */
function unmetOutcome(status: EnhancedStatus, cause: Cause, unmet: Unmet): Outcome {
  // RFC 8689 §4.2.1: 5.7.10, encryption needed. A server that itself speaks of a passing trouble (454, RFC 3207 §4) is asked again.
  const passing = cause.reply !== undefined && replyClass(cause.reply) === 4;
  if (unmet === "deferred" || passing) return { kind: "deferred", status, cause };
  return { kind: "failed", status: "5.7.10", cause };
}

/**
 * A session that did not come about. Also where the greeting was 5yz it is deferred: that speaks of the host, not of the recipient. The
 * server's own detail is kept.
 */
export function sessionOutcome(stage: SessionStage, cause: Omit<Cause, "kind">, unmet: Unmet): Outcome {
  switch (stage) {
    case "connect":
      return { kind: "deferred", status: "4.4.1", cause: { ...cause, kind: "connect" } };
    case "greeting":
    case "ehlo": {
      if (cause.reply === undefined) return { kind: "deferred", status: "4.4.2", cause: { ...cause, kind: "connect" } };
      const status = statusOf(stage === "greeting" ? "CONNECT" : "EHLO", cause.reply);
      return { kind: "deferred", status: `4${status.slice(1)}` as EnhancedStatus, cause: { ...cause, kind: "reply" } };
    }
    case "starttls-missing":
    case "starttls-refused":
      return unmetOutcome("4.7.4", { ...cause, kind: "tls-policy" }, unmet);
    case "handshake":
      return unmetOutcome("4.7.5", { ...cause, kind: "tls-handshake" }, unmet);
    case "verify":
      return unmetOutcome("4.7.5", { ...cause, kind: "tls-policy" }, unmet);
    case "auth":
      return { kind: "deferred", status: "4.7.5", cause: { ...cause, kind: "tls-policy" } };
    default:
      return stage satisfies never;
  }
}

/** No session, for want of something on this machine: nobody outside is to blame. */
export function localOutcome(cause: Omit<Cause, "kind">): Outcome {
  return { kind: "deferred", status: "4.3.0", cause: { ...cause, kind: "local" } };
}

/** A reply that is not 2yz, in a transaction: its status decides (RFC 3463 §2). A 4yz may be tried at the next host at once. */
export function replyOutcome(phase: SmtpPhase, reply: Reply, where: { host: string; address: string }): Verdict {
  const status = statusOf(phase, reply);
  const text = `${where.host} said to ${phase === "CONTENT" ? "the message" : phase}: ${replyText(reply)}`;
  const cause: Cause = { kind: "reply", text, ...where, reply };
  if (status.startsWith("5.")) return { next: "no", outcome: { kind: "failed", status, cause } };
  return { next: "other-host", outcome: { kind: "deferred", status: status.startsWith("4.") ? status : "4.5.0", cause } };
}

/**
 * A connection that broke in a transaction. After the final dot nobody knows whether the peer has the message (RFC 5321 §4.5.3.2.6): another
 * host now would make two of it likely, so it waits for the next attempt.
 */
export function lostOutcome(lost: { text: string; ambiguous: "yes" | "no" }, where: { host: string; address: string }): Verdict {
  const cause: Cause = { kind: "connect", text: lost.text, ...where, ...(lost.ambiguous === "yes" ? { ambiguous: "yes" } : {}) };
  return { next: lost.ambiguous === "yes" ? "no" : "other-host", outcome: { kind: "deferred", status: "4.4.2", cause } };
}

const UNSUPPORTED_STATUS = {
  // RFC 6531 §3.5
  SMTPUTF8: "5.6.7",
  // RFC 3463 §3.7: conversion required but not supported
  "8BITMIME": "5.6.3",
  SIZE: "5.3.4",
  // RFC 8689 §5
  REQUIRETLS: "5.7.30",
} as const satisfies Record<string, EnhancedStatus>;

/**
 * The host cannot take this message as it is: final, since it speaks of the message and not of the moment. Only for REQUIRETLS every host
 * is asked first (RFC 8689 §4.2.1).
 */
export function unsupportedOutcome(
  extension: keyof typeof UNSUPPORTED_STATUS,
  text: string,
  where: { host: string; address: string },
): Verdict {
  return {
    next: extension === "REQUIRETLS" ? "other-host" : "no",
    outcome: { kind: "failed", status: UNSUPPORTED_STATUS[extension], cause: { kind: "capability", text, ...where } },
  };
}

/** A host that its own policy keeps us from (RFC 7672 §2.2). Where that is not certain, since a look-up failed, it is never final. */
export function refusalOutcome(cause: Cause, unmet: Unmet): Outcome {
  if (cause.kind === "tls-policy") return unmetOutcome("4.7.5", cause, unmet);
  return { kind: "deferred", status: cause.kind === "dns" ? "4.4.3" : "4.7.5", cause };
}

/** The end of the lifetime: the recipient fails with the code of its last cause (design.md §2). */
export function expiredOutcome(last: Extract<Outcome, { kind: "deferred" }>, lifetimeHours: number): Outcome {
  const text = `given up after ${lifetimeHours} hours; at the last attempt: ${last.cause.text}`;
  return { kind: "failed", status: last.status, cause: { ...last.cause, text } };
}

/** Which of several hosts' troubles tells an operator most; security first, silence last. */
const CAUSE_RANK: Record<CauseKind, number> = {
  "tls-policy": 0,
  dnssec: 1,
  reply: 2,
  capability: 3,
  "tls-handshake": 4,
  dns: 5,
  local: 6,
  connect: 7,
  "no-such-domain": 8,
  "null-mx": 8,
  "no-address": 8,
  loop: 8,
  lifetime: 8,
};

/** Whether `candidate` says more than `current` about why a recipient had to wait. */
export function tellsMore(candidate: Cause, current: Cause): "yes" | "no" {
  return CAUSE_RANK[candidate.kind] < CAUSE_RANK[current.kind] ? "yes" : "no";
}
