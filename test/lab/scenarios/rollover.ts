import { authenticated, type Certificate, refused, type Scenario, type TlsaRecord, tlsa } from "../scenario.ts";

/**
 * What surveys of DANE on the Internet find broken, and the ways of changing a certificate that keep mail coming. Each row is the moment
 * that decides. Missing DS, expired signatures, a DS of an unknown key and a digest of nothing are in `security.ts` and `matching.ts`.
 */
type Row = {
  slug: string;
  shows: string;
  tlsa: readonly TlsaRecord[];
  certificate?: Certificate;
  records?: readonly string[];
  outcome: "authenticated" | "mismatch";
};

/** "another-certificate" is the one before or after the one in use. */
const OTHER = "another-certificate";

const ROWS: readonly Row[] = [
  {
    slug: "rollover-no-introduction",
    shows: "a new certificate is in use, and TLSA was never changed",
    tlsa: [tlsa("3 1 1", OTHER)],
    outcome: "mismatch",
  },
  {
    slug: "rollover-late-introduction",
    shows: "a new certificate is in use, the new record came later than a TTL before it: resolvers still hold the old RRset",
    tlsa: [tlsa("3 0 1", OTHER), tlsa("3 1 2", OTHER)],
    outcome: "mismatch",
  },
  {
    slug: "rollover-early-retirement",
    shows: "the old certificate is in use, and only the next one's record is published",
    tlsa: [tlsa("3 1 1", OTHER)],
    outcome: "mismatch",
  },
  {
    slug: "rollover-double-before",
    shows: "both records are published, the old certificate is in use",
    tlsa: [tlsa("3 1 1"), tlsa("3 1 1", OTHER)],
    outcome: "authenticated",
  },
  {
    slug: "rollover-double-after",
    shows: "both records are published, the new certificate is in use",
    tlsa: [tlsa("3 1 1", OTHER), tlsa("3 1 1")],
    outcome: "authenticated",
  },
  {
    slug: "rollover-key-kept",
    shows: "the certificate was renewed with the same key: 3 1 1 still holds, the old 3 0 1 beside it does no harm",
    tlsa: [tlsa("3 0 1", OTHER), tlsa("3 1 1")],
    outcome: "authenticated",
  },
  {
    slug: "rollover-certificate-only",
    shows: "the certificate was renewed, and TLSA is 3 0 1 of the old one",
    tlsa: [tlsa("3 0 1", OTHER)],
    outcome: "mismatch",
  },
  {
    slug: "rollover-new-ca",
    shows: "3 1 1 of the old key and 2 1 1 of the new CA, whose certificate is in use",
    tlsa: [tlsa("3 1 1", OTHER), tlsa("2 1 1", "ca")],
    outcome: "authenticated",
  },
  {
    slug: "rollover-before-new-ca",
    shows: "3 1 1 of the key in use, and 2 1 1 of a CA that did not issue it yet",
    tlsa: [tlsa("3 1 1"), tlsa("2 1 1", "another-ca")],
    outcome: "authenticated",
  },
  {
    slug: "rollover-another-ca",
    shows: "2 1 1 of the CA before the last change",
    tlsa: [tlsa("2 1 1", "another-ca")],
    outcome: "mismatch",
  },
  {
    slug: "rollover-ca-unchanged",
    shows: "2 1 1 of the CA: each new certificate of it matches",
    tlsa: [tlsa("2 1 1", "ca")],
    outcome: "authenticated",
  },
];

function row({ slug, shows, tlsa: records, certificate, outcome }: Row): Scenario {
  const domain = `${slug}.lab`;
  const name = `mx.${domain}`;
  const expected = outcome === "authenticated" ? authenticated(name) : refused("!dane:nocertmatch", "mismatch");
  return {
    domain,
    shows,
    hosts: [{ name, server: "postfix", tlsa: records, ...(certificate === undefined ? {} : { certificate }) }],
    expected,
  };
}

/** Two hosts with keys of their own whose TLSA names are aliases of one record. */
const SHARED: readonly Scenario[] = [
  {
    domain: "shared-by-mistake.lab",
    shows: "the only host's TLSA is an alias of another host's, which has another key",
    hosts: [
      { name: "mx.shared-by-mistake.lab", server: "postfix" },
      { name: "other.shared-by-mistake.lab", server: "closed", mx: "none", tlsa: [tlsa("3 1 1")] },
    ],
    records: ["_25._tcp.mx.shared-by-mistake.lab CNAME _25._tcp.other.shared-by-mistake.lab."],
    expected: refused("!dane:nocertmatch", "mismatch"),
  },
  {
    domain: "shared-by-two.lab",
    shows: "both hosts share the second one's record: the first is passed over",
    hosts: [
      { name: "mx1.shared-by-two.lab", server: "postfix" },
      { name: "mx2.shared-by-two.lab", server: "postfix", mx: 20, tlsa: [tlsa("3 1 1")] },
    ],
    records: ["_25._tcp.mx1.shared-by-two.lab CNAME _25._tcp.mx2.shared-by-two.lab."],
    expected: authenticated("mx2.shared-by-two.lab"),
  },
];

export const ROLLOVER: readonly Scenario[] = [...ROWS.map(row), ...SHARED];
