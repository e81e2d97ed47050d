/**
 * A trouble in words for an operator who does not know DANE: what is wrong, which RFC says so, who has to act, and what exactly to do.
 * The classes are a closed list (design.md §4); programs rely on them.
 */
export const FAILURE_CLASSES = [
  "dnssec-unsigned",
  "dnssec-no-ds",
  "dnssec-expired",
  "dnssec-not-yet-valid",
  "dnssec-unknown-key",
  "dnssec-bad-signature",
  "dnssec-bad-denial",
  "dnssec-lookup-failed",
  "dnssec-stripped",
  "tlsa-unusable",
  "tlsa-wrong-parameters",
  "tlsa-empty-digest",
  "tlsa-outdated-certificate",
  "tlsa-shared-by-mistake",
  "tlsa-wrong-ca-key",
  "tlsa-mismatch",
  "starttls-missing",
  "starttls-refused",
  "handshake-failed",
  "certificate-expired",
  "certificate-name-mismatch",
  "certificate-path",
  "rollover-at-risk",
  "mx-unresolvable",
  "null-mx",
  "host-unreachable",
  "sts-mismatch",
] as const;
export type FailureClass = (typeof FAILURE_CLASSES)[number];

/** error: mail is kept back by it, or would be. warning: mail goes, with less protection than meant, or not for long. info: as published. */
export type Severity = "error" | "warning" | "info";

/** Who has to act. `parent-zone`: the registry, by way of the registrar. `you`: whoever runs this relay. */
export const ACTORS = ["dns-operator", "mail-operator", "parent-zone", "resolver-operator", "you"] as const;
export type Actor = (typeof ACTORS)[number];

export type Finding = {
  class: FailureClass;
  severity: Severity;
  /** The host or domain that it is about. */
  host: string;
  /** What was found, in a sentence or two. */
  explanation: string;
  /** Such as "RFC 7672 §3.1.1". */
  rfc: string;
  actor: Actor;
  /** What to do, in a sentence. */
  remedy: string;
  /** Zone lines, or lines of another file, that can be pasted as they are; where there is something to paste. */
  paste?: readonly string[];
};

/** The actor in words; `zone` or host is named by the finding itself. */
export const ACTOR_WORDS: Readonly<Record<Actor, string>> = {
  "dns-operator": "whoever runs the destination's DNS",
  "mail-operator": "whoever runs the mail host",
  "parent-zone": "the domain's owner, at the registrar (the record stands in the parent zone)",
  "resolver-operator": "whoever runs the resolver that this relay asks",
  you: "you, who run this relay",
};

/**
 * Errors first; the rest of the order, which is that of the way of a message, stays. What mends the same is told once: several addresses of a
 * host, and the same zone under MX records and hosts; it is as bad as the worst of them.
 */
export function rankedFindings(findings: readonly Finding[]): readonly Finding[] {
  const order: readonly Severity[] = ["error", "warning", "info"];
  const distinct = new Map<string, Finding>();
  for (const finding of findings) {
    const key = JSON.stringify([
      finding.class,
      finding.class.startsWith("dnssec-") ? "" : finding.host,
      finding.remedy,
      finding.paste,
    ]);
    const known = distinct.get(key);
    if (known === undefined) distinct.set(key, finding);
    else if (order.indexOf(finding.severity) < order.indexOf(known.severity))
      distinct.set(key, { ...known, severity: finding.severity });
  }
  return [...distinct.values()].sort((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
}
