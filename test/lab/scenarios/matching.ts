import { authenticated, type Certificate, refused, type Scenario, type TlsaRecord, tlsa } from "../scenario.ts";

/** What the certificate must be like under each usage, selector and matching type (RFC 7672 §3.1, §3.2, RFC 7671 §5). */

const mismatch = refused("!dane:nocertmatch", "mismatch");

type Row = { slug: string; shows: string; tlsa: readonly TlsaRecord[]; certificate?: Certificate };

const good: readonly Row[] = [
  { slug: "ee-spki-sha256", shows: "TLSA 3 1 1 of the server's key", tlsa: [tlsa("3 1 1")] },
  { slug: "ee-cert-sha256", shows: "TLSA 3 0 1 of the server's certificate", tlsa: [tlsa("3 0 1")] },
  { slug: "ee-spki-sha512", shows: "TLSA 3 1 2", tlsa: [tlsa("3 1 2")] },
  { slug: "ee-spki-full", shows: "TLSA 3 1 0, the key itself", tlsa: [tlsa("3 1 0")] },
  { slug: "ta-spki-sha256", shows: "TLSA 2 1 1 of the CA's key", tlsa: [tlsa("2 1 1", "ca")] },
  { slug: "ta-cert-sha256", shows: "TLSA 2 0 1 of the CA's certificate", tlsa: [tlsa("2 0 1", "ca")] },
  {
    slug: "ta-cert-full",
    shows: "TLSA 2 0 0: the CA's certificate is only in DNS, the server sends its leaf alone",
    tlsa: [tlsa("2 0 0", "ca")],
    certificate: { sends: "leaf" },
  },
  {
    slug: "ta-key-full",
    shows: "TLSA 2 1 0: the CA's bare key is only in DNS, the server sends its leaf alone (RFC 7671 §5.2.3)",
    tlsa: [tlsa("2 1 0", "ca")],
    certificate: { sends: "leaf" },
  },
  {
    slug: "many-records",
    shows: "forty TLSA records, an answer too big for UDP, one matches",
    tlsa: [...Array.from({ length: 39 }, (_, i) => tlsa("3 1 2", { filler: i })), tlsa("3 1 2")],
  },
  {
    slug: "ee-expired",
    shows: "3 1 1 and an expired certificate (RFC 7672 §3.1.1: dates do not count)",
    tlsa: [tlsa("3 1 1")],
    certificate: { validity: "expired" },
  },
  {
    slug: "ee-self-signed",
    shows: "3 1 1 and a self-signed certificate",
    tlsa: [tlsa("3 1 1")],
    certificate: { issuer: "self" },
  },
  {
    slug: "ee-wrong-name",
    shows: "3 1 1 and a certificate for another name (RFC 7672 §3.1.1: names do not count)",
    tlsa: [tlsa("3 1 1")],
    certificate: { names: ["other.invalid"] },
  },
  {
    slug: "two-records",
    shows: "two TLSA records, the second matches (a key rollover in progress)",
    tlsa: [tlsa("3 1 1", "another-certificate"), tlsa("3 1 1")],
  },
  {
    slug: "usable-beside-unusable",
    shows: "an unusable 1 1 1 beside a matching 3 1 1",
    tlsa: [tlsa("1 1 1", "another-certificate"), tlsa("3 1 1")],
  },
  {
    slug: "ta-next-hop-name",
    shows: "2 1 1 and a certificate for the recipient's domain instead of the host (RFC 7672 §3.2.2)",
    tlsa: [tlsa("2 1 1", "ca")],
    certificate: { names: ["ta-next-hop-name.lab"] },
  },
];

const bad: readonly Row[] = [
  { slug: "mismatch", shows: "3 1 1 of another key", tlsa: [tlsa("3 1 1", "another-certificate")] },
  { slug: "empty-digest", shows: "3 1 1 with the digest of nothing (a broken script)", tlsa: [tlsa("3 1 1", "nothing")] },
  { slug: "wrong-selector", shows: "3 1 1 whose data is that of 3 0 1", tlsa: [{ ...tlsa("3 1 1"), dataOfSelector: 0 }] },
  {
    slug: "ta-expired",
    shows: "2 1 1 and an expired certificate",
    tlsa: [tlsa("2 1 1", "ca")],
    certificate: { validity: "expired" },
  },
  {
    slug: "ta-self-signed",
    shows: "2 1 1 of the CA and a self-signed certificate",
    tlsa: [tlsa("2 1 1", "ca")],
    certificate: { issuer: "self" },
  },
  {
    slug: "ta-wrong-name",
    shows: "2 1 1 and a certificate for another name",
    tlsa: [tlsa("2 1 1", "ca")],
    certificate: { names: ["other.invalid"] },
  },
  {
    slug: "ta-not-sent",
    shows: "2 1 1 whose CA certificate the server does not send",
    tlsa: [tlsa("2 1 1", "ca")],
    certificate: { sends: "leaf" },
  },
  {
    slug: "ta-former-key",
    shows: "2 1 1 of the key that the CA had before: its old certificate is still sent, and did not issue the server's",
    tlsa: [tlsa("2 1 1", "former-ca")],
    certificate: { sends: "leaf-and-former-ca" },
  },
];

function row(spec: Row, expected: (host: string) => Scenario["expected"]): Scenario {
  const domain = `${spec.slug}.lab`;
  const host = `mx.${domain}`;
  return {
    domain,
    shows: spec.shows,
    hosts: [
      {
        name: host,
        server: "postfix",
        tlsa: spec.tlsa,
        ...(spec.certificate === undefined ? {} : { certificate: spec.certificate }),
      },
    ],
    expected: expected(host),
  };
}

export const MATCHING: readonly Scenario[] = [
  ...good.map((spec) => row(spec, authenticated)),
  ...bad.map((spec) => row(spec, () => mismatch)),
];
