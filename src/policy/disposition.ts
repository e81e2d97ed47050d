import type { Tlsa } from "../dane/tlsa.ts";
import { type ReasonChain, reasonText } from "../dnssec/securityStatus.ts";
import { type EnhancedStatus, type SmtpPhase, statusOf } from "../smtp/enhancedStatus.ts";
import { type Reply, replyText } from "../smtp/reply.ts";

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
  /** `dsn`: who reports success if the sender asked for it (RFC 3461 §5.2.2): the host that took it, or we. */
  | { kind: "delivered"; reply: Reply; security: AchievedSecurity; dsn?: "passed-on" | "ours" }
  | { kind: "deferred"; status: EnhancedStatus; cause: Cause }
  | { kind: "failed"; status: EnhancedStatus; cause: Cause };

/** One recipient after one host: `next` may be tried at a further host now, `final` is what this attempt yields. */
export type Verdict = { next: "other-host" | "no"; outcome: Outcome };

/**
 * Whether an unusable look-up is a DNSSEC matter (deferred 4.7.5) or one of reachability (4.4.3). The innermost reason decides: a chain
 * that broke because a server did not answer is no forgery.
 */
export function lookupFailure(reasons: ReasonChain): {
  cause: "dns" | "dnssec";
  dane: "bogus" | "lookup-failed";
  status: EnhancedStatus;
} {
  const code = reasons[reasons.length - 1]?.code;
  const reachability = code === "lookup-failed" || code === "no-trust-anchor";
  return reachability
    ? { cause: "dns", dane: "lookup-failed", status: "4.4.3" }
    : { cause: "dnssec", dane: "bogus", status: "4.7.5" };
}

/** No host to deliver to: design.md §3's rows for the MX look-up and for addresses. */
export type Unroutable =
  | { kind: "lookup"; what: string; reasons: ReasonChain }
  | { kind: "noSuchDomain"; domain: string }
  | { kind: "nullMx"; domain: string }
  | { kind: "noAddress"; domain: string }
  | { kind: "loop"; domain: string; because: string };

/** RFC 5321 §5.1, RFC 7505 §4.1: what an unroutable destination means for each recipient. A failed look-up never bounces. */
export function unroutableOutcome(trouble: Unroutable): Outcome {
  switch (trouble.kind) {
    case "lookup": {
      const failure = lookupFailure(trouble.reasons);
      return {
        kind: "deferred",
        status: failure.status,
        cause: { kind: failure.cause, text: `${trouble.what}: ${reasonText(trouble.reasons)}` },
      };
    }
    case "noSuchDomain":
      return {
        kind: "failed",
        status: "5.1.2",
        cause: { kind: "no-such-domain", text: `the domain ${trouble.domain} does not exist` },
      };
    case "nullMx":
      return {
        kind: "failed",
        status: "5.1.10",
        cause: { kind: "null-mx", text: `the domain ${trouble.domain} does not accept mail (null MX)` },
      };
    case "noAddress":
      return {
        kind: "failed",
        status: "5.4.4",
        cause: { kind: "no-address", text: `no mail host of ${trouble.domain} has an address` },
      };
    case "loop":
      return {
        kind: "failed",
        status: "5.4.6",
        cause: { kind: "loop", text: `mail for ${trouble.domain} would loop: ${trouble.because}` },
      };
    default:
      return trouble satisfies never;
  }
}

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
 * A session that did not come about is always deferred (RFC 7672 §2.2: next server or delayed delivery), also where the greeting was 5yz:
 * that speaks of the host, not of the recipient.
 */
export function sessionOutcome(stage: SessionStage, cause: Omit<Cause, "kind">): Outcome {
  switch (stage) {
    case "connect":
      return { kind: "deferred", status: "4.4.1", cause: { ...cause, kind: "connect" } };
    case "greeting":
    case "ehlo":
      return { kind: "deferred", status: "4.4.2", cause: { ...cause, kind: cause.reply === undefined ? "connect" : "reply" } };
    case "starttls-missing":
    case "starttls-refused":
      return { kind: "deferred", status: "4.7.4", cause: { ...cause, kind: "tls-policy" } };
    case "handshake":
      return { kind: "deferred", status: "4.7.5", cause: { ...cause, kind: "tls-handshake" } };
    case "verify":
    case "auth":
      return { kind: "deferred", status: "4.7.5", cause: { ...cause, kind: "tls-policy" } };
    default:
      return stage satisfies never;
  }
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
  const cause: Cause = { kind: "connect", text: lost.text, ...where };
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

/** The host cannot take this message as it is; that is final, since it speaks of the message and not of the moment. */
export function unsupportedOutcome(
  extension: keyof typeof UNSUPPORTED_STATUS,
  text: string,
  where: { host: string; address: string },
): Verdict {
  return {
    next: "no",
    outcome: { kind: "failed", status: UNSUPPORTED_STATUS[extension], cause: { kind: "capability", text, ...where } },
  };
}

/** A host that its own policy keeps us from: always deferred (RFC 7672 §2.2). */
export function refusalOutcome(cause: Cause): Outcome {
  return { kind: "deferred", status: cause.kind === "dns" ? "4.4.3" : "4.7.5", cause };
}

/** Several hosts without a usable address: `failed` wins over `refused`, that over `noAddress`, since only a proof of absence may bounce. */
export type HostAbsence =
  | { kind: "noAddress" }
  | { kind: "refused"; addresses: readonly string[] }
  | { kind: "failed"; reasons: ReasonChain };

/** What it means that no host of `domain` has an address to connect to. */
export function absenceOutcome(domain: string, absences: readonly { host: string; why: HostAbsence }[]): Outcome {
  let refused: string | undefined;
  for (const { host, why } of absences) {
    if (why.kind === "failed")
      return unroutableOutcome({ kind: "lookup", what: `the addresses of ${host} are not known`, reasons: why.reasons });
    if (why.kind === "refused")
      refused = `${host} has only addresses that point back to this machine or network: ${why.addresses.slice(0, 3).join(", ")}`;
  }
  if (refused !== undefined) return unroutableOutcome({ kind: "loop", domain, because: refused });
  return unroutableOutcome({ kind: "noAddress", domain });
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
