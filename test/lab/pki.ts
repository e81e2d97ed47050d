import { chainPem, EXPIRED, type MadeCertificate, makeAuthority, makeLeaf, tlsaFor } from "../fake/certificates.ts";
import type { Certificate, TlsaRecord } from "./scenario.ts";

/** The lab's certification authority, and certificates and TLSA records by the table's wishes. */
export type Pki = { ca: MadeCertificate; another: MadeCertificate };

/** What a host presents: PEM, in the order in which the server sends it. */
export type Identity = { leaf: MadeCertificate; chainPem: string };

export function createPki(): Pki {
  const ca = makeAuthority({ commonName: "dane-relay lab CA" });
  return { ca, another: makeLeaf({ names: ["another.invalid"], issuer: ca }) };
}

/** A certificate for `host`, with a key of its own, spoiled as the row wishes. */
export function issue(pki: Pki, host: string, wishes: Certificate): Identity {
  const leaf = makeLeaf({
    names: wishes.names ?? [host],
    commonName: host.length <= 64 ? host : [],
    ...(wishes.issuer === "self" ? {} : { issuer: pki.ca }),
    ...(wishes.validity === "expired" ? EXPIRED : {}),
  });
  const alone = wishes.issuer === "self" || wishes.sends === "leaf";
  return { leaf, chainPem: alone ? chainPem(leaf) : chainPem(leaf, pki.ca) };
}

function certificateOf(of: Exclude<TlsaRecord["of"], "nothing">, identity: Identity, pki: Pki): MadeCertificate {
  switch (of) {
    case "leaf":
      return identity.leaf;
    case "ca":
      return pki.ca;
    case "another-certificate":
      return pki.another;
    default:
      return of satisfies never;
  }
}

const SHA256_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/** The presentation form of the RDATA: "3 1 1 abcd...". */
export function tlsaText(record: TlsaRecord, identity: Identity, pki: Pki): string {
  const { usage, selector, matchingType, of } = record;
  const digest =
    of === "nothing"
      ? SHA256_OF_NOTHING
      : tlsaFor(certificateOf(of, identity, pki), usage, record.dataOfSelector ?? selector, matchingType).data.toString("hex");
  return `${usage} ${selector} ${matchingType} ${digest}`;
}
