import type { Clock } from "../clock.ts";
import type { IssuerKind } from "../diagnosis/surveyRow.ts";
import { isName, parseName } from "../dns/name.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { authenticateServer, type TrustedRoots } from "../x509/serverIdentity.ts";

/** Who issued a server's certificate, by the CAs that this machine trusts; that it has expired or has another name changes nothing. */
export function issuerKind(roots: () => TrustedRoots, clock: Clock) {
  return (chain: readonly Buffer[], host: string): IssuerKind | undefined => {
    const identifier = parseName(host);
    const leaf = chain[0] === undefined ? undefined : parseCertificate(chain[0]);
    if (!isName(identifier) || leaf?.kind !== "certificate") return undefined;
    if (leaf.subject.equals(leaf.issuer)) return "self-signed";
    const identity = authenticateServer({ chain, anchors: roots(), identifier, now: clock.now() });
    const trusted = identity.kind === "valid" || identity.failure === "name-mismatch" || identity.failure === "expired";
    return trusted ? "public-ca" : "other-ca";
  };
}
