import {
  authenticated,
  type Certificate,
  type Expected,
  refused,
  type Scenario,
  type Server,
  type TlsaRecord,
  tlsa,
} from "../scenario.ts";

/**
 * What a client has to tell apart, against each real server: wrong usage, selector, matching type and data; no STARTTLS; expired,
 * self-signed and name-mismatched certificates; each with and without TLSA. One zone for each server.
 */
type Row = {
  slug: string;
  shows: string;
  tlsa: readonly TlsaRecord[];
  certificate?: Certificate;
  starttls?: "absent";
  expected: (host: string) => Expected;
};

const mismatch = (): Expected => refused("!dane:nocertmatch", "mismatch");
const missing = (): Expected => refused("!dane:nostarttls", "starttls-missing");
const unusable = (host: string): Expected => ({ ...authenticated(host), tls: "dane:encrypt", dane: "unusable" });
const opportunistic = (host: string): Expected => ({ ...authenticated(host), tls: "may:encrypt", dane: "no-tlsa" });
const clear = (host: string): Expected => ({ ...opportunistic(host), tls: "may:none", channel: "clear" });

const CERTIFICATES: readonly { slug: string; shows: string; certificate: Certificate }[] = [
  { slug: "expired", shows: "an expired certificate", certificate: { validity: "expired" } },
  { slug: "self-signed", shows: "a self-signed certificate", certificate: { issuer: "self" } },
  { slug: "wrong-name", shows: "a certificate for another name", certificate: { names: ["other.invalid"] } },
];

const ROWS: readonly Row[] = [
  { slug: "ee-key", shows: "3 1 1 of its key", tlsa: [tlsa("3 1 1")], expected: authenticated },
  { slug: "ee-certificate", shows: "3 0 1 of its certificate", tlsa: [tlsa("3 0 1")], expected: authenticated },
  { slug: "ta-key", shows: "2 1 1 of its CA", tlsa: [tlsa("2 1 1", "ca")], expected: authenticated },
  { slug: "ta-certificate", shows: "2 0 2 of its CA", tlsa: [tlsa("2 0 2", "ca")], expected: authenticated },
  { slug: "usage-2-of-leaf", shows: "2 1 1 with the data of 3 1 1", tlsa: [tlsa("2 1 1", "leaf")], expected: mismatch },
  { slug: "usage-3-of-ca", shows: "3 1 1 with the data of 2 1 1", tlsa: [tlsa("3 1 1", "ca")], expected: mismatch },
  { slug: "usage-1", shows: "1 1 1, which mail cannot use", tlsa: [tlsa("1 1 1")], expected: unusable },
  { slug: "usage-4", shows: "4 1 1, which is not defined", tlsa: [tlsa("4 1 1")], expected: unusable },
  {
    slug: "selector",
    shows: "3 1 1 with the data of 3 0 1",
    tlsa: [{ ...tlsa("3 1 1"), dataOfSelector: 0 }],
    expected: mismatch,
  },
  { slug: "selector-2", shows: "3 2 1, which is not defined", tlsa: [tlsa("3 2 1")], expected: unusable },
  { slug: "matching-3", shows: "3 1 3, which is not defined", tlsa: [tlsa("3 1 3")], expected: unusable },
  { slug: "data", shows: "3 1 1 of another key", tlsa: [tlsa("3 1 1", "another-certificate")], expected: mismatch },
  { slug: "no-starttls", shows: "3 1 1 and no STARTTLS", tlsa: [tlsa("3 1 1")], starttls: "absent", expected: missing },
  { slug: "clear", shows: "no TLSA and no STARTTLS", tlsa: [], starttls: "absent", expected: clear },
  { slug: "plain", shows: "no TLSA and a sound certificate", tlsa: [], expected: opportunistic },
  ...CERTIFICATES.flatMap(({ slug, shows, certificate }): Row[] => [
    { slug: `${slug}-ee`, shows: `3 1 1 and ${shows}`, tlsa: [tlsa("3 1 1")], certificate, expected: authenticated },
    { slug: `${slug}-ta`, shows: `2 1 1 and ${shows}`, tlsa: [tlsa("2 1 1", "ca")], certificate, expected: mismatch },
    { slug: `${slug}-plain`, shows: `no TLSA and ${shows}`, tlsa: [], certificate, expected: opportunistic },
  ]),
];

/**
 * OpenSMTPD 6.8.0p2 as Debian 12 builds it, with OpenSSL 3, offers STARTTLS and then fails every handshake, whatever its key is
 * ("missing private key": OpenSMTPD's issues 1171 and 1239). So it plays what it is: a real server whose TLS is broken.
 */
const noTls = (): Expected => refused("!dane:notls", "handshake-failed");
const OPENSMTPD_ROWS: readonly Row[] = [
  { slug: "ee-key", shows: "3 1 1 of its key, and no handshake works", tlsa: [tlsa("3 1 1")], expected: noTls },
  { slug: "ta-key", shows: "2 1 1 of its CA, and no handshake works", tlsa: [tlsa("2 1 1", "ca")], expected: noTls },
  { slug: "usage-1", shows: "1 1 1, and no handshake works", tlsa: [tlsa("1 1 1")], expected: noTls },
  { slug: "plain", shows: "no TLSA, and no handshake works", tlsa: [], expected: clear },
  { slug: "no-starttls", shows: "3 1 1 and no STARTTLS", tlsa: [tlsa("3 1 1")], starttls: "absent", expected: missing },
  { slug: "clear", shows: "no TLSA and no STARTTLS", tlsa: [], starttls: "absent", expected: clear },
];

function rowsFor(server: "postfix" | "exim" | "opensmtpd", rows: readonly Row[]): Scenario[] {
  const zone = `${server}.lab`;
  return rows.map((row, i): Scenario => {
    const domain = `${row.slug}.${zone}`;
    const host = `mx.${domain}`;
    const kind: Server = row.starttls === "absent" ? `${server}-clear` : server;
    const certificate = row.certificate === undefined ? {} : { certificate: row.certificate };
    return {
      domain,
      shows: `${server}: ${row.shows}`,
      zone: "no-zone",
      ...(i === 0 ? { zones: { [zone]: {} } } : {}),
      hosts: [{ name: host, server: kind, tlsa: row.tlsa, ...certificate }],
      expected: row.expected(host),
    };
  });
}

export const CLIENT_MATRIX: readonly Scenario[] = [
  ...rowsFor("postfix", ROWS),
  ...rowsFor("exim", ROWS),
  ...rowsFor("opensmtpd", OPENSMTPD_ROWS),
];
