import { type DomainName, displayName } from "../dns/name.ts";
import type { Certificate } from "../x509/certificate.ts";
import { presentedIdentifiers } from "../x509/certificateName.ts";
import { associationData } from "./association.ts";
import { FULL, SHA2_256, SPKI, type Tlsa } from "./tlsa.ts";

/** The words for why a record did not match. What the peer chose (names, subjects) is quoted and cut: it goes into logs and DSNs. */

const MAX_SHOWN_NAMES = 4;
const MAX_SHOWN_CHARACTERS = 80;
const SHORT_DIGITS = 12;

function quoted(text: string): string {
  const shown = text.length > MAX_SHOWN_CHARACTERS ? `${text.slice(0, MAX_SHOWN_CHARACTERS)}..` : text;
  return JSON.stringify(shown.replace(/[^\x20-\x7e]/g, "?"));
}

/** A certificate of the chain, by its subject. */
export function displayCertificate(certificate: Certificate): string {
  return `the certificate of ${quoted(certificate.x509.subject?.replaceAll("\n", ", ") ?? "an empty subject")}`;
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, MAX_SHOWN_NAMES).join(", ");
  return names.length > MAX_SHOWN_NAMES ? `${shown} and ${names.length - MAX_SHOWN_NAMES} more` : shown;
}

export function nameMismatchText(server: Certificate, identifiers: readonly DomainName[]): string {
  const presented = presentedIdentifiers(server);
  const bears = presented.length === 0 ? "bears no name" : `is for ${listed(presented.map(quoted))}`;
  return `the server's certificate ${bears}, wanted ${identifiers.length === 0 ? "nothing" : identifiers.map(displayName).join(" or ")}`;
}

function matterOf(record: Tlsa): string {
  return record.selector === SPKI ? "key" : "certificate";
}

function digestName(record: Tlsa): string {
  return record.matchingType === SHA2_256 ? "SHA-256" : "SHA-512";
}

/** A record that should name the server's own certificate (usages 3 and 1), and does not. */
export function endEntityMismatchText(record: Tlsa, server: Certificate): string {
  const matter = matterOf(record);
  if (record.matchingType === FULL) return `the server has another ${matter}`;
  const data = associationData(server, record.selector, record.matchingType)?.toString("hex").slice(0, SHORT_DIGITS);
  return `the server's ${matter} has another ${digestName(record)} (${data}..)`;
}

/** A record that should name an issuer (usages 2 and 0), where no certificate at all is the one. */
export function issuerMismatchText(record: Tlsa, sent: number): string {
  const matter = matterOf(record);
  if (sent <= 1) return `the server sent its own certificate only, not the issuer's that this record names`;
  if (record.matchingType === FULL) return `none of the ${sent} certificates of the chain has this ${matter}`;
  return `none of the ${sent} certificates of the chain has a ${matter} with this ${digestName(record)}`;
}
