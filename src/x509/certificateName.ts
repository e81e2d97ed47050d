import { type DomainName, displayName } from "../dns/name.ts";
import type { Certificate } from "./certificate.ts";
import { orMalformed } from "./der.ts";
import { readCommonNames } from "./generalName.ts";

/**
 * Which names a certificate presents, and whether they fit a reference identifier (RFC 6125 §6.4, as RFC 7672 §3.2.3 narrows it).
 *
 * DNS-ID: a dNSName of the subjectAltName extension. CN-ID: a common name of the subject, looked at only where there is no DNS-ID.
 * Names are compared as A-labels, without regard to the case of ASCII letters.
 */

/** Letters, digits, hyphens and (in use, though no host name) underscores; `*` only as the whole first label before two more. */
const PRESENTED_NAME = /^(?:\*(?:\.[a-z0-9_-]{1,63}){2,}|[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*)$/;
const WILDCARD = "*.";
/** What a wildcard may stand for. */
const HOST_LABEL = /^[a-z0-9-]+$/;

/** The DNS-IDs as they stand in the certificate; none where its extensions cannot be read. */
export function dnsIdentifiers({ extensions }: Certificate): readonly string[] {
  if ("kind" in extensions) return [];
  return (extensions.subjectAlternativeNames ?? []).flatMap((name) => (name.kind === "dNSName" ? [name.text] : []));
}

/** The DNS-IDs, or the CN-IDs where there is none (RFC 7672 §3.2.3), as they stand in the certificate. */
export function presentedIdentifiers(certificate: Certificate): readonly string[] {
  // Unreadable extensions could hold a DNS-ID: the common name must not take its place.
  if ("kind" in certificate.extensions) return [];
  const dnsIds = dnsIdentifiers(certificate);
  if (dnsIds.length > 0) return dnsIds;
  const commonNames = orMalformed(() => readCommonNames(certificate.subject));
  return "kind" in commonNames ? [] : commonNames;
}

/** Whether `presented` is a name, or a wildcard for one label, that a reference identifier could ever match. */
export function isPresentableName(presented: string): boolean {
  return PRESENTED_NAME.test(presented.toLowerCase());
}

/** RFC 7672 §3.2.3: verbatim, or by a wildcard that is the whole first label and stands for exactly one. */
export function matchesIdentifier(presented: string, reference: DomainName): boolean {
  if (!isPresentableName(presented)) return false;
  const pattern = presented.toLowerCase();
  const wanted = displayName(reference);
  if (!pattern.startsWith(WILDCARD)) return pattern === wanted;
  const dot = wanted.indexOf(".");
  // RFC 6125 §6.4.3: the wildcard matches the left-most label only.
  return dot > 0 && HOST_LABEL.test(wanted.slice(0, dot)) && wanted.slice(dot) === pattern.slice(1);
}

/** The first reference identifier that the certificate bears; undefined for none. */
export function matchedIdentifier(certificate: Certificate, identifiers: readonly DomainName[]): DomainName | undefined {
  const presented = presentedIdentifiers(certificate);
  return identifiers.find((reference) => presented.some((name) => matchesIdentifier(name, reference)));
}
