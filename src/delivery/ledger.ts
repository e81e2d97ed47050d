import { type DaneOutcome, type Outcome, tellsMore, type Verdict } from "../policy/disposition.ts";
import type { QueuedRecipient } from "../spool/message.ts";
import type { LookupWord } from "./lookupWord.ts";
import type { StsOutcome } from "./stsOutcome.ts";

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
  /** Where the domain has a policy that the session was held against. */
  sts?: StsOutcome;
};

export type RecipientOutcome = { recipient: QueuedRecipient; outcome: Outcome; trace: Trace };

type Known = { outcome: Outcome; trace: Trace };
type Entry = { recipient: QueuedRecipient; state: "open" | "closed"; known?: Known };
type Undelivered = Exclude<Outcome, { kind: "delivered" }>;

/** Longest text of one cause; several hosts' troubles are joined up to here. */
const MAX_CAUSE_TEXT = 1000;

/**
 * What is known of each recipient of one work during an attempt. Open: a further host may be tried. Closed: delivered, failed, or deferred in
 * a way that another host must not be asked in this attempt (the final dot went out without a reply: RFC 5321 §4.5.3.2.6).
 */
export class Ledger {
  readonly #entries: Entry[];
  /** A message may have a hundred thousand recipients: none is searched for among all. */
  readonly #byIndex: ReadonlyMap<number, Entry>;

  constructor(recipients: readonly QueuedRecipient[]) {
    this.#entries = recipients.map((recipient) => ({ recipient, state: "open" }));
    this.#byIndex = new Map(this.#entries.map((entry) => [entry.recipient.index, entry]));
  }

  open(): readonly QueuedRecipient[] {
    return this.#entries.filter((entry) => entry.state === "open").map((entry) => entry.recipient);
  }

  /** The same trouble with one host for all that are open; they stay open for the next one. */
  note(outcome: Outcome, trace: Trace): void {
    for (const entry of this.#entries) if (entry.state === "open") entry.known = weighed(entry.known, { outcome, trace });
  }

  /** The same end for all that are open. */
  closeOpen(outcome: Outcome, trace: Trace): void {
    for (const entry of this.#entries) {
      if (entry.state === "closed") continue;
      entry.known = ended(entry.known, { outcome, trace });
      entry.state = "closed";
    }
  }

  record(recipient: QueuedRecipient, verdict: Verdict, trace: Trace): void {
    const entry = this.#byIndex.get(recipient.index);
    if (entry === undefined || entry.state === "closed")
      throw new Error(`recipient ${recipient.index} is not open in this attempt`);
    const word = { outcome: verdict.outcome, trace };
    entry.known = verdict.next === "no" ? ended(entry.known, word) : weighed(entry.known, word);
    if (verdict.next === "no") entry.state = "closed";
  }

  /** Whether anything is known of a recipient, so that "no address" would be the lesser truth. */
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

/** The last word of this attempt: delivered and failed replace what hosts before said, a deferral is weighed against it. */
function ended(known: Known | undefined, word: Known): Known {
  return word.outcome.kind === "deferred" ? weighed(known, word) : word;
}

/**
 * Of two hosts' troubles one leads, and the other's text follows. A deferral leads before a failure: the host that was out of reach may yet
 * meet the demand that the other did not (RFC 8689 §4.2.1: every host has to be asked). Else the one that tells more.
 */
function weighed(known: Known | undefined, word: Known): Known {
  const { outcome } = word;
  if (known === undefined || outcome.kind === "delivered" || known.outcome.kind === "delivered") return word;
  return leads(outcome, known.outcome)
    ? followed(outcome, word.trace, known.outcome)
    : followed(known.outcome, known.trace, outcome);
}

function leads(candidate: Undelivered, current: Undelivered): boolean {
  if (candidate.kind !== current.kind) return candidate.kind === "deferred";
  return tellsMore(candidate.cause, current.cause) === "yes";
}

function followed(outcome: Undelivered, trace: Trace, other: Undelivered): Known {
  const text = joined(outcome.cause.text, other.cause.text);
  const ambiguous = outcome.cause.ambiguous ?? other.cause.ambiguous;
  return { outcome: { ...outcome, cause: { ...outcome.cause, text, ...(ambiguous === undefined ? {} : { ambiguous }) } }, trace };
}

/** Equal texts (several addresses of one host) are said once. */
function joined(text: string, other: string): string {
  const whole = `${text}; also, ${other}`;
  return text.includes(other) || whole.length > MAX_CAUSE_TEXT ? text : whole;
}
