import type { DomainName } from "../dns/name.ts";
import { absenceOutcome, refusalOutcome, unroutableOutcome } from "../policy/disposition.ts";
import { hostTls } from "../policy/tlsPolicy.ts";
import type { Work } from "../spool/message.ts";
import type { RecipientResult } from "./connection.ts";
import { connectionTo, type DeliveryContext } from "./context.ts";
import { gatherEvidence, type HostEvidence, literalEvidence } from "./host.ts";
import { type HostConnection, openHostSession } from "./hostSession.ts";
import { Ledger, type RecipientOutcome } from "./ledger.ts";
import { findRoute, type Route } from "./route.ts";
import { absentTrace, refusalTrace, unroutableTrace } from "./trace.ts";
import { transactionOf, verdictOf } from "./transaction.ts";

/**
 * THE PAGE: what happens to one message at one destination, once.
 *
 *   resolve      route.ts           the MX records, validated; or a configured route (RFC 5321 §5.1)
 *   order        mxOrder.ts         by preference, equals at random
 *   policy       host.ts            addresses and TLSA of one host (RFC 7672 §2.2); tlsPolicy.ts: what a connection to it needs
 *   connect      connection.ts      TCP, greeting, EHLO, STARTTLS
 *   verify       hostSession.ts     the certificate against TLSA, before a byte of SMTP goes into the channel (RFC 7672 §3)
 *   deliver      clientDialogue.ts  MAIL, RCPT, DATA (RFC 5321 §3.3)
 *   disposition  disposition.ts     what that means for each recipient: delivered, failed or deferred
 *
 * A host that fails is followed by the next one; none is ever used below its policy. Never rejects for what DNS or a peer does.
 */
export async function attempt(work: Work, context: DeliveryContext): Promise<readonly RecipientOutcome[]> {
  const ledger = new Ledger(work.recipients);
  const { level } = context.demandOf(work);
  const route = await findRoute(work.destination, context.route);
  if (route.kind === "unroutable") {
    ledger.closeOpen(unroutableOutcome(route.trouble), unroutableTrace(route, level));
    return ledger.report();
  }
  const absent: Extract<HostEvidence, { kind: "absent" }>[] = [];
  for (const host of route.kind === "hosts" ? route.hosts : [undefined]) {
    if (ledger.open().length === 0) break;
    const evidence = await evidenceOf(host, route, work, context);
    if (evidence.kind === "absent") absent.push(evidence);
    else await tryHost(evidence, route, ledger, work, context);
  }
  // That hosts have no address is the outcome only where no host could be asked at all.
  const [first] = absent;
  if (first !== undefined && ledger.anythingKnown() === "no") {
    ledger.closeOpen(absenceOutcome(work.destination, absent), absentTrace(first.host, level, first.dnssec));
  }
  return ledger.report();
}

type Reachable = Extract<HostEvidence, { kind: "reachable" }>;
type RoutedRoute = Exclude<Route, { kind: "unroutable" }>;

async function evidenceOf(
  host: DomainName | undefined,
  route: RoutedRoute,
  work: Work,
  context: DeliveryContext,
): Promise<HostEvidence> {
  if (route.kind === "literal") return literalEvidence(route, context.allowLoopback);
  if (host === undefined) throw new Error("a route by name has hosts");
  return gatherEvidence(host, route, { ...context, demand: context.demandOf(work) });
}

/** One host, address by address, until one of them has answered a transaction. */
async function tryHost(
  evidence: Reachable,
  route: RoutedRoute,
  ledger: Ledger,
  work: Work,
  context: DeliveryContext,
): Promise<void> {
  const { host, dane, dnssec, addresses } = evidence;
  const mx = route.kind === "hosts" ? route.mx : "configured";
  const tls = hostTls({ host, dane, mx, insecureMx: context.insecureMx, ...context.demandOf(work) });
  if (tls.kind === "refuse") {
    const trace = refusalTrace(tls, host, dnssec);
    context.onHost(trace);
    ledger.deferOpen(refusalOutcome(tls.cause), trace);
    return;
  }
  for (const address of addresses) {
    const ended = await tryAddress(connectionTo(evidence, address, tls, route, context), ledger, work, context);
    if (ended === "transaction") return;
  }
}

async function tryAddress(
  connection: HostConnection,
  ledger: Ledger,
  work: Work,
  context: DeliveryContext,
): Promise<"transaction" | "no-session"> {
  const opened = await openHostSession(connection, context.session);
  context.onHost(opened.trace);
  if (opened.kind === "failed") {
    ledger.deferOpen(opened.outcome, opened.trace);
    return "no-session";
  }
  const recipients = ledger.open();
  let results: readonly RecipientResult[];
  try {
    results = await opened.session.transact(transactionOf(work, recipients, () => context.content(work)));
  } finally {
    context.release(opened.session);
  }
  for (const [i, recipient] of recipients.entries())
    ledger.record(recipient, verdictOf(results[i], connection, opened), opened.trace);
  return "transaction";
}
