import { type AchievedSecurity, lostOutcome, replyOutcome, unsupportedOutcome, type Verdict } from "../policy/disposition.ts";
import { contentNeeds } from "../smtp/contentNeeds.ts";
import type { Envelope, QueuedRecipient } from "../spool/message.ts";
import type { RecipientResult, Transaction, TransactionRecipient } from "./connection.ts";
import type { HostSession } from "./hostSession.ts";
import type { Trace } from "./ledger.ts";

type OpenSession = Extract<HostSession, { kind: "open" }>;

/** The transaction that carries a message to those of its recipients that are still open. */
export function transactionOf(
  envelope: Envelope,
  recipients: readonly QueuedRecipient[],
  content: () => AsyncIterable<Buffer>,
): Transaction {
  const [first, ...rest] = recipients;
  if (first === undefined) throw new Error("a transaction without recipients");
  return { envelope, recipients: [parameters(first), ...rest.map(parameters)], content };
}

/**
 * The envelope as a server with these extensions can have it: what the client declared and the content does not need is not asked of a server
 * that lacks it. Content is never converted: that would break its signatures (RFC 6152 §3 leaves the choice).
 */
export async function envelopeFor(
  envelope: Envelope,
  extensions: ReadonlySet<string>,
  content: () => AsyncIterable<Buffer>,
): Promise<Envelope> {
  const lacksUtf8 = envelope.smtpUtf8 && !extensions.has("SMTPUTF8");
  // RFC 6531 §3.1 (8): SMTPUTF8 includes 8BITMIME.
  const lacksEightBit = envelope.eightBitMime && !extensions.has("8BITMIME") && !extensions.has("SMTPUTF8");
  if (!lacksUtf8 && !lacksEightBit) return envelope;
  const needs = await contentNeeds(content());
  return { ...envelope, smtpUtf8: envelope.smtpUtf8 && needs.smtpUtf8 === "yes", eightBitMime: needs.eightBitMime === "yes" };
}

function parameters(recipient: QueuedRecipient): TransactionRecipient {
  const { address, notify, originalRecipient } = recipient;
  return {
    address,
    ...(notify === undefined ? {} : { notify }),
    ...(originalRecipient === undefined ? {} : { originalRecipient }),
  };
}

/** What the peer's word on one recipient means (RFC 5321 §4.2.1: 2yz done, 4yz try again, 5yz given up). */
export function verdictOf(
  result: RecipientResult | undefined,
  at: { host: string; address: string },
  session: OpenSession,
): Verdict {
  if (result === undefined) throw new Error(`${at.host}: the dialogue ended without a result for each recipient`);
  const where = { host: at.host, address: at.address };
  switch (result.kind) {
    case "accepted": {
      const { trace, matched } = session;
      const security = { ...channelOf(trace), ...(matched === undefined ? {} : { matched }) };
      const dsn = result.dsnRelayed === "yes" ? "passed-on" : "ours";
      return { next: "no", outcome: { kind: "delivered", reply: result.reply, security, dsn } };
    }
    case "rejected":
      return replyOutcome(result.phase, result.reply, where);
    case "lost":
      return lostOutcome(result, where);
    case "unsupported":
      return unsupportedOutcome(result.extension, result.text, where);
    default:
      return result satisfies never;
  }
}

/** The evidence of the channel, without where it led. */
function channelOf(trace: Trace): AchievedSecurity {
  const { tls, dane, protocol, cipher, group } = trace;
  return {
    tls,
    dane,
    ...(protocol === undefined ? {} : { protocol }),
    ...(cipher === undefined ? {} : { cipher }),
    ...(group === undefined ? {} : { group }),
  };
}
