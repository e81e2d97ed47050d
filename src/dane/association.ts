import { createHash } from "node:crypto";
import type { Certificate } from "../x509/certificate.ts";
import { CERT, FULL, SHA2_256, SHA2_512, SPKI, type Tlsa } from "./tlsa.ts";

/** Certificate association (RFC 6698 §2.1.2-§2.1.4): what a record's data are compared with. */

const DIGEST_ALGORITHMS: ReadonlyMap<number, string> = new Map([
  [SHA2_256, "sha256"],
  [SHA2_512, "sha512"],
]);

function selectedOctets(certificate: Certificate, selector: number): Buffer | undefined {
  if (selector === CERT) return certificate.der;
  return selector === SPKI ? certificate.publicKeyInfo : undefined;
}

/** The data that a record of these parameters would need to match `certificate`; undefined for unknown parameters. */
export function associationData(certificate: Certificate, selector: number, matchingType: number): Buffer | undefined {
  const selected = selectedOctets(certificate, selector);
  if (selected === undefined || matchingType === FULL) return selected;
  const algorithm = DIGEST_ALGORITHMS.get(matchingType);
  return algorithm === undefined ? undefined : createHash(algorithm).update(selected).digest();
}

/** Whether the record's data are those of `certificate`; never for unknown parameters. Its usage is not looked at. */
export function isAssociated(record: Tlsa, certificate: Certificate): boolean {
  return associationData(certificate, record.selector, record.matchingType)?.equals(record.data) === true;
}
