import type { Tlsa } from "../dane/tlsa.ts";
import type { HostObservation, SessionObservation } from "../diagnosis/observation.ts";
import { isName, parseName, prefixed } from "../dns/name.ts";
import type { UsableDemand } from "../policy/stsPolicy.ts";
import type { TlsDemand } from "../policy/tlsPolicy.ts";
import { extensionsOf } from "../smtp/extensions.ts";
import { replyText } from "../smtp/reply.ts";
import type { ConnectionSight } from "./connection.ts";
import { connectionTo, type DeliveryContext } from "./context.ts";
import type { HostEvidence } from "./host.ts";
import { demandOnHost } from "./hostDemand.ts";
import { type HostConnection, type HostSession, openHostSession } from "./hostSession.ts";
import type { ObservedLookups } from "./observedLookups.ts";
import type { Rehearsal } from "./rehearsal.ts";
import type { Route } from "./route.ts";
import { identityOf } from "./serverVerification.ts";

/** One host with all its addresses, looked at with what an attempt uses: where an attempt ends at the first success, this goes on. */
export type Examination = {
  route: Exclude<Route, { kind: "unroutable" }>;
  demand: TlsDemand;
  context: DeliveryContext;
  lookups: ObservedLookups;
  rehearsal: Rehearsal;
  connecting: "yes" | "no";
  unsecuredTlsa?: "ask";
};

export async function examineHost(evidence: HostEvidence, the: Examination): Promise<HostObservation> {
  const { host, dnssec } = evidence;
  const about = { host, dnssec, lookups: await the.lookups.take() };
  switch (evidence.kind) {
    case "unknown":
      return { ...about, kind: "unknown" };
    case "absent":
      return { ...about, kind: "absent", refused: evidence.why.kind === "refused" ? evidence.why.addresses : [] };
    case "reachable":
      return { ...about, ...(await examineReachable(evidence, the)) };
    default:
      return evidence satisfies never;
  }
}

type Reachable = Extract<HostEvidence, { kind: "reachable" }>;
type ReachableFacts = Omit<Extract<HostObservation, { kind: "reachable" }>, "host" | "dnssec" | "lookups">;

async function examineReachable(evidence: Reachable, the: Examination): Promise<ReachableFacts> {
  const { route, demand, context, connecting } = the;
  const { addresses, dane } = evidence;
  const { tls, sts, found } = await demandOnHost(evidence, route, demand, context);
  const tlsaName = "base" in dane ? prefixed([`_${route.port}`, "_tcp"], dane.base) : undefined;
  const policies = { dane, sts: found, nextHop: route.kind === "hosts" ? route.nextHop : undefined };
  const sessions: SessionObservation[] = [];
  if (tls.kind !== "refuse" && connecting === "yes") {
    for (const address of addresses) {
      const connection = connectionTo(evidence, address, { tls, sts, policies, unmet: "deferred" }, route, context);
      sessions.push(await examineAddress(connection, route.port, the));
    }
  }
  const unsecured = await unsecuredTlsa(evidence, the);
  return {
    kind: "reachable",
    addresses,
    dane,
    demand: tls,
    sts,
    ...(tlsaName === undefined || !isName(tlsaName) ? {} : { tlsaName }),
    sessions,
    ...(unsecured === undefined ? {} : { unsecuredTlsa: unsecured }),
  };
}

/** RFC 7672 §2.2.2: senders do not ask an unsigned zone; whoever counts what is published has to. */
async function unsecuredTlsa({ host, dane }: Reachable, the: Examination): Promise<readonly Tlsa[] | undefined> {
  const wanted = the.unsecuredTlsa === "ask" && dane.kind === "notApplicable" && dane.because === "insecure-address";
  const base = wanted ? parseName(host) : undefined;
  if (base === undefined || !isName(base)) return undefined;
  const owner = prefixed([`_${the.route.port}`, "_tcp"], base);
  if (!isName(owner)) return undefined;
  const found = await the.lookups.resolve(owner, "TLSA");
  // It is no part of what a delivery rests on.
  await the.lookups.take();
  return "records" in found ? found.records : undefined;
}

async function examineAddress(connection: HostConnection, port: number, the: Examination): Promise<SessionObservation> {
  const { context, rehearsal } = the;
  rehearsal.takeSights();
  const session = await openHostSession(connection, context.session, "new");
  const seen = sightsOf(rehearsal.takeSights());
  const { tls, dane } = session.trace;
  const chain = seen.handshake?.chain;
  const identifier = identifierOf(connection);
  return {
    address: connection.address,
    port,
    tls,
    dane,
    ...seen,
    ...(session.kind === "open" ? {} : { failure: session.failure }),
    ...(fallbackOf(session) ?? {}),
    ...(matchOf(session) ?? {}),
    ...(identifier === undefined || chain === undefined ? {} : { identity: identityOf(identifier, chain, context.session) }),
  };
}

/** Opportunistic TLS that failed, before or on this connection (RFC 7672 §2.2). */
function fallbackOf(session: HostSession): Pick<SessionObservation, "fallback"> | undefined {
  const { tlsFailure } = session;
  if (tlsFailure !== undefined) {
    const stage = tlsFailure.stage === "starttls-refused" ? tlsFailure.stage : "handshake";
    return { fallback: { ...tlsFailure, stage } };
  }
  const security = session.kind === "open" ? session.session.security : undefined;
  if (security?.kind !== "clear" || security.starttlsReply === undefined) return undefined;
  return { fallback: { stage: "starttls-refused", text: "STARTTLS was refused", reply: security.starttlsReply } };
}

function matchOf(session: HostSession): Pick<SessionObservation, "match"> | undefined {
  const match = session.kind === "open" ? session.matched : session.match;
  return match === undefined ? undefined : { match };
}

/** The name that PKIX has to find in the certificate, where anything asks for that. */
function identifierOf({ tls, sts }: { tls: UsableDemand; sts: HostConnection["sts"] }) {
  if (tls.kind === "authenticateByPkix") return tls.identifier;
  return sts.kind === "testing" ? sts.host : undefined;
}

const MAX_TEXT = 200;

function sightsOf(sights: readonly ConnectionSight[]): Pick<SessionObservation, "greeting" | "ehlo" | "handshake"> {
  const seen: Pick<SessionObservation, "greeting" | "ehlo" | "handshake"> = {};
  for (const sight of sights) {
    if (sight.kind === "handshake") {
      const { protocol, cipher, group, chain } = sight;
      seen.handshake ??= { protocol, cipher, chain, ...(group === undefined ? {} : { group }) };
    } else if (sight.phase === "greeting") seen.greeting ??= replyText(sight.reply, MAX_TEXT);
    else if (sight.reply.code === 250 && seen.ehlo === undefined) seen.ehlo = [...extensionsOf(sight.reply).keys()];
  }
  return seen;
}
