import { authenticated, type Certificate, type Expected, type Host, type Scenario, type TlsaRecord, tlsa } from "../scenario.ts";

/** MTA-STS (RFC 8461): where DANE does not apply, and beside it where the MX records are not signed. */

type Row = {
  slug: string;
  shows: string;
  mtaSts: NonNullable<Scenario["mtaSts"]>;
  host?: Partial<Host>;
  expected: (host: string) => Expected;
};

const UNSIGNED = { mx: "insecure", address: "insecure", tlsa: "not-asked" } as const;
const HALF_SIGNED = { mx: "insecure", address: "secure", tlsa: "secure" } as const;

function delivered(host: string, tls: string, dane: Expected["dane"], dnssec: Expected["dnssec"]): Expected {
  return { ...authenticated(host), tls, dane, dnssec };
}

function held(tls: string, status: string, dane: Expected["dane"] = "insecure", dnssec: Expected["dnssec"] = UNSIGNED): Expected {
  return { outcome: "deferred", tls, dane, dnssec, status };
}

const enforce = (...mx: readonly string[]) => ({ mode: "enforce", mx }) as const;
const SELF_SIGNED: Certificate = { issuer: "self" };

/** An unsigned domain with one host. */
function unsigned({ slug, shows, mtaSts, host, expected }: Row): Scenario {
  const domain = `${slug}.lab`;
  const name = `mx.${domain}`;
  return {
    domain,
    shows,
    zone: { signing: "unsigned" },
    hosts: [{ name, server: "postfix", ...host }],
    mtaSts,
    expected: expected(name),
  };
}

const withPolicy = (tls: string) => (host: string) => delivered(host, tls, "insecure", UNSIGNED);

const ROWS: readonly Row[] = [
  { slug: "sts", shows: "a policy that is met", mtaSts: enforce("mx.sts.lab"), expected: withPolicy("sts") },
  { slug: "sts-pattern", shows: "a policy with a wildcard", mtaSts: enforce("*.sts-pattern.lab"), expected: withPolicy("sts") },
  {
    slug: "sts-mx-mismatch",
    shows: "an MX host that the policy does not list",
    mtaSts: enforce("mail.sts-mx-mismatch.lab", "*.mx.sts-mx-mismatch.lab"),
    expected: () => held("!sts:noconnect", "4.7.5"),
  },
  {
    slug: "sts-no-starttls",
    shows: "a listed host that offers no STARTTLS",
    mtaSts: enforce("mx.sts-no-starttls.lab"),
    host: { server: "postfix-clear" },
    expected: () => held("!sts:nostarttls", "4.7.4"),
  },
  {
    slug: "sts-stripped",
    shows: "a listed host behind a middlebox that hides STARTTLS",
    mtaSts: enforce("mx.sts-stripped.lab"),
    host: { server: "stripped" },
    expected: () => held("!sts:nostarttls", "4.7.4"),
  },
  {
    slug: "sts-no-tls",
    shows: "a listed host that says 220 and then no TLS",
    mtaSts: enforce("mx.sts-no-tls.lab"),
    host: { server: "handshake-fails" },
    expected: () => held("!sts:notls", "4.7.5"),
  },
  {
    slug: "sts-self-signed",
    shows: "a listed host with a self-signed certificate",
    mtaSts: enforce("mx.sts-self-signed.lab"),
    host: { certificate: SELF_SIGNED },
    expected: () => held("!sts:nocertmatch", "4.7.5"),
  },
  {
    slug: "sts-wrong-name",
    shows: "a listed host whose certificate is for another name",
    mtaSts: enforce("mx.sts-wrong-name.lab"),
    host: { certificate: { names: ["sts-wrong-name.lab", "mail.sts-wrong-name.lab"] } },
    expected: () => held("!sts:nocertmatch", "4.7.5"),
  },
  {
    slug: "sts-expired",
    shows: "a listed host whose certificate is expired",
    mtaSts: enforce("mx.sts-expired.lab"),
    host: { certificate: { validity: "expired" } },
    expected: () => held("!sts:nocertmatch", "4.7.5"),
  },
  {
    slug: "sts-testing",
    shows: "a policy in testing that is not met: delivered all the same",
    mtaSts: { mode: "testing", mx: ["mail.sts-testing.lab"] },
    host: { certificate: SELF_SIGNED },
    expected: withPolicy("may:encrypt"),
  },
  {
    slug: "sts-policy-missing",
    shows: "a TXT record, and no policy at the policy host: as though there were none (RFC 8461 §3.3)",
    mtaSts: { ...enforce("mail.sts-policy-missing.lab"), answers: "not-found" },
    expected: withPolicy("may:encrypt"),
  },
  {
    slug: "sts-policy-untrusted",
    shows: "a TXT record, and a policy host whose certificate is self-signed",
    mtaSts: { ...enforce("mail.sts-policy-untrusted.lab"), certificate: SELF_SIGNED },
    expected: withPolicy("may:encrypt"),
  },
];

/** An unsigned domain whose host is in a signed zone and has TLSA: all three must hold. */
function beside(
  slug: string,
  shows: string,
  records: readonly TlsaRecord[],
  more: Partial<Host>,
  expected: (host: string) => Expected,
): Scenario {
  const domain = `${slug}.lab`;
  const host = `mx.${slug}-host.lab`;
  return {
    domain,
    shows,
    zone: { signing: "unsigned" },
    zones: { [`${slug}-host.lab`]: {} },
    hosts: [{ name: host, server: "postfix", tlsa: records, ...more }],
    mtaSts: enforce(host),
    expected: expected(host),
  };
}

const INSECURE_MX: readonly Scenario[] = [
  beside("sts-halfdane", "an unsigned domain, a signed host: pattern, PKIX and TLSA hold", [tlsa("3 1 1")], {}, (host) =>
    delivered(host, "sts", "halfdane", HALF_SIGNED),
  ),
  beside(
    "sts-halfdane-tlsa",
    "the same, and TLSA of another key: a valid certificate is no way round it",
    [tlsa("3 1 1", "another-certificate")],
    {},
    () => held("!sts:nocertmatch", "4.7.5", "mismatch", HALF_SIGNED),
  ),
  beside(
    "sts-halfdane-pkix",
    "the same, TLSA matches, and no CA vouches for it: TLSA is no way round the policy",
    [tlsa("3 1 1")],
    { certificate: SELF_SIGNED },
    () => held("!sts:nocertmatch", "4.7.5", "halfdane", HALF_SIGNED),
  ),
];

const SIGNED: readonly Scenario[] = [
  {
    domain: "sts-dane.lab",
    shows: "DANE by a signed MX, and a policy that lists another host: DANE wins (RFC 8461 §2)",
    hosts: [{ name: "mx.sts-dane.lab", server: "postfix", tlsa: [tlsa("3 1 1")], certificate: SELF_SIGNED }],
    mtaSts: enforce("mail.sts-dane.lab"),
    expected: authenticated("mx.sts-dane.lab"),
  },
  {
    domain: "sts-no-tlsa.lab",
    shows: "a signed domain without TLSA: its policy holds",
    hosts: [{ name: "mx.sts-no-tlsa.lab", server: "postfix", certificate: SELF_SIGNED }],
    mtaSts: enforce("mx.sts-no-tlsa.lab"),
    expected: held("!sts:nocertmatch", "4.7.5", "no-tlsa", { mx: "secure", address: "secure", tlsa: "secure" }),
  },
  {
    domain: "sts-next-host.lab",
    shows: "the first MX host is not listed, the second is",
    zone: { signing: "unsigned" },
    hosts: [
      { name: "mx1.sts-next-host.lab", server: "postfix" },
      { name: "mx2.sts-next-host.lab", server: "postfix", mx: 20 },
    ],
    mtaSts: enforce("mx2.sts-next-host.lab"),
    expected: delivered("mx2.sts-next-host.lab", "sts", "insecure", UNSIGNED),
  },
];

export const MTA_STS: readonly Scenario[] = [...ROWS.map(unsigned), ...INSECURE_MX, ...SIGNED];
