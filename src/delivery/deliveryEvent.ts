import type { BounceEvent, DeliveryEvent } from "../log.ts";
import type { Outcome } from "../policy/disposition.ts";
import { statusOf } from "../smtp/enhancedStatus.ts";
import { replyText } from "../smtp/reply.ts";
import type { MessageId, Work } from "../spool/message.ts";
import type { RecipientOutcome, Trace } from "./ledger.ts";
import type { Notice } from "./settlement.ts";

const MAX_REPLY_CHARACTERS = 500;

/** The log's `delivery` event (design.md §4): one recipient, one attempt, with everything an auditor asks for. */
export function deliveryEvent(work: Work, { recipient, outcome, trace }: RecipientOutcome, seconds: number): DeliveryEvent {
  const reply = outcome.kind === "delivered" ? outcome.reply : outcome.cause.reply;
  return {
    event: "delivery",
    id: work.envelope.id,
    recipient: recipient.address,
    domain: work.destination,
    ...trace,
    attempt: recipient.attempts + 1,
    outcome: outcome.kind,
    ...(reply === undefined ? {} : { reply: replyText(reply, MAX_REPLY_CHARACTERS) }),
    status: outcome.kind === "delivered" ? statusOf("CONTENT", outcome.reply) : outcome.status,
    ...(outcome.kind === "delivered" ? {} : { reason: outcome.cause.text }),
    ...(isAmbiguous(outcome) ? { ambiguous: "yes" } : {}),
    seconds: Math.round(seconds * 1000) / 1000,
  };
}

/** Whether the peer may have the message although it is deferred (RFC 5321 §4.5.3.2.6, RFC 1047). */
export function isAmbiguous(outcome: Outcome): boolean {
  return outcome.kind !== "delivered" && outcome.cause.ambiguous === "yes";
}

/** The log's `bounce` event: a notice to a sender was queued. */
export function bounceEvent(id: MessageId, about: Work, notice: Notice): BounceEvent {
  return {
    event: "bounce",
    id,
    about: about.envelope.id,
    action: notice.action,
    recipient: about.envelope.sender,
    recipients: notice.recipients.map(({ request }) => request.address),
  };
}

/** The label `usage` of dane_outcomes_total: of the record that matched, or was to match. */
export function usageOf(trace: Trace): "2" | "3" | "none" {
  const usage = trace.tlsa?.[0];
  return usage === "2" || usage === "3" ? usage : "none";
}
