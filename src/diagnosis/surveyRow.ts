import type { Tlsa } from "../dane/tlsa.ts";
import type { Explanation, Verdict } from "./explanation.ts";
import type { FailureClass, Finding, Severity } from "./finding.ts";
import { publishedTlsa } from "./hostSight.ts";
import type { HostObservation, ReachableHost } from "./observation.ts";

/**
 * What a survey keeps of one domain: its explanation without the evidence.
 *
 * deployed: a host has TLSA records, secure or not. incorrect: senders that look at them would wait, or could not rely on them.
 */
export type SurveyRow = {
  domain: string;
  /** Milliseconds since the epoch. */
  at: number;
  verdict: Verdict["kind"];
  tls: string;
  dane: string;
  dnssec: string;
  hosts: readonly SurveyHost[];
  nameServers: readonly string[];
  sts: "enforce" | "testing" | "none";
  tlsrpt: "yes" | "no";
  findings: readonly { class: FailureClass; severity: Severity; host: string }[];
};

/** What it comes down to. dnssec: insecure or bogus. mismatch: the certificate. starttls: none, refused, or the handshake. */
export const CAUSES = ["dnssec", "mismatch", "starttls", "unusable"] as const;
export type Cause = (typeof CAUSES)[number];

/**
 * none: no TLSA records. correct: they authenticate the server. halfdane: they do, and an unsigned MX record led there.
 * unknown: it could not be looked up or reached, or no connection was wanted.
 */
export type SurveyHost = {
  host: string;
  state: "none" | "correct" | "halfdane" | "incorrect" | "unknown";
  cause?: Cause;
  class?: FailureClass;
  /** Usage, selector and matching type of each record: "3 1 1". */
  tlsa: readonly string[];
  /** Who issued a certificate that DANE-EE authenticated. */
  issuer?: IssuerKind;
};

export const ISSUER_KINDS = ["public-ca", "other-ca", "self-signed"] as const;
export type IssuerKind = (typeof ISSUER_KINDS)[number];

/** What a survey looks at beside the explanation. */
export type SurveyExtras = {
  /** Who issued a server's certificate. */
  issuerOf: (chain: readonly Buffer[], host: string) => IssuerKind | undefined;
};

export function surveyRow({ target, seen, verdict, findings }: Explanation, extras: SurveyExtras): SurveyRow {
  const inForce = seen.sts?.inForce;
  const mode = inForce?.kind === "policy" ? inForce.policy.mode : "none";
  return {
    domain: target,
    at: seen.at,
    verdict: verdict.kind,
    tls: verdict.tls,
    dane: verdict.dane,
    dnssec: verdict.dnssec.mx,
    hosts: seen.hosts.map((host) => surveyHost(host, findings, extras)),
    nameServers: seen.nameServers.map((name) => name.replace(/\.$/, "")),
    sts: mode,
    tlsrpt: seen.tlsrpt?.kind === "record" ? "yes" : "no",
    findings: findings.map(({ class: name, severity, host }) => ({ class: name, severity, host })),
  };
}

function surveyHost(host: HostObservation, findings: readonly Finding[], extras: SurveyExtras): SurveyHost {
  const name = host.host;
  const about = { host: name, tlsa: (host.kind === "reachable" ? publishedTlsa(host) : []).map(parameters) };
  if (host.kind !== "reachable") return { ...about, state: "unknown" };
  const judged = judgedHost(host, about.tlsa.length > 0);
  const worst = judged.cause === undefined ? undefined : findingOf(host, judged.cause, findings);
  const chain = host.sessions.find(({ match }) => match?.kind === "match" && match.record.usage === 3)?.handshake?.chain;
  const issuer = chain === undefined ? undefined : extras.issuerOf(chain, name);
  return {
    ...about,
    ...judged,
    ...(worst === undefined ? {} : { class: worst.class }),
    ...(issuer === undefined ? {} : { issuer }),
  };
}

function parameters({ usage, selector, matchingType }: Tlsa): string {
  return `${usage} ${selector} ${matchingType}`;
}

/** `published`: whether it has any TLSA record. */
function judgedHost(host: ReachableHost, published: boolean): Pick<SurveyHost, "state" | "cause"> {
  const { dane } = host;
  switch (dane.kind) {
    case "notApplicable":
      if (dane.because === "exempt") return { state: "unknown" };
      return published ? { state: "incorrect", cause: "dnssec" } : { state: "none" };
    case "encryptWithoutAuthentication":
      return { state: "incorrect", cause: "unusable" };
    case "unreachable":
      return host.dnssec.tlsa === "bogus" ? { state: "incorrect", cause: "dnssec" } : { state: "unknown" };
    case "authenticate":
      return judgedSessions(host, dane.mx);
    default:
      return dane satisfies never;
  }
}

/** One address that fails makes a host incorrect: some senders come to that one. */
function judgedSessions({ sessions }: ReachableHost, mx: "secure" | "insecure"): Pick<SurveyHost, "state" | "cause"> {
  const stages = sessions.map(({ failure }) => failure?.stage);
  if (sessions.some(({ match }) => match?.kind === "mismatch")) return { state: "incorrect", cause: "mismatch" };
  const withoutTls = (["starttls-missing", "starttls-refused", "handshake"] as const).some((stage) => stages.includes(stage));
  if (withoutTls) return { state: "incorrect", cause: "starttls" };
  if (!sessions.some(({ match }) => match?.kind === "match")) return { state: "unknown" };
  return { state: mx === "secure" ? "correct" : "halfdane" };
}

/** The finding that says most about the cause. What is wrong with a zone is told once, under the first name that shows it. */
function findingOf(host: ReachableHost, cause: Cause, findings: readonly Finding[]): Finding | undefined {
  const ofDns = ({ class: name }: Finding): boolean => name.startsWith("dnssec-");
  if (cause === "dnssec") return findings.find((one) => ofDns(one) && one.host === host.host) ?? findings.find(ofDns);
  return findings.find((one) => !ofDns(one) && one.host === host.host);
}
