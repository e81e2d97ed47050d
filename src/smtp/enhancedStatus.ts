import { type Reply, replyClass } from "./reply.ts";

/** RFC 3463: class.subject.detail, as text, class 2, 4 or 5. */
export type EnhancedStatus = `${2 | 4 | 5}.${number}.${number}`;

/** What the client was doing when the reply came; CONTENT is the message itself and its final dot. */
export type SmtpPhase = "CONNECT" | "EHLO" | "STARTTLS" | "AUTH" | "MAIL" | "RCPT" | "DATA" | "CONTENT";

type Detail = `${number}.${number}`;

/** subject.detail by reply code (RFC 5321 §4.2.2, RFC 3463 §3), for servers that give no status of their own. "0.0": nothing is known. */
const DETAIL_BY_CODE: Readonly<Record<number, Detail>> = {
  421: "3.2",
  450: "2.0",
  451: "3.0",
  452: "3.1",
  454: "7.0",
  455: "5.4",
  500: "5.2",
  501: "5.4",
  502: "5.1",
  503: "5.1",
  504: "5.4",
  521: "3.2",
  530: "7.0",
  534: "7.9",
  535: "7.8",
  538: "7.11",
  550: "0.0",
  551: "1.6",
  552: "3.4",
  553: "1.0",
  554: "0.0",
  555: "5.4",
  556: "1.10",
};

/** Where the same code means something more exact in one phase. */
const DETAIL_BY_PHASE: Readonly<Partial<Record<SmtpPhase, Readonly<Record<number, Detail>>>>> = {
  CONNECT: { 554: "3.2" },
  MAIL: { 501: "1.7", 550: "7.1", 553: "1.7" },
  RCPT: { 452: "5.3", 501: "1.3", 550: "1.1", 553: "1.3" },
  CONTENT: { 550: "7.1", 554: "6.0" },
};

/**
 * RFC 5321 §4.5.3.1.10: 552 to RCPT is RFC 821's code for "too many recipients" and treated as 452, unless the server's own status says
 * that it means something else (5.2.2, mailbox full).
 */
function isTooManyRecipients(phase: SmtpPhase, reply: Reply): boolean {
  return phase === "RCPT" && reply.code === 552 && (reply.enhanced === undefined || reply.enhanced === "5.5.3");
}

/**
 * The status of `reply`, as far as possible the server's own. Its class is what decides: 2 done, 4 try again, 5 given up. A reply that is
 * none of these in its place (3yz) counts as 4.5.0: never as done, never as final.
 */
export function statusOf(phase: SmtpPhase, reply: Reply): EnhancedStatus {
  if (isTooManyRecipients(phase, reply)) return "4.5.3";
  const digit = replyClass(reply);
  if (digit === 3) return "4.5.0";
  if (reply.enhanced !== undefined) return reply.enhanced as EnhancedStatus;
  if (digit === 2) return "2.0.0";
  const detail = DETAIL_BY_PHASE[phase]?.[reply.code] ?? DETAIL_BY_CODE[reply.code] ?? "0.0";
  return `${digit}.${detail}` as EnhancedStatus;
}

/** Whether the status says to try again (class 4), and not that it is settled. */
export function isTransient(status: EnhancedStatus): boolean {
  return status.startsWith("4.");
}
