import { type AchievedSecurity, lostOutcome, replyOutcome, unsupportedOutcome, type Verdict } from "../policy/disposition.ts";
import type { QueuedRecipient, Work } from "../spool/message.ts";
import type { RecipientResult, Transaction, TransactionRecipient } from "./connection.ts";
import type { HostSession } from "./hostSession.ts";
import type { Trace } from "./ledger.ts";

type OpenSession = Extract<HostSession, { kind: "open" }>;

/** The transaction that carries `work` to those of its recipients that are still open. */
export function transactionOf(
  work: Work,
  recipients: readonly QueuedRecipient[],
  content: () => AsyncIterable<Buffer>,
): Transaction {
  const [first, ...rest] = recipients;
  if (first === undefined) throw new Error("a transaction without recipients");
  return { envelope: work.envelope, recipients: [parameters(first), ...rest.map(parameters)], content };
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
