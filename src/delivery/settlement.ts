import { expiredOutcome, type Outcome } from "../policy/disposition.ts";
import { type RetrySettings, retryDecision } from "../policy/retrySchedule.ts";
import type { QueuedRecipient, Settled, Work } from "../spool/message.ts";
import type { RecipientOutcome } from "./ledger.ts";
import type { LifeSpan } from "./witnessedTime.ts";

/** What a sender is told about some of the recipients (RFC 3464 §2.3.3). */
export type Notice = { action: "failed" | "delayed" | "relayed"; recipients: readonly NoticeRecipient[] };
/** `host`: the one that took the message (RFC 3461 §6.3 (h)). */
export type NoticeRecipient = { request: QueuedRecipient; outcome: Outcome; host?: string };

const REPORT_LIFETIME_HOURS = 24;

/** What an attempt leads to: what the store records, and what the sender hears. `final` is each recipient's outcome after the lifetime had its say. */
export type Settlement = { settled: readonly Settled[]; notices: readonly Notice[]; final: readonly RecipientOutcome[] };

export type SettlementContext = {
  now: number;
  /** Of the message. */
  span: LifeSpan;
  retry: RetrySettings;
  /** Uniform in [0, 1). */
  random: () => number;
};

/**
 * Decides for each recipient of `work` what follows from its outcome: gone, due again, or given up (RFC 5321 §4.5.4.1), and which notices the
 * sender gets by its NOTIFY (RFC 3461 §4.1). Whether a notice can be sent at all (null sender) is for the one who writes it.
 */
export function settlementOf(work: Work, outcomes: readonly RecipientOutcome[], context: SettlementContext): Settlement {
  const settled: Settled[] = [];
  const final: RecipientOutcome[] = [];
  const told: Record<Notice["action"], NoticeRecipient[]> = { failed: [], delayed: [], relayed: [] };
  for (const entry of outcomes) {
    const { recipient } = entry;
    const step = nextStep(work, entry, context);
    settled.push(step.settled);
    final.push({ ...entry, outcome: step.settled.outcome });
    if (step.tell !== "nothing") {
      const { host } = entry.trace;
      told[step.tell].push({ request: recipient, outcome: step.settled.outcome, ...(host === undefined ? {} : { host }) });
    }
  }
  const notices = (["failed", "delayed", "relayed"] as const)
    .filter((action) => told[action].length > 0)
    .map((action) => ({ action, recipients: told[action] }));
  return { settled, notices, final };
}

/** What can always be recorded: outcomes as they are, nobody told, and who has to wait is due at `dueAt`. */
export function plainSettlement(outcomes: readonly RecipientOutcome[], dueAt: number): Settlement {
  const settled = outcomes.map(({ recipient: { index }, outcome }): Settled => {
    return outcome.kind === "deferred" ? { index, outcome, nextAttemptAt: dueAt } : { index, outcome };
  });
  return { settled, notices: [], final: outcomes };
}

type Step = { settled: Settled; tell: Notice["action"] | "nothing" };

function nextStep(work: Work, { recipient, outcome }: RecipientOutcome, context: SettlementContext): Step {
  const { index } = recipient;
  switch (outcome.kind) {
    case "delivered":
      // RFC 3461 §5.2.2: the next host sends the notice itself where it was handed the request.
      return { settled: { index, outcome }, tell: outcome.dsn === "ours" && wants(recipient, "SUCCESS") ? "relayed" : "nothing" };
    case "failed":
      return { settled: { index, outcome }, tell: wants(recipient, "FAILURE") ? "failed" : "nothing" };
    case "deferred":
      return deferredStep(work, recipient, outcome, context);
    default:
      return outcome satisfies never;
  }
}

function deferredStep(
  work: Work,
  recipient: QueuedRecipient,
  outcome: Extract<Outcome, { kind: "deferred" }>,
  context: SettlementContext,
): Step {
  const { index } = recipient;
  const retry = retryOf(work, context.retry);
  const decision = retryDecision(retry, {
    now: context.now,
    ...context.span,
    attempts: recipient.attempts + 1,
    delayWarned: recipient.delayWarned,
    random: context.random(),
  });
  if (decision.kind === "expired") {
    const failed = expiredOutcome(outcome, retry.lifetimeHours);
    return { settled: { index, outcome: failed }, tell: wants(recipient, "FAILURE") ? "failed" : "nothing" };
  }
  const settled: Settled = { index, outcome, nextAttemptAt: decision.atMilliseconds };
  if (decision.warn === "no") return { settled, tell: "nothing" };
  return { settled: { ...settled, delayWarned: true }, tell: wants(recipient, "DELAY") ? "delayed" : "nothing" };
}

/** RFC 8460 §5.5: a report is tried for a day. */
function retryOf({ envelope }: Work, retry: RetrySettings): RetrySettings {
  if (envelope.purpose !== "tls-report") return retry;
  return { ...retry, lifetimeHours: Math.min(retry.lifetimeHours, REPORT_LIFETIME_HOURS) };
}

/** RFC 3461 §4.1: without NOTIFY, failures are reported and delays may be; success never is. */
function wants(recipient: QueuedRecipient, notice: "SUCCESS" | "FAILURE" | "DELAY"): boolean {
  return recipient.notify === undefined ? notice !== "SUCCESS" : recipient.notify.includes(notice);
}
