import { createHash } from "node:crypto";
import { chainPem, EXPIRED, type KeyPair, type MadeCertificate, makeAuthority, makeLeaf, tlsaFor } from "../fake/certificates.ts";
import type { Certificate, TlsaRecord } from "./scenario.ts";

/** The lab's certification authority, and certificates and TLSA records by the table's wishes. `formerCa`: the CA before it changed its key. */
export type Pki = { ca: MadeCertificate; formerCa: MadeCertificate; anotherCa: MadeCertificate; another: MadeCertificate };

/** What a host presents: PEM, in the order in which the server sends it. */
export type Identity = { leaf: MadeCertificate; chainPem: string };

export function createPki(): Pki {
  const ca = makeAuthority({ commonName: "dane-relay lab CA" });
  return {
    ca,
    formerCa: makeAuthority({ commonName: "dane-relay lab CA" }),
    anotherCa: makeAuthority({ commonName: "another CA" }),
    another: makeLeaf({ names: ["another.invalid"], issuer: ca }),
  };
}

/** A certificate for `host`, with a key of its own or these, spoiled as the row wishes. */
export function issue(pki: Pki, host: string, wishes: Certificate, keys?: KeyPair): Identity {
  const leaf = makeLeaf({
    ...(keys === undefined ? {} : { keys }),
    names: wishes.names ?? [host],
    commonName: host.length <= 64 ? host : [],
    ...(wishes.issuer === "self" ? {} : { issuer: pki.ca }),
    ...(wishes.validity === "expired" ? EXPIRED : {}),
  });
  if (wishes.sends === "leaf-and-former-ca") return { leaf, chainPem: chainPem(leaf, pki.formerCa) };
  const alone = wishes.issuer === "self" || wishes.sends === "leaf";
  return { leaf, chainPem: alone ? chainPem(leaf) : chainPem(leaf, pki.ca) };
}

const SHA256_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/** The association data in hexadecimal. */
function associationData(record: TlsaRecord, identity: Identity, pki: Pki): string {
  const { usage, selector, matchingType, of } = record;
  const made = (certificate: MadeCertificate): string =>
    tlsaFor(certificate, usage, record.dataOfSelector ?? selector, matchingType).data.toString("hex");
  switch (of) {
    case "leaf":
      return made(identity.leaf);
    case "ca":
      return made(pki.ca);
    case "former-ca":
      return made(pki.formerCa);
    case "another-ca":
      return made(pki.anotherCa);
    case "another-certificate":
      return made(pki.another);
    case "nothing":
      return SHA256_OF_NOTHING;
    default:
      return createHash(matchingType === 2 ? "sha512" : "sha256")
        .update(`filler ${of.filler}`)
        .digest("hex");
  }
}

/** The presentation form of the RDATA: "3 1 1 abcd...". */
export function tlsaText(record: TlsaRecord, identity: Identity, pki: Pki): string {
  return `${record.usage} ${record.selector} ${record.matchingType} ${associationData(record, identity, pki)}`;
}
