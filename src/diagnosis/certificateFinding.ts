import type { MatchFailure, TriedRecord } from "../dane/matchVerdict.ts";
import { DANE_TA } from "../dane/tlsa.ts";
import { type DomainName, displayName } from "../dns/name.ts";
import type { Certificate } from "../x509/certificate.ts";
import type { ServerIdentity, ServerIdentityFailure } from "../x509/serverIdentity.ts";
import type { FailureClass, Finding } from "./finding.ts";

/** Troubles of the certificate itself, where usage 2, MTA-STS or REQUIRETLS look at more than its key: dates, names, path. */

type Told = Pick<Finding, "class" | "explanation" | "rfc" | "remedy" | "actor">;

/** What a failure of path validation, or of the name, is called; undefined where it is no matter of the certificate. */
function classOf(failure: MatchFailure | ServerIdentityFailure): FailureClass | undefined {
  switch (failure) {
    case "expired":
      return "certificate-expired";
    case "name-mismatch":
      return "certificate-name-mismatch";
    case "not-yet-valid":
    case "malformed":
    case "unknown-critical-extension":
    case "not-an-authority":
    case "path-length":
    case "key-usage":
    case "purpose":
    case "weak-key":
    case "weak-signature":
    case "name-constraints":
    case "no-certificate":
    case "no-path":
    case "search-limit":
      return "certificate-path";
    case "unusable":
    case "weaker-digest":
    case "no-match":
    case "not-the-issuer":
      return undefined;
    default:
      return failure satisfies never;
  }
}

function remedyFor(failure: MatchFailure | ServerIdentityFailure, identifiers: readonly DomainName[]): string {
  const names = identifiers.map(displayName).join(" or ");
  switch (failure) {
    case "expired":
      return "renew the certificate, and see why it was not renewed by itself";
    case "not-yet-valid":
      return "install a certificate that is valid already, and check the clock of whoever issued it";
    case "name-mismatch":
      return `have a certificate issued whose subjectAltName has ${names}`;
    case "weak-key":
    case "weak-signature":
      return "have a certificate issued with an RSA key of 2048 bits or a P-256 key, signed with SHA-256";
    case "no-path":
      return "install a certificate of a public CA, and send its intermediate certificates with it (the file often called fullchain)";
    default:
      return "install a sound certificate with the chain that its CA gave with it";
  }
}

/** A record that names a certificate of the chain, and the path to it does not hold (RFC 7672 §3.1.2, §3.2.2). */
export function pathFinding(
  { record, failure, because }: TriedRecord,
  { identifiers, chain }: { identifiers: readonly DomainName[]; chain: readonly Buffer[] },
  server: Certificate | undefined,
): Told | undefined {
  const found = classOf(failure);
  const actor = "mail-operator";
  if (found !== undefined) {
    const rfc = found === "certificate-name-mismatch" ? "RFC 7672 §3.2.2" : "RFC 7672 §3.1.2";
    return { class: found, explanation: `TLSA ${because}.`, rfc, actor, remedy: remedyFor(failure, identifiers) };
  }
  const selfSigned = server?.subject.equals(server.issuer) === true;
  if (record.usage !== DANE_TA || chain.length !== 1 || selfSigned || failure !== "no-match") return undefined;
  const explanation = `TLSA ${because}. Whether it is the right issuer cannot be seen.`;
  const remedy = "send the issuer's certificate behind the server's own: install the file that is often called fullchain";
  return { class: "certificate-path", explanation, rfc: "RFC 7672 §3.1.2", actor, remedy };
}

/** A certificate that PKIX does not find valid where `demandedBy` wants it (RFC 8461 §4.2, RFC 8689 §4.2.1). */
export function identityFinding(
  identity: Extract<ServerIdentity, { kind: "invalid" }>,
  facts: { host: string; identifier: DomainName; demandedBy: string; severity: Finding["severity"]; rfc: string },
): Finding {
  const { host, identifier, demandedBy, severity, rfc } = facts;
  return {
    class: classOf(identity.failure) ?? "certificate-path",
    severity,
    host,
    explanation: `${host} is not authenticated as ${demandedBy} wants it: ${identity.because}.`,
    rfc,
    actor: "mail-operator",
    remedy: remedyFor(identity.failure, [identifier]),
  };
}
