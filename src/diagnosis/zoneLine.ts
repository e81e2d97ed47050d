import { createHash } from "node:crypto";
import { associationData } from "../dane/association.ts";
import { DANE_EE, presentTlsa, SHA2_256, SPKI, type Tlsa } from "../dane/tlsa.ts";
import { type DomainName, nameToWire } from "../dns/name.ts";
import type { Certificate } from "../x509/certificate.ts";
import type { KeyFact } from "./chainLink.ts";

/** Zone-file lines (RFC 1035 §5.1) that mend something, ready to paste. */

const DIGEST_SHA256 = 2;

/**
 * The DS records that the parent of `zone` should publish for its keys (RFC 4034 §5.1.4, SHA-256 by RFC 8624 §3.3): for entry keys, if any. Their TTL
 * is the parent's choice.
 */
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

/** As `dane-relay tlsa` has it: short enough that what was wrong is soon forgotten. */
const TTL_SECONDS = 3600;

/** `3 1 1` of the server's own key: survives every renewal with the same key, and needs neither name nor date (RFC 7671 §5.1). */
export function endEntityLine(owner: DomainName, server: Certificate): string {
  const data = associationData(server, SPKI, SHA2_256);
  if (data === undefined) throw new Error("SHA-256 of a certificate is always there");
  return tlsaLine(owner, { usage: DANE_EE, selector: SPKI, matchingType: SHA2_256, data });
}

export function tlsaLine(owner: DomainName, record: Tlsa): string {
  return `${owner} ${TTL_SECONDS} IN TLSA ${presentTlsa(record)}`;
}

/** RFC 8461 §3.1: an id that differs from every one before it tells senders to fetch the policy. `now` in milliseconds since the epoch. */
export function stsRecordLine(domain: string, now: number): string {
  const id = new Date(now).toISOString().slice(0, 19).replace(/[-:T]/g, "");
  return `_mta-sts.${domain}. ${TTL_SECONDS} IN TXT "v=STSv1; id=${id}"`;
}
