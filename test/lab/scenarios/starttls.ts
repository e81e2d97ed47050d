import { authenticated, type Expected, refused, type Scenario, type Server, tlsa } from "../scenario.ts";

/** What the server must offer: STARTTLS, with or without TLSA, and records that no sender can use (RFC 7672 §2.2, §3.1.3). */

const noHandshake = refused("!dane:notls", "handshake-failed");
const missing = refused("!dane:nostarttls", "starttls-missing");

function underTlsa(slug: string, shows: string, server: Server, expected: Expected): Scenario {
  const domain = `${slug}.lab`;
  return { domain, shows, hosts: [{ name: `mx.${domain}`, server, tlsa: [tlsa("3 1 1")] }], expected };
}

/** Usages 0 and 1 need a PKI that SMTP has not: STARTTLS is demanded, nobody is authenticated. */
function unusableOnly(slug: string, server: Server, expected: (host: string) => Expected): Scenario {
  const domain = `${slug}.lab`;
  const host = `mx.${domain}`;
  const records = [tlsa("1 1 1"), tlsa("0 0 1", "ca")];
  return {
    domain,
    shows: `TLSA of usages 0 and 1 only, ${server === "postfix" ? "with" : "without"} STARTTLS`,
    hosts: [{ name: host, server, tlsa: records }],
    expected: expected(host),
  };
}

function withoutTlsa(slug: string, shows: string, server: Server, tls: string, channel: "tls" | "clear"): Scenario {
  const domain = `${slug}.lab`;
  const host = `mx.${domain}`;
  return {
    domain,
    shows,
    hosts: [{ name: host, server, certificate: { issuer: "self", names: ["other.invalid"] } }],
    expected: {
      outcome: "delivered",
      tls,
      dane: "no-tlsa",
      dnssec: { mx: "secure", address: "secure", tlsa: "secure" },
      status: "2.*.*",
      receivedBy: host,
      channel,
    },
  };
}

export const STARTTLS: readonly Scenario[] = [
  underTlsa("no-starttls", "TLSA, but the server offers no STARTTLS", "postfix-clear", missing),
  underTlsa("starttls-454", "TLSA, but STARTTLS is answered with 454", "postfix-454", missing),
  underTlsa("stripped", "TLSA, and a middlebox that hides STARTTLS", "stripped", missing),
  underTlsa("handshake-fails", "TLSA, and a server that says 220 and then no TLS", "handshake-fails", noHandshake),
  underTlsa(
    "no-common-cipher",
    "TLSA, and a server whose key is missing: no cipher suite in common",
    "postfix-without-key",
    noHandshake,
  ),
  unusableOnly("unusable", "postfix", (host) => ({ ...authenticated(host), tls: "dane:encrypt", dane: "unusable" })),
  unusableOnly("unusable-no-starttls", "postfix-clear", () => missing),
  withoutTlsa("no-tlsa", "no TLSA (denied by NSEC): opportunistic TLS, any certificate", "postfix", "may:encrypt", "tls"),
  withoutTlsa("no-tlsa-clear", "no TLSA and no STARTTLS: clear text", "postfix-clear", "may:none", "clear"),
  withoutTlsa(
    "no-tlsa-no-cipher",
    "no TLSA, and every handshake fails: clear text on a new connection",
    "postfix-without-key",
    "may:none",
    "clear",
  ),
  withoutTlsa("no-tlsa-454", "no TLSA, and STARTTLS is answered with 454: clear text", "postfix-454", "may:none", "clear"),
];
