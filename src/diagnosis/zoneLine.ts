import { createHash } from "node:crypto";
import { associationData } from "../dane/association.ts";
import { CERT, DANE_EE, DANE_TA, SHA2_256, SPKI } from "../dane/tlsa.ts";
import { type DomainName, nameToWire } from "../dns/name.ts";
import type { Certificate } from "../x509/certificate.ts";
import type { KeyFact } from "./chainLink.ts";

/** Zone-file lines (RFC 1035 §5.1) that mend something, ready to paste. */

const DIGEST_SHA256 = 2;

/** The DS records that the parent of `zone` should publish for its keys (RFC 4034 §5.1.4, SHA-256 by RFC 8624 §3.3): for entry keys, if any. */
export function dsLines(zone: DomainName, keys: readonly KeyFact[]): readonly string[] {
  const usable = keys.filter(({ role }) => role !== "revoked");
  const entries = usable.filter(({ role }) => role === "entry");
  return (entries.length > 0 ? entries : usable).map(({ keyTag, algorithm, rdata }) => {
    const digest = createHash("sha256")
      .update(Buffer.concat([nameToWire(zone), rdata]))
      .digest("hex");
    return `${zone} IN DS ${keyTag} ${algorithm} ${DIGEST_SHA256} ${digest}`;
  });
}

/** `3 1 1` of the server's own key: survives every renewal with the same key, and needs neither name nor date (RFC 7671 §5.1). */
export function endEntityLine(owner: DomainName, server: Certificate): string {
  return tlsaLine(owner, DANE_EE, SPKI, server);
}

/** `2 0 1` of an issuer. */
export function trustAnchorLine(owner: DomainName, issuer: Certificate): string {
  return tlsaLine(owner, DANE_TA, CERT, issuer);
}

function tlsaLine(owner: DomainName, usage: number, selector: number, certificate: Certificate): string {
  const data = associationData(certificate, selector, SHA2_256);
  if (data === undefined) throw new Error("SHA-256 of a certificate is always there");
  return `${owner} IN TLSA ${usage} ${selector} ${SHA2_256} ${data.toString("hex")}`;
}
