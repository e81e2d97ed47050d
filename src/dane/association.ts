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

/** Answers "which of these records name that certificate" many times: however many records, each certificate is hashed once. */
export class AssociationIndex {
  readonly #byData = new Map<string, Tlsa[]>();
  readonly #parameters = new Map<string, Pick<Tlsa, "selector" | "matchingType">>();
  readonly #known = new Map<Certificate, readonly Tlsa[]>();

  constructor(records: readonly Tlsa[]) {
    for (const record of records) {
      const { selector, matchingType, data } = record;
      this.#parameters.set(`${selector} ${matchingType}`, { selector, matchingType });
      const key = keyOf(selector, matchingType, data);
      this.#byData.set(key, [...(this.#byData.get(key) ?? []), record]);
    }
  }

  naming(certificate: Certificate): readonly Tlsa[] {
    const known = this.#known.get(certificate);
    if (known !== undefined) return known;
    const found = [...this.#parameters.values()].flatMap(({ selector, matchingType }) => {
      const data = associationData(certificate, selector, matchingType);
      return data === undefined ? [] : (this.#byData.get(keyOf(selector, matchingType, data)) ?? []);
    });
    this.#known.set(certificate, found);
    return found;
  }
}

function keyOf(selector: number, matchingType: number, data: Buffer): string {
  return `${selector} ${matchingType} ${data.toString("latin1")}`;
}
