import { type Cause, type DaneOutcome, type Outcome, tellsMore, type Verdict } from "../policy/disposition.ts";
import type { QueuedRecipient } from "../spool/message.ts";
import type { LookupWord } from "./lookupWord.ts";

/** What one host (or the way to it) looked like: the part of the delivery event that is the same for all recipients tried there. */
export type Trace = {
  host?: string;
  address?: string;
  tls: string;
  dane: DaneOutcome;
  dnssec: { mx: LookupWord; address: LookupWord; tlsa: LookupWord };
  /** The record that matched, or the first that was to match. */
  tlsa?: string;
  protocol?: string;
  cipher?: string;
  group?: string;
};

export type RecipientOutcome = { recipient: QueuedRecipient; outcome: Outcome; trace: Trace };

type Entry = { recipient: QueuedRecipient; state: "open" | "closed"; known?: { outcome: Outcome; trace: Trace } };

/** Longest text of one cause; several hosts' troubles are joined up to here. */
const MAX_CAUSE_TEXT = 1000;

/**
 * What is known of each recipient of one work during an attempt. Open: a further host may be tried. Closed: delivered, failed, or deferred in
 * a way that another host must not be asked in this attempt (the final dot went out without a reply: RFC 5321 §4.5.3.2.6).
 */
export class Ledger {
  readonly #entries: Entry[];

  constructor(recipients: readonly QueuedRecipient[]) {
    this.#entries = recipients.map((recipient) => ({ recipient, state: "open" }));
  }

  open(): readonly QueuedRecipient[] {
    return this.#entries.filter((entry) => entry.state === "open").map((entry) => entry.recipient);
  }

  /** The same trouble for all that are open; they stay open for the next host. */
  deferOpen(outcome: Outcome, trace: Trace): void {
    for (const entry of this.#entries) if (entry.state === "open") learn(entry, outcome, trace);
  }

  /** The same end for all that are open. */
  closeOpen(outcome: Outcome, trace: Trace): void {
    for (const entry of this.#entries) {
      if (entry.state === "closed") continue;
      learn(entry, outcome, trace);
      entry.state = "closed";
    }
  }

  record(recipient: QueuedRecipient, verdict: Verdict, trace: Trace): void {
    const entry = this.#entries.find((candidate) => candidate.recipient.index === recipient.index);
    if (entry === undefined || entry.state === "closed")
      throw new Error(`recipient ${recipient.index} is not open in this attempt`);
    learn(entry, verdict.outcome, trace);
    if (verdict.next === "no") entry.state = "closed";
  }

  /** Whether any host has said anything about the recipients, so that "no address" would be the lesser truth. */
  anythingKnown(): "yes" | "no" {
    return this.#entries.some((entry) => entry.known !== undefined) ? "yes" : "no";
  }

  report(): readonly RecipientOutcome[] {
    return this.#entries.map(({ recipient, known }) => {
      if (known === undefined) throw new Error(`attempt ended without an outcome for recipient ${recipient.index}`);
      return { recipient, ...known };
    });
  }
}

/** A final outcome replaces what was known; of two deferrals the one that tells more leads, and the other's text follows. */
function learn(entry: Entry, outcome: Outcome, trace: Trace): void {
  const known = entry.known;
  if (known === undefined || outcome.kind !== "deferred" || known.outcome.kind !== "deferred") {
    entry.known = { outcome, trace };
    return;
  }
  const better =
    tellsMore(outcome.cause, known.outcome.cause) === "yes" ? { outcome, trace } : { outcome: known.outcome, trace: known.trace };
  const other = better.outcome === outcome ? known.outcome : outcome;
  const cause: Cause = { ...better.outcome.cause, text: joined(better.outcome.cause.text, other.cause) };
  entry.known = { outcome: { ...better.outcome, cause }, trace: better.trace };
}

function joined(text: string, other: Cause): string {
  const where = other.host === undefined || other.text.includes(other.host) ? "" : `${other.host}: `;
  const whole = `${text}; also ${where}${other.text}`;
  return text.includes(other.text) || whole.length > MAX_CAUSE_TEXT ? text : whole;
}
