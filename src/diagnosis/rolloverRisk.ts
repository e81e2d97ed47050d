import { isAssociated } from "../dane/association.ts";
import { CERT, DANE_EE, shortTlsa, type Tlsa } from "../dane/tlsa.ts";
import { parseCertificate } from "../x509/certificate.ts";
import type { Finding } from "./finding.ts";

/**
 * A host that will be cut off at its next renewal: its certificate is near its end, and the only TLSA records are those of the certificate or
 * key in use (RFC 7671 §8.1: the next record has to be there two TTLs before).
 */
const DAY = 86_400_000;
/** Certificates of public CAs are renewed about 30 days before their end; what is older has no renewal that works by itself. */
export const NEAR_END_DAYS = 21;

/** `records`: the usable ones, of which `matched` authenticated the server whose `chain` that is. */
export function rolloverRisk(
  facts: { host: string; records: readonly Tlsa[]; chain: readonly Buffer[]; now: number },
  matched: { record: Tlsa; depth: number },
): Finding | undefined {
  const { host, records, chain, now } = facts;
  const server = chain[0] === undefined ? undefined : parseCertificate(chain[0]);
  // Under DANE-TA the next certificate of the same CA matches as well.
  if (server?.kind !== "certificate" || matched.record.usage !== DANE_EE) return undefined;
  const left = server.notAfter - now;
  if (Number.isNaN(left) || left > NEAR_END_DAYS * DAY) return undefined;
  if (records.some((record) => !isAssociated(record, server))) return undefined;
  const pinsCertificate = records.every(({ selector }) => selector === CERT);
  const end = new Date(server.notAfter).toISOString().slice(0, 10);
  const when = left < 0 ? `has expired on ${end} (which does not matter under usage 3)` : `expires on ${end}`;
  const breaks = pinsCertificate
    ? "its TLSA pins that very certificate, so that any renewal breaks it"
    : "no second TLSA record is published, so that a renewal with a new key breaks it";
  return {
    class: "rollover-at-risk",
    severity: "warning",
    host,
    explanation: `The certificate ${when}, and ${breaks} (TLSA ${shortTlsa(matched.record)}).`,
    rfc: "RFC 7671 §8.1",
    actor: "mail-operator",
    remedy: pinsCertificate
      ? "publish a 3 1 1 record beside it, and renew with the same key; or publish the next certificate's record two TTLs before it is used"
      : "renew with the same key, or publish the next key's 3 1 1 record two TTLs before it is used",
  };
}
