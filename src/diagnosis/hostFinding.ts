import type { MatchVerdict } from "../dane/matchVerdict.ts";
import { type DomainName, displayName } from "../dns/name.ts";
import { replyText } from "../smtp/reply.ts";
import { identityFinding } from "./certificateFinding.ts";
import { dnssecFinding } from "./dnssecFinding.ts";
import type { Finding, Severity } from "./finding.ts";
import type {
  HostObservation,
  LookupObservation,
  Observation,
  ReachableHost,
  SeenCertificate,
  SessionObservation,
} from "./observation.ts";
import { rolloverRisk } from "./rolloverRisk.ts";
import { mismatchFinding, unusableFindings } from "./tlsaFinding.ts";
import { stsRecordLine } from "./zoneLine.ts";

/** What is wrong with one mail host: its DNS, its TLSA records, its sessions, and what MTA-STS says of it. */

/** Certificates that were seen at a host before, from whatever keeps a history. */
export type HistoryOf = (host: string) => readonly SeenCertificate[];

export function hostFindings(host: HostObservation, whole: Observation, historyOf: HistoryOf): readonly Finding[] {
  const { anySignature, source, moment } = whole;
  const context = { host: host.host, anySignature, source, moment };
  const dns = host.lookups.flatMap((lookup) => dnssecFinding(lookup, context, insecureSeverity(host, lookup)) ?? []);
  // A family of addresses that is insecure says the same of the same zone as the other.
  const distinct = [...new Map(dns.map((finding) => [`${finding.class} ${finding.remedy}`, finding])).values()];
  switch (host.kind) {
    case "unknown":
      return distinct;
    case "absent":
      return [...distinct, absence(host.host, host.refused)];
    case "reachable":
      return [
        ...distinct,
        ...stsFindings(host, whole.at),
        ...unusable(host, whole.at),
        ...host.sessions.flatMap((session) => sessionFindings(session, host, whole, historyOf)),
      ];
    default:
      return host satisfies never;
  }
}

/** That DANE does not apply to a host for want of DNSSEC is a pity only where TLSA records wait for it; that is not asked for. */
function insecureSeverity(host: HostObservation, lookup: LookupObservation): Severity {
  const { demand } = host.kind === "reachable" ? host : { demand: undefined };
  if (demand?.kind === "refuse" && demand.wanted === "dane-only") return "error";
  return lookup.unvouchedKeys !== undefined && lookup.unvouchedKeys.lines.length > 0 ? "warning" : "info";
}

function absence(host: string, refused: readonly string[]): Finding {
  const about = { severity: "error", host } as const;
  if (refused.length > 0) {
    const explanation = `${host} has only addresses that point back to this machine or network: ${refused.join(", ")}.`;
    const remedy = "correct the address records; in a lab set delivery.allowLoopback";
    return { ...about, class: "mx-unresolvable", explanation, rfc: "RFC 5321 §5.1", actor: "dns-operator", remedy };
  }
  const explanation = `${host} has neither an A nor an AAAA record.`;
  const remedy = `give ${host} an address, or take it out of the MX records`;
  return { ...about, class: "mx-unresolvable", explanation, rfc: "RFC 5321 §5.1", actor: "dns-operator", remedy };
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
  const facts = { host: host.host, owner: tlsaName, chain: chainsOf(host)[0] ?? [], identifiers, now, beside } as const;
  return unusableFindings(dane.unusable ?? [], facts);
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

/** Mail goes, in clear text, since nothing there demands more. */
function fallbackFinding(
  session: SessionObservation,
  fallback: NonNullable<SessionObservation["fallback"]>,
  host: ReachableHost,
): Finding | undefined {
  const finding = stageFinding(session, fallback, host);
  return finding === undefined ? undefined : { ...finding, severity: "warning" };
}

/** Who says that there has to be TLS. */
function tlsDemandText(demand: ReachableHost["demand"]): string {
  if (demand.kind === "authenticateByPkix")
    return demand.wanted === "sts"
      ? `the MTA-STS policy of ${displayName(demand.domain)} promises it`
      : "mail with credentials needs it";
  const byTlsa = demand.kind === "authenticate" || (demand.kind === "encrypt" && demand.success === "unusable");
  return byTlsa
    ? "its TLSA records promise it"
    : "the settings of this relay demand it (delivery.tlsPolicies, delivery.insecureMx)";
}

/** A session that did not come about, and not for the certificate. */
function stageFinding(
  { address, port }: SessionObservation,
  { stage, text, reply }: NonNullable<SessionObservation["failure"]>,
  { host, demand }: ReachableHost,
): Finding | undefined {
  const about = { severity: "error", host, actor: "mail-operator" } as const;
  const said = reply === undefined ? "" : ` (${replyText(reply)})`;
  switch (stage) {
    case "connect":
    case "greeting":
    case "ehlo":
      return {
        ...about,
        class: "host-unreachable",
        explanation: `${host} does not take mail at ${address} port ${port}: ${text}${said}.`,
        rfc: "RFC 5321 §4.5.4.1",
        remedy:
          "start the mail server, and let its firewall pass this port; if no host anywhere answers, this machine's provider blocks outgoing mail",
      };
    case "starttls-missing":
      return {
        ...about,
        class: "starttls-missing",
        explanation: `${host} (${address}) offers no STARTTLS, but ${tlsDemandText(demand)}.`,
        rfc: demand.kind === "authenticateByPkix" ? "RFC 8461 §5" : "RFC 7672 §2.2",
        remedy:
          "switch STARTTLS on in the mail server; if it is on, a firewall between here and there takes it out (often called SMTP inspection)",
      };
    case "starttls-refused":
      return {
        ...about,
        class: "starttls-refused",
        explanation: `${host} (${address}) offers STARTTLS and then refuses it${said === "" ? `: ${text}` : said}.`,
        rfc: "RFC 3207 §4",
        remedy:
          "repair the mail server's TLS: its log says why; often its key does not belong to its certificate, or cannot be read",
      };
    case "handshake":
      return {
        ...about,
        class: "handshake-failed",
        explanation: `${host} (${address}) offers STARTTLS, but ${text}.`,
        rfc: "RFC 7672 §2.2",
        remedy: "repair the mail server's TLS: a certificate with its key has to be installed, and TLS 1.2 or 1.3 be allowed",
      };
    case "verify":
    case "auth":
      return undefined;
    default:
      return stage satisfies never;
  }
}
