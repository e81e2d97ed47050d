import { leftOverRecipients } from "../smtp/transaction.ts";
import type { RecipientResult } from "./connection.ts";
import type { Attempt } from "./context.ts";
import { type HostConnection, type HostSession, openHostSession } from "./hostSession.ts";
import { reportSession } from "./sessionReport.ts";
import { signedMail } from "./signedMail.ts";
import { envelopeFor, transactionOf, verdictOf } from "./transaction.ts";

type OpenSession = Extract<HostSession, { kind: "open" }>;

/** The addresses that were tried in vain. */
type Tried = readonly string[];

/**
 * One address of a host, or another one where it hangs: a session that meets the host's policy, and MAIL, RCPT, DATA for all recipients that are open. A session from the
 * pool that turns out to have ended is replaced by a new connection: only then has the host been asked.
 */
export async function tryAddress(connection: HostConnection, the: Attempt): Promise<"transaction" | Tried> {
  for (const source of ["pool-or-new", "new"] as const) {
    const opened = await openHostSession(connection, the.context.session, source);
    if (opened.kind === "failed") {
      reportSession(opened, connection, the);
      the.context.onHost(opened.trace);
      the.ledger.note(opened.outcome, opened.trace);
      return opened.failure.dialled?.map(({ address }) => address) ?? [opened.trace.address ?? connection.address];
    }
    if ((await transact(opened, connection, the)) === "done") return "transaction";
  }
  throw new Error("a new connection was taken for one that had been used before");
}

/** Transactions until everybody who was open has an answer; then the session is given back. */
async function transact(opened: OpenSession, connection: HostConnection, the: Attempt): Promise<"done" | "stale"> {
  const { work, ledger, context } = the;
  try {
    reportSession(opened, connection, the);
    const { envelope: whole, content } = await signedMail(work, context);
    const envelope = await envelopeFor(whole, opened.session.extensions, content);
    let recipients = ledger.open();
    for (let round = 0; recipients.length > 0; round += 1) {
      const results = await opened.session.transact(transactionOf(envelope, recipients, content));
      if (round === 0 && opened.reused === "yes" && isStale(results)) return "stale";
      if (round === 0) context.onHost(opened.trace);
      const again = new Set(opened.session.state === "idle" ? leftOverRecipients(results) : []);
      for (const [i, recipient] of recipients.entries())
        if (!again.has(i))
          ledger.record(
            recipient,
            verdictOf(results[i], { host: connection.host, address: opened.trace.address ?? connection.address }, opened),
            opened.trace,
          );
      // RFC 5321 §4.5.3.1.10: too many for one transaction; each round settles at least the one that was accepted.
      recipients = recipients.filter((_, i) => again.has(i));
    }
    return "done";
  } finally {
    context.session.release(opened.session);
  }
}

/** The server had left, or says that it leaves (421), before it took anything: nothing that would speak of the message. */
function isStale(results: readonly RecipientResult[]): boolean {
  return results.every(
    (result) =>
      (result.kind === "lost" && result.ambiguous === "no") || (result.kind === "rejected" && result.reply.code === 421),
  );
}
