import type { MatchVerdict } from "../dane/matchVerdict.ts";
import { type DomainName, displayName } from "../dns/name.ts";
import { identityFinding } from "./certificateFinding.ts";
import { dnssecFinding } from "./dnssecFinding.ts";
import { type Finding, rankedFindings, type Severity } from "./finding.ts";
import type {
  HostObservation,
  LookupObservation,
  Observation,
  ReachableHost,
  SeenCertificate,
  SessionObservation,
} from "./observation.ts";
import { absenceFinding, isKeptBackByDaneOnly, refusalFinding } from "./refusalFinding.ts";
import { rolloverRisk } from "./rolloverRisk.ts";
import { fallbackFinding, stageFinding } from "./sessionFinding.ts";
import { mismatchFinding, unusableFindings } from "./tlsaFinding.ts";
import { stsRecordLine } from "./zoneLine.ts";

/** What is wrong with one mail host: its DNS, its TLSA records, its sessions, and what MTA-STS says of it. */

/** Certificates that were seen at a host before, from whatever keeps a history. */
export type HistoryOf = (host: string) => readonly SeenCertificate[];

export function hostFindings(host: HostObservation, whole: Observation, historyOf: HistoryOf): readonly Finding[] {
  const { anySignature, source, moment } = whole;
  const context = { host: host.host, anySignature, source, moment };
  // A family of addresses that is insecure says the same of the same zone as the other: that of the address that there is.
  const lookups = [...host.lookups].sort((a, b) => Number(hasRecords(b)) - Number(hasRecords(a)));
  const dns = rankedFindings(lookups.flatMap((lookup) => lookupFinding(lookup, host, context) ?? []));
  switch (host.kind) {
    case "unknown":
      return dns;
    case "absent":
      return [...dns, absenceFinding(host, whole.destination)];
    case "reachable":
      return [
        ...dns,
        ...stsFindings(host, whole.at),
        ...unusable(host, whole.at),
        ...some(refusalFinding(host)),
        ...host.sessions.flatMap((session) => sessionFindings(session, host, whole, historyOf)),
      ];
    default:
      return host satisfies never;
  }
}

function hasRecords({ resolution }: LookupObservation): boolean {
  return "records" in resolution;
}

function lookupFinding(
  lookup: LookupObservation,
  host: HostObservation,
  context: Parameters<typeof dnssecFinding>[1],
): Finding | undefined {
  const finding = dnssecFinding(lookup, context, insecureSeverity(host, lookup));
  // The other family's addresses take the mail.
  if (finding?.severity === "error" && host.kind === "reachable" && lookup.type !== "TLSA" && !hasRecords(lookup))
    return { ...finding, severity: "warning" };
  return finding;
}

/** That DANE does not apply to a host for want of DNSSEC is a pity only where TLSA records wait for it; below unsigned addresses nobody asks. */
function insecureSeverity(host: HostObservation, lookup: LookupObservation): Severity {
  if (host.kind === "reachable" && isKeptBackByDaneOnly(host)) return "error";
  if (lookup.type === "TLSA" && hasRecords(lookup)) return "warning";
  return lookup.unvouchedKeys !== undefined && lookup.unvouchedKeys.lines.length > 0 ? "warning" : "info";
}

function stsFindings({ host, sts }: ReachableHost, now: number): readonly Finding[] {
  if (sts.kind === "none" || sts.allowed === "yes") return [];
  const domain = displayName(sts.domain);
  return [
    {
      class: "sts-mismatch",
      severity: sts.kind === "enforce" ? "error" : "warning",
      host,
      explanation: `The MX record names ${host}, but the MTA-STS policy of ${domain} does not list it.`,
      rfc: "RFC 8461 §4.1",
      actor: "mail-operator",
      remedy: `add the first line to https://mta-sts.${domain}/.well-known/mta-sts.txt, then publish the second, whose new id tells senders to read it again; if the host is not yours, somebody has forged the MX record`,
      paste: [`mx: ${host}`, stsRecordLine(domain, now)],
    },
  ];
}

function chainsOf(host: ReachableHost): readonly (readonly Buffer[])[] {
  return host.sessions.flatMap(({ handshake }) => (handshake === undefined ? [] : [handshake.chain]));
}

function unusable(host: ReachableHost, now: number): readonly Finding[] {
  const { dane, tlsaName } = host;
  if (!("unusable" in dane) || tlsaName === undefined) return [];
  const identifiers = dane.kind === "authenticate" ? dane.identifiers : [dane.base];
  const beside = dane.kind === "authenticate" || dane.because === "insecure-mx" ? "usable" : "none";
  const standsAt = aliasTarget(host, tlsaName);
  return unusableFindings(dane.unusable ?? [], {
    host: host.host,
    owner: tlsaName,
    ...(standsAt === undefined ? {} : { standsAt }),
    chain: chainsOf(host)[0] ?? [],
    identifiers,
    now,
    beside,
    daneOnly: isKeptBackByDaneOnly(host) ? "yes" : "no",
  });
}

function sessionFindings(
  session: SessionObservation,
  host: ReachableHost,
  whole: Observation,
  historyOf: HistoryOf,
): readonly Finding[] {
  const { match, identity } = session;
  return [
    ...some(session.failure === undefined ? undefined : stageFinding(session, session.failure, host)),
    ...some(session.fallback === undefined ? undefined : fallbackFinding(session, session.fallback, host)),
    ...some(match?.kind === "mismatch" ? matchFinding(match, session, host, whole, historyOf) : undefined),
    ...(match?.kind === "match" ? risk(match, session, host, whole.at) : []),
    ...(identity?.kind === "invalid" ? pkixFindings(identity, host) : []),
  ];
}

function some(finding: Finding | undefined): readonly Finding[] {
  return finding === undefined ? [] : [finding];
}

function pkixFindings(
  identity: Extract<NonNullable<SessionObservation["identity"]>, { kind: "invalid" }>,
  { host, demand, sts }: ReachableHost,
): readonly Finding[] {
  if (demand.kind === "authenticateByPkix") {
    const bySts = demand.wanted === "sts";
    const demandedBy = bySts ? `the MTA-STS policy of ${displayName(demand.domain)}` : "delivery.routes with credentials";
    const rfc = bySts ? "RFC 8461 §4.2" : "RFC 6125 §6";
    return [identityFinding(identity, { host, identifier: demand.identifier, demandedBy, severity: "error", rfc })];
  }
  if (sts.kind !== "testing") return [];
  const demandedBy = `the MTA-STS policy of ${displayName(sts.domain)} (in testing)`;
  return [identityFinding(identity, { host, identifier: sts.host, demandedBy, severity: "warning", rfc: "RFC 8461 §4.2" })];
}

function risk(
  match: Extract<MatchVerdict, { kind: "match" }>,
  { handshake }: SessionObservation,
  { host, dane }: ReachableHost,
  now: number,
): readonly Finding[] {
  if (dane.kind !== "authenticate" || handshake === undefined) return [];
  return some(rolloverRisk({ host, records: dane.records, chain: handshake.chain, now }, match));
}

function matchFinding(
  match: Extract<MatchVerdict, { kind: "mismatch" }>,
  session: SessionObservation,
  host: ReachableHost,
  whole: Observation,
  historyOf: HistoryOf,
): Finding | undefined {
  const { dane, tlsaName } = host;
  if (dane.kind !== "authenticate" || tlsaName === undefined) return undefined;
  const others = whole.hosts.flatMap((other) =>
    other.kind === "reachable" && other.host !== host.host ? chainsOf(other).map((chain) => ({ host: other.host, chain })) : [],
  );
  const standsAt = aliasTarget(host, tlsaName);
  return mismatchFinding({
    host: host.host,
    owner: tlsaName,
    ...(standsAt === undefined ? {} : { standsAt }),
    chain: session.handshake?.chain ?? [],
    everyChain: chainsOf(host),
    identifiers: dane.identifiers,
    now: whole.at,
    tried: match.tried,
    others,
    history: historyOf(host.host),
  });
}

/** Where the aliases of the TLSA question end, if there are any. */
function aliasTarget({ lookups }: HostObservation, tlsaName: DomainName): DomainName | undefined {
  const asked = lookups.find(({ type, name }) => type === "TLSA" && name === tlsaName)?.resolution;
  if (asked === undefined || asked.status === "bogus" || asked.status === "indeterminate") return undefined;
  return asked.aliases.length === 0 ? undefined : asked.name;
}
