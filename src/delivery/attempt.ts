import { demandWithCredentials } from "../policy/authenticatedTls.ts";
import { refusalOutcome } from "../policy/disposition.ts";
import { unmetDemand } from "../policy/tlsPolicy.ts";
import { absenceOutcome, unroutableOutcome } from "../policy/unroutable.ts";
import type { Work } from "../spool/message.ts";
import { tryAddress } from "./addressAttempt.ts";
import { type Attempt, connectionTo, type DeliveryContext } from "./context.ts";
import { evidenceOf, type HostEvidence } from "./host.ts";
import { demandOnHost } from "./hostDemand.ts";
import { Ledger, type RecipientOutcome } from "./ledger.ts";
import { findRoute, type Route } from "./route.ts";
import { reportLookup, reportRefusal } from "./sessionReport.ts";
import { absentTrace, brokenTrace, refusalTrace, unknownTrace, unroutableTrace } from "./trace.ts";

/**
 * THE PAGE: what happens to one message at one destination, once.
 *
 *   resolve      route.ts           the MX records, validated; or a configured route (RFC 5321 §5.1)
 *   order        mxOrder.ts         by preference, equals at random
 *   policy       host.ts            addresses and TLSA of one host (RFC 7672 §2.2); hostDemand.ts: what a connection to it needs
 *   connect      addressAttempt.ts  address by address: connection.ts: TCP, greeting, EHLO, STARTTLS
 *   verify       hostSession.ts     the certificate against TLSA or PKIX, before a byte of SMTP goes into the channel (RFC 7672 §3)
 *   deliver      clientDialogue.ts  MAIL, RCPT, DATA (RFC 5321 §3.3)
 *   disposition  disposition.ts     what that means for each recipient: delivered, failed or deferred
 *
 * A host that fails is followed by the next one; none is ever used below its policy. Never rejects for what DNS or a peer does.
 */
export async function attempt(work: Work, context: DeliveryContext): Promise<readonly RecipientOutcome[]> {
  const ledger = new Ledger(work.recipients);
  const demand = context.demandOf(work);
  try {
    await tryHosts({ work, demand, ledger, context });
    return ledger.report();
  } catch (error) {
    // A bug, or content that cannot be read: nobody outside is to blame, so who is still open waits. What others were told stays true.
    context.onTrouble(error);
    const text = `the attempt broke off inside dane-relay: ${error instanceof Error ? error.message : String(error)}`;
    ledger.closeOpen({ kind: "deferred", status: "4.3.0", cause: { kind: "local", text } }, brokenTrace(demand));
    return ledger.report();
  }
}

type RoutedRoute = Exclude<Route, { kind: "unroutable" }>;
type Absent = Extract<HostEvidence, { kind: "absent" }>;

/** Host after host, in order, until every recipient has an answer. */
async function tryHosts(whole: Attempt): Promise<void> {
  const { work, ledger, context } = whole;
  const route = await findRoute(work.destination, context.route);
  const credentials = route.kind === "unroutable" ? undefined : route.credentials;
  const demand = credentials === undefined ? whole.demand : demandWithCredentials(whole.demand);
  const the = { ...whole, demand };
  if (route.kind === "unroutable") {
    if (route.trouble.kind === "lookup") reportLookup({ domain: route.nextHop, reasons: route.trouble.reasons }, the);
    ledger.closeOpen(unroutableOutcome(route.trouble), unroutableTrace(route, demand));
    return;
  }
  const absent: Absent[] = [];
  for await (const evidence of evidenceOf(route, demand, context)) {
    const { host, dnssec } = evidence;
    if (evidence.kind === "absent") absent.push(evidence);
    else if (evidence.kind === "unknown") {
      // RFC 7672 §2.1.2: skipped; the other hosts may be reachable.
      if (route.kind === "hosts") reportLookup({ domain: route.nextHop, host, reasons: evidence.reasons }, the);
      const trouble = { kind: "lookup", of: host, reasons: evidence.reasons } as const;
      ledger.note(unroutableOutcome(trouble), unknownTrace(host, demand, dnssec));
    } else await tryHost(evidence, route, the);
    if (ledger.open().length === 0) return;
  }
  // That hosts have no address is the outcome only where nothing else is known of any host.
  const [first] = absent;
  if (first !== undefined && ledger.anythingKnown() === "no") {
    ledger.closeOpen(absenceOutcome(work.destination, absent), absentTrace(first.host, demand, first.dnssec));
  }
}

/** One host, address by address, until one of them has answered a transaction. */
async function tryHost(evidence: Extract<HostEvidence, { kind: "reachable" }>, route: RoutedRoute, the: Attempt): Promise<void> {
  const { work, demand, ledger, context } = the;
  const { host, dane, dnssec, addresses } = evidence;
  const { tls, sts, found } = await demandOnHost(evidence, route, demand, context);
  const unmet = unmetDemand(demand, work.envelope.sender);
  const policies = { dane, sts: found, nextHop: route.kind === "hosts" ? route.nextHop : undefined };
  if (tls.kind === "refuse") {
    const trace = refusalTrace(tls, host, dnssec, sts);
    context.onHost(trace);
    reportRefusal(policies, trace, the);
    ledger.note(refusalOutcome(tls.cause, unmet), trace);
    return;
  }
  let left = addresses;
  for (let [address, ...others] = left; address !== undefined; [address, ...others] = left) {
    const tried = await tryAddress(connectionTo(evidence, address, { tls, sts, policies, unmet }, route, context, others), the);
    if (tried === "transaction") return;
    // RFC 8305 §5: another one may have been quicker; the first one still has its turn.
    const done = tried.length > 0 ? tried : [address];
    left = left.filter((other) => !done.includes(other));
  }
}
