import type { RecipientOutcome } from "./ledger.ts";

/**
 * What an attempt tells of its destination. answered: a host took part in a transaction, whatever it said, or DNS settled the matter.
 * unavailable: no host could be used at all; not reached, 421 or another refusal as its greeting, no TLS that the policy accepts, a look-up
 * that failed. nothing: the trouble was ours.
 */
export type DestinationFeedback = "answered" | "unavailable" | "nothing";

/** RFC 5321 §3.8: the server is closing the channel, wherever it says so. */
const SERVICE_NOT_AVAILABLE = 421;

export function feedbackOf(outcomes: readonly RecipientOutcome[]): DestinationFeedback {
  const words = outcomes.map(wordOf);
  return (["answered", "unavailable"] as const).find((word) => words.includes(word)) ?? "nothing";
}

function wordOf({ outcome, trace }: RecipientOutcome): DestinationFeedback {
  if (outcome.kind !== "deferred") return "answered";
  const { kind, reply } = outcome.cause;
  if (kind === "local") return "nothing";
  // A refusal as greeting is a reply too, but no transaction came of it.
  const inTransaction = kind === "reply" && !trace.tls.includes("noconnect");
  return inTransaction && reply?.code !== SERVICE_NOT_AVAILABLE ? "answered" : "unavailable";
}
