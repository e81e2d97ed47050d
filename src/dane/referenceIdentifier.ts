import type { DomainName } from "../dns/name.ts";

/**
 * How the host that mail goes to became known. It decides which names its certificate may bear (RFC 7672 §3.2.2) and what a successful
 * authentication means (§2.2.1).
 *
 * - `mx`, secure: `nextHop` is the name whose MX was looked up, `expandedNextHop` where its aliases ended (`name` of the Resolution).
 * - `mx`, insecure: the redirection could be forged, so the next-hop domain's name in a certificate proves nothing.
 * - `implicit-mx`: the domain has no MX; its own name is the host (RFC 5321 §5.1), and nobody else's choice, however the
 *   lack of an MX was proved.
 * - `relay`: the operator named the host (RFC 7672 §2.2.2, first case): a-priori secure.
 */
export type HostOrigin =
  | { kind: "mx"; mx: "secure"; nextHop: DomainName; expandedNextHop: DomainName }
  | { kind: "mx"; mx: "insecure" }
  | { kind: "implicit-mx"; nextHop: DomainName }
  | { kind: "relay"; nextHop: DomainName };

/**
 * The names of which the certificate has to bear one under DANE-TA (RFC 7672 §3.2.2), the TLSA base domain first. No intermediate
 * alias is ever among them.
 */
export function referenceIdentifiers(base: DomainName, origin: HostOrigin): readonly [DomainName, ...DomainName[]] {
  const others = otherIdentifiers(origin).filter((name) => name !== base);
  return [base, ...new Set(others)];
}

function otherIdentifiers(origin: HostOrigin): readonly DomainName[] {
  switch (origin.kind) {
    case "mx":
      // RFC 7672 §3.2.2: "despite insecure MX redirection, the MX hostname is the only reference identifier".
      return origin.mx === "secure" ? [origin.nextHop, origin.expandedNextHop] : [];
    case "implicit-mx":
    case "relay":
      // RFC 7672 §3.2.2, non-MX hostnames: matters when the base is the alias-expanded name.
      return [origin.nextHop];
    default:
      return origin satisfies never;
  }
}
