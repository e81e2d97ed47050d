import { authenticated, type Expected, type Host, type Scenario, type Server, tlsa } from "../scenario.ts";

/** Which host, by which name: MX order, null and implicit MX, aliases, insecure parts (RFC 5321 §5.1, RFC 7505, RFC 7672 §2.2). */

const TLSA = [tlsa("3 1 1")];

/** The first host is broken, the second is fine. */
function failover(slug: string, shows: string, first: Partial<Host> & { server: Server }): Scenario {
  const domain = `${slug}.lab`;
  const good: Host = { name: `mx2.${domain}`, server: "postfix", tlsa: TLSA, mx: 20 };
  return { domain, shows, hosts: [{ name: `mx1.${domain}`, tlsa: TLSA, ...first }, good], expected: authenticated(good.name) };
}

function untouched(outcome: "deferred" | "failed", status: string, mx: "secure" | "insecure" = "secure"): Expected {
  return { outcome, tls: "dane:noconnect", dane: "not-tried", dnssec: { mx, address: "not-asked", tlsa: "not-asked" }, status };
}

function opportunistic(
  host: string,
  mx: "secure" | "insecure",
  address: "secure" | "insecure",
  tlsaWord: "secure" | "not-asked",
): Expected {
  const dane = tlsaWord === "secure" ? "no-tlsa" : "insecure";
  return { ...authenticated(host), tls: "may:encrypt", dane, dnssec: { mx, address, tlsa: tlsaWord } };
}

const FAILOVER: readonly Scenario[] = [
  failover("first-mismatch", "the first MX host does not match its TLSA, the second does", {
    server: "postfix",
    tlsa: [tlsa("3 1 1", "another-certificate")],
  }),
  failover("first-closed", "nothing listens on the first MX host, the second is fine", { server: "closed" }),
  failover("first-no-starttls", "the first MX host offers no STARTTLS, the second is fine", { server: "postfix-clear" }),
  failover("first-without-address", "the first MX host has no address, the second is fine", {
    server: "closed",
    address: "none",
    tlsa: [],
  }),
];

const NO_MX: readonly Scenario[] = [
  {
    domain: "no-mx.lab",
    shows: "no MX record: the domain itself is the host, with its TLSA (RFC 5321 §5.1)",
    hosts: [{ name: "no-mx.lab", server: "postfix", mx: "none", tlsa: TLSA }],
    expected: authenticated("no-mx.lab"),
  },
  {
    domain: "null-mx.lab",
    shows: "a null MX: the domain takes no mail (RFC 7505)",
    hosts: [],
    records: ["null-mx.lab MX 0 ."],
    expected: untouched("failed", "5.1.10"),
  },
  {
    domain: "nxdomain.lab",
    shows: "a domain that does not exist",
    zone: "no-zone",
    hosts: [],
    expected: untouched("failed", "5.1.2"),
  },
  {
    domain: "no-address.lab",
    shows: "an MX host that provably has no address",
    hosts: [{ name: "mx.no-address.lab", server: "closed", address: "none" }],
    expected: { ...untouched("failed", "5.4.4"), dnssec: { mx: "secure", address: "secure", tlsa: "not-asked" } },
  },
  {
    domain: "closed.lab",
    shows: "nothing listens on the only MX host",
    hosts: [{ name: "mx.closed.lab", server: "closed", tlsa: TLSA }],
    expected: { ...untouched("deferred", "4.4.1"), dnssec: { mx: "secure", address: "secure", tlsa: "secure" } },
  },
];

const ALIASES: readonly Scenario[] = [
  {
    domain: "alias-target.lab",
    shows: "the MX host is a CNAME; TLSA at the name it leads to (RFC 7672 §2.2.2)",
    hosts: [{ name: "real.alias-target.lab", server: "postfix", mx: "none", tlsa: TLSA }],
    records: ["alias-target.lab MX 10 mx.alias-target.lab.", "mx.alias-target.lab CNAME real.alias-target.lab."],
    expected: authenticated("real.alias-target.lab"),
  },
  {
    domain: "alias-own.lab",
    shows: "the MX host is a CNAME; TLSA at the CNAME's own name",
    hosts: [{ name: "real.alias-own.lab", server: "postfix", mx: "none", tlsa: [tlsa("3 1 1", "leaf", "mx.alias-own.lab")] }],
    records: ["alias-own.lab MX 10 mx.alias-own.lab.", "mx.alias-own.lab CNAME real.alias-own.lab."],
    expected: authenticated("real.alias-own.lab"),
  },
  {
    domain: "alias-insecure.lab",
    shows: "a signed CNAME into an unsigned zone: TLSA at the CNAME's own name still binds (RFC 7672 §2.2.2)",
    zones: { "elsewhere.alias-insecure.lab": { signing: "unsigned" } },
    hosts: [
      {
        name: "real.elsewhere.alias-insecure.lab",
        server: "postfix",
        mx: "none",
        tlsa: [tlsa("3 1 1", "leaf", "mx.alias-insecure.lab")],
      },
    ],
    records: [
      "alias-insecure.lab MX 10 mx.alias-insecure.lab.",
      "mx.alias-insecure.lab CNAME real.elsewhere.alias-insecure.lab.",
    ],
    expected: {
      ...authenticated("real.elsewhere.alias-insecure.lab"),
      dnssec: { mx: "secure", address: "insecure", tlsa: "secure" },
    },
  },
  {
    domain: "alias-mismatch.lab",
    shows: "a signed CNAME into an unsigned zone, and TLSA of another key at the CNAME's own name",
    zones: { "elsewhere.alias-mismatch.lab": { signing: "unsigned" } },
    hosts: [
      {
        name: "real.elsewhere.alias-mismatch.lab",
        server: "postfix",
        mx: "none",
        tlsa: [tlsa("3 1 1", "another-certificate", "mx.alias-mismatch.lab")],
      },
    ],
    records: [
      "alias-mismatch.lab MX 10 mx.alias-mismatch.lab.",
      "mx.alias-mismatch.lab CNAME real.elsewhere.alias-mismatch.lab.",
    ],
    expected: {
      outcome: "deferred",
      tls: "!dane:nocertmatch",
      dane: "mismatch",
      dnssec: { mx: "secure", address: "insecure", tlsa: "secure" },
      status: "4.7.*",
    },
  },
  {
    domain: "domain-alias.lab",
    shows: "the recipient's domain is a CNAME to a domain with MX and TLSA",
    hosts: [{ name: "mx.domain-alias-target.lab", server: "postfix", mx: "none", tlsa: TLSA }],
    zone: "no-zone",
    zones: { "domain-alias-target.lab": {} },
    records: ["domain-alias.lab CNAME domain-alias-target.lab.", "domain-alias-target.lab MX 10 mx.domain-alias-target.lab."],
    expected: authenticated("mx.domain-alias-target.lab"),
  },
  {
    domain: "expanded-next-hop.lab",
    shows: "a CNAME to a domain whose host's certificate names only that domain (RFC 7672 §3.2.2)",
    hosts: [
      {
        name: "mx.expanded-next-hop-target.lab",
        server: "postfix",
        mx: "none",
        tlsa: [tlsa("2 1 1", "ca")],
        certificate: { names: ["expanded-next-hop-target.lab"] },
      },
    ],
    zone: "no-zone",
    zones: { "expanded-next-hop-target.lab": {} },
    records: [
      "expanded-next-hop.lab CNAME expanded-next-hop-target.lab.",
      "expanded-next-hop-target.lab MX 10 mx.expanded-next-hop-target.lab.",
    ],
    expected: authenticated("mx.expanded-next-hop-target.lab"),
  },
  {
    domain: "dname.lab",
    recipient: "user@sub.alias.dname.lab",
    shows: "the recipient's domain is below a DNAME (RFC 6672)",
    hosts: [{ name: "mx.dname-target.lab", server: "postfix", mx: "none", tlsa: TLSA }],
    zones: { "dname-target.lab": {} },
    records: ["alias.dname.lab DNAME dname-target.lab.", "sub.dname-target.lab MX 10 mx.dname-target.lab."],
    expected: authenticated("mx.dname-target.lab"),
  },
  {
    domain: "tlsa-alias.lab",
    shows: "the TLSA name is a CNAME to a shared record (RFC 7672 §2.1.3)",
    hosts: [{ name: "mx.tlsa-alias.lab", server: "postfix", tlsa: [tlsa("3 1 1", "leaf", "_tlsa.tlsa-alias.lab")] }],
    records: ["_25._tcp.mx.tlsa-alias.lab CNAME _tlsa.tlsa-alias.lab."],
    expected: authenticated("mx.tlsa-alias.lab"),
  },
  {
    domain: "tlsa-wildcard.lab",
    shows: "the TLSA record is a wildcard (RFC 4035 §5.3.4)",
    hosts: [{ name: "mx.tlsa-wildcard.lab", server: "postfix", tlsa: [tlsa("3 1 1", "leaf", "*._tcp.mx.tlsa-wildcard.lab")] }],
    expected: authenticated("mx.tlsa-wildcard.lab"),
  },
];

const INSECURE_PARTS: readonly Scenario[] = [
  {
    domain: "halfdane.lab",
    shows: "an unsigned domain whose MX host is signed and has TLSA (RFC 7672 §2.2.1)",
    zone: { signing: "unsigned" },
    zones: { "halfdane-host.lab": {} },
    hosts: [{ name: "mx.halfdane-host.lab", server: "postfix", tlsa: TLSA }],
    expected: {
      ...authenticated("mx.halfdane-host.lab"),
      tls: "dane:halfdane",
      dane: "halfdane",
      dnssec: { mx: "insecure", address: "secure", tlsa: "secure" },
    },
  },
  {
    domain: "halfdane-mismatch.lab",
    shows: "an unsigned domain whose signed MX host does not match its TLSA",
    zone: { signing: "unsigned" },
    zones: { "halfdane-mismatch-host.lab": {} },
    hosts: [{ name: "mx.halfdane-mismatch-host.lab", server: "postfix", tlsa: [tlsa("3 1 1", "another-certificate")] }],
    expected: {
      outcome: "deferred",
      tls: "!dane:nocertmatch",
      dane: "mismatch",
      dnssec: { mx: "insecure", address: "secure", tlsa: "secure" },
      status: "4.7.*",
    },
  },
  {
    domain: "halfdane-next-hop-name.lab",
    shows:
      "an unsigned domain whose host's certificate names only that domain: an unsigned MX vouches for no name (RFC 7672 §3.2.2)",
    zone: { signing: "unsigned" },
    zones: { "halfdane-next-hop-name-host.lab": {} },
    hosts: [
      {
        name: "mx.halfdane-next-hop-name-host.lab",
        server: "postfix",
        tlsa: [tlsa("2 1 1", "ca")],
        certificate: { names: ["halfdane-next-hop-name.lab"] },
      },
    ],
    expected: {
      outcome: "deferred",
      tls: "!dane:nocertmatch",
      dane: "mismatch",
      dnssec: { mx: "insecure", address: "secure", tlsa: "secure" },
      status: "4.7.*",
    },
  },
  {
    domain: "insecure-address.lab",
    shows: "a signed domain whose MX host is in an unsigned zone: its TLSA is not even asked for (RFC 7672 §2.2.2)",
    zones: { "elsewhere.insecure-address.lab": { signing: "unsigned" } },
    hosts: [{ name: "mx.elsewhere.insecure-address.lab", server: "postfix", tlsa: [tlsa("3 1 1", "another-certificate")] }],
    expected: opportunistic("mx.elsewhere.insecure-address.lab", "secure", "insecure", "not-asked"),
  },
  {
    domain: "alias-without-tlsa.lab",
    shows: "a signed CNAME into an unsigned zone, without TLSA at the CNAME's own name",
    zones: { "elsewhere.alias-without-tlsa.lab": { signing: "unsigned" } },
    hosts: [{ name: "real.elsewhere.alias-without-tlsa.lab", server: "postfix", mx: "none" }],
    records: [
      "alias-without-tlsa.lab MX 10 mx.alias-without-tlsa.lab.",
      "mx.alias-without-tlsa.lab CNAME real.elsewhere.alias-without-tlsa.lab.",
    ],
    expected: opportunistic("real.elsewhere.alias-without-tlsa.lab", "secure", "insecure", "secure"),
  },
];

const LITERAL: Scenario = {
  domain: "literal.lab",
  recipient: "user@[mx.literal.lab]",
  shows: "an address literal: DANE does not apply (RFC 7672 §2.2)",
  hosts: [{ name: "mx.literal.lab", server: "peer", tlsa: [tlsa("3 1 1", "another-certificate")] }],
  expected: {
    ...authenticated("mx.literal.lab"),
    tls: "may:encrypt",
    dane: "address-literal",
    dnssec: { mx: "not-asked", address: "not-asked", tlsa: "not-asked" },
  },
};

export const ROUTING: readonly Scenario[] = [...FAILOVER, ...NO_MX, ...ALIASES, ...INSECURE_PARTS, LITERAL];
