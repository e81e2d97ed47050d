import { demandWithCredentials } from "../policy/authenticatedTls.ts";
import type { Outcome } from "../policy/disposition.ts";
import type { TlsDemand } from "../policy/tlsPolicy.ts";
import { absenceOutcome, unroutableOutcome } from "../policy/unroutable.ts";
import { connectionTo, type DeliveryContext } from "./context.ts";
import { evidenceOf, type HostEvidence } from "./host.ts";
import { demandOnHost } from "./hostDemand.ts";
import { openHostSession } from "./hostSession.ts";
import { findRoute, type Route } from "./route.ts";

/**
 * Whether mail for a domain would be delivered without an exception of the operator's: the decisions of an attempt, up to a session that is
 * open, without a message. A session that came about goes to the pool as any other.
 */
export type DomainCheck =
  /** At least one host is reached as its policy demands. */
  | { kind: "met"; text: string }
  /** No host is, and at least one was kept from by policy. */
  | { kind: "unmet"; text: string }
  /** Nothing can be said now: no host, or none that answers. */
  | { kind: "undecided"; text: string };

const UNEXCEPTIONAL: TlsDemand = { level: "dane", levelFrom: "default", messageTls: "unspecified" };

type RoutedRoute = Exclude<Route, { kind: "unroutable" }>;

/** `domain`: as `Work.destination`. Never rejects for what DNS or a peer does. */
export async function checkDomain(domain: string, context: DeliveryContext): Promise<DomainCheck> {
  const route = await findRoute(domain, context.route);
  if (route.kind === "unroutable") {
    // A look-up that cannot be believed is what mail would wait for.
    return { kind: route.trouble.kind === "lookup" ? "unmet" : "undecided", text: wordsOf(unroutableOutcome(route.trouble)) };
  }
  const demand = route.credentials === undefined ? UNEXCEPTIONAL : demandWithCredentials(UNEXCEPTIONAL);
  const checks: DomainCheck[] = [];
  for await (const evidence of evidenceOf(route, demand, context))
    checks.push(await checkHost(domain, evidence, route, demand, context));
  for (const kind of ["met", "unmet"] as const) {
    const found = checks.filter((check) => check.kind === kind);
    if (found.length > 0) return { kind, text: textOf(found) };
  }
  return { kind: "undecided", text: textOf(checks) };
}

function wordsOf(outcome: Outcome): string {
  return outcome.kind === "delivered" ? "delivered" : outcome.cause.text;
}

function textOf(checks: readonly DomainCheck[]): string {
  return checks.map(({ text }) => text).join("; ");
}

async function checkHost(
  domain: string,
  evidence: HostEvidence,
  route: RoutedRoute,
  demand: TlsDemand,
  context: DeliveryContext,
): Promise<DomainCheck> {
  switch (evidence.kind) {
    case "absent":
      return { kind: "undecided", text: wordsOf(absenceOutcome(domain, [evidence])) };
    case "unknown":
      return {
        kind: "unmet",
        text: wordsOf(unroutableOutcome({ kind: "lookup", of: evidence.host, reasons: evidence.reasons })),
      };
    case "reachable":
      return await checkAddresses(evidence, route, demand, context);
    default:
      return evidence satisfies never;
  }
}

async function checkAddresses(
  evidence: Extract<HostEvidence, { kind: "reachable" }>,
  route: RoutedRoute,
  demand: TlsDemand,
  context: DeliveryContext,
): Promise<DomainCheck> {
  const { tls, sts, found } = await demandOnHost(evidence, route, demand, context);
  if (tls.kind === "refuse") return { kind: "unmet", text: tls.cause.text };
  const policies = { dane: evidence.dane, sts: found, nextHop: route.kind === "hosts" ? route.nextHop : undefined };
  let last: DomainCheck = { kind: "undecided", text: `${evidence.host} has no address` };
  for (const address of evidence.addresses) {
    const connection = connectionTo(evidence, address, { tls, sts, policies, unmet: "deferred" }, route, context);
    const opened = await openHostSession(connection, context.session, "new");
    if (opened.kind === "open") {
      context.session.release(opened.session);
      return { kind: "met", text: `${evidence.host}: tls ${opened.trace.tls}, dane ${opened.trace.dane}` };
    }
    const { stage } = opened.failure;
    const silent = stage === "connect" || stage === "greeting" || stage === "ehlo" || stage === "auth";
    const text = wordsOf(opened.outcome);
    if (!silent) return { kind: "unmet", text };
    last = { kind: "undecided", text };
  }
  return last;
}
