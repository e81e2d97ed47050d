import { createHash } from "node:crypto";
import type { TlsaData } from "../dns/rdata.ts";
import type { Certificate } from "../x509/certificate.ts";
import type { KeyMaterial } from "../x509/keyMaterial.ts";
import { associationData } from "./association.ts";
import { CERT, DANE_EE, DANE_TA, FULL, PKIX_EE, PKIX_TA, SHA2_256, SHA2_512, SPKI } from "./tlsa.ts";

/** TLSA records that an operator publishes for what a server of theirs has (RFC 6698 §2.1, RFC 7671 §5). */
export type TlsaParameters = { usage: number; selector: number; matchingType: number };

/** The record that SMTP servers should have: it survives renewals with the same key (RFC 7671 §5.1, RFC 7672 §3.1.1). */
export const RECOMMENDED: TlsaParameters = { usage: DANE_EE, selector: SPKI, matchingType: SHA2_256 };

/** `of`: what the record names, in words. */
export type OwnRecord = { record: TlsaData; of: string; certificate?: Certificate };

export type OwnRecords =
  | { kind: "records"; records: readonly [OwnRecord, ...OwnRecord[]] }
  | { kind: "impossible"; because: string };

/**
 * Usage 1 and 3 name the server's own certificate or key: the first of a chain. Usage 0 and 2 name issuers: every CA certificate of the chain, since
 * it is the operator's choice which of them to trust.
 */
export function ownRecords(material: KeyMaterial, parameters: TlsaParameters): OwnRecords {
  const { usage, selector, matchingType } = parameters;
  if (usage > DANE_EE || selector > SPKI || matchingType > SHA2_512)
    return impossible("usage is 0 to 3, selector 0 or 1, matching type 0 to 2 (RFC 6698 §2.1)");
  const named = usage === PKIX_TA || usage === DANE_TA ? "issuers" : "server";
  if (material.kind === "key") {
    if (named === "issuers") return impossible(`a ${material.from} names no issuer: usage ${usage} needs the CA's certificate`);
    if (selector === CERT) return impossible(`a ${material.from} has no certificate: selector 0 needs it`);
    return found([
      { record: { ...parameters, data: keyData(material.publicKeyInfo, matchingType) }, of: `the ${material.from}` },
    ]);
  }
  const chosen = named === "server" ? material.certificates.slice(0, 1) : issuersIn(material.certificates);
  const records = chosen.map((certificate): OwnRecord => {
    const data = associationData(certificate, selector, matchingType);
    if (data === undefined) throw new Error("the parameters were checked");
    return {
      record: { ...parameters, data },
      of: subjectText(certificate),
      certificate,
    };
  });
  const [first, ...rest] = records;
  if (first !== undefined) return found([first, ...rest]);
  return impossible(`no CA certificate is in it: usage ${usage} names an issuer`);
}

/** A lone self-signed certificate is its own issuer. */
function issuersIn(certificates: readonly Certificate[]): readonly Certificate[] {
  return certificates.filter(({ x509, subject, issuer }) => x509.ca || (certificates.length === 1 && subject.equals(issuer)));
}

/** Node has no text at all for an empty subject, whatever its types say. */
function subjectText({ x509 }: Certificate): string {
  const subject: string | undefined = x509.subject;
  return subject === undefined || subject === "" ? "a certificate without a subject" : subject.replaceAll("\n", ", ");
}

function keyData(publicKeyInfo: Buffer, matchingType: number): Buffer {
  if (matchingType === FULL) return publicKeyInfo;
  return createHash(matchingType === SHA2_512 ? "sha512" : "sha256")
    .update(publicKeyInfo)
    .digest();
}

function found(records: readonly [OwnRecord, ...OwnRecord[]]): OwnRecords {
  return { kind: "records", records };
}

function impossible(because: string): OwnRecords {
  return { kind: "impossible", because };
}

/** What an operator should know of these parameters before they publish them; nothing for the recommended ones. */
export function adviceOn({ usage, selector, matchingType }: TlsaParameters, port: number): readonly string[] {
  const advice: string[] = [];
  if ((usage === PKIX_TA || usage === PKIX_EE) && port === 25)
    advice.push(
      `usage ${usage} is not for SMTP: senders treat it as unusable (RFC 7672 §3.1.3). Use ${usage === PKIX_TA ? 2 : 3}.`,
    );
  if (usage === DANE_TA)
    advice.push(
      "usage 2: the server must send this issuer in its chain, and its certificate must have the host's name (RFC 7672 §3.1.2).",
    );
  if (selector === CERT && (usage === DANE_EE || usage === PKIX_EE))
    advice.push(
      "selector 0 names this very certificate: each renewal needs a new record two TTLs before. Selector 1 lives as long as the key.",
    );
  if (matchingType === FULL)
    advice.push("matching type 0 puts everything into DNS: large answers, and none of it is needed. Use 1.");
  return advice;
}
