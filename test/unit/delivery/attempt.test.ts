import type { PeerSession } from "../../fake/smtpPeer.ts";
import { CLEAR, dns, INSECURE_HOST, INSECURE_MX, MX1, MX2, ONE, rows, TLSA1, TLSA2, TWO } from "./attemptRows.ts";
import { NETWORK, PORT } from "./deliveryWorld.ts";

/** The decision table of design.md §3, row by row, through the real attempt: DNS is a table, the receivers are real. */

const NOT_ASKED = "not-asked/not-asked";

rows("the MX look-up (RFC 5321 §5.1, RFC 7672 §2.1.2, RFC 7505)", [
  ["bogus", { dns: dns("example.org MX bogus", TLSA1) }, `deferred 4.7.5 !dane? bogus bogus/${NOT_ASKED}`],
  ["failed", { dns: "example.org MX fail" }, `deferred 4.4.3 !dane? lookup-failed failed/${NOT_ASKED}`],
  [
    "failed, although DANE is switched off",
    { dns: "example.org MX fail\nexample.org A secure mx1", receivers: ONE, demand: { level: "may", levelFrom: "operator" } },
    `deferred 4.4.3 may:noconnect lookup-failed failed/${NOT_ASKED}`,
  ],
  [
    "bogus, dane-only",
    { dns: "example.org MX bogus", demand: { level: "dane-only", levelFrom: "operator" } },
    `deferred 4.7.5 !dane-only? bogus bogus/${NOT_ASKED}`,
  ],
  ["NXDOMAIN, proved", { dns: "example.org MX secure nxdomain" }, `failed 5.1.2 dane:noconnect not-tried secure/${NOT_ASKED}`],
  [
    "NXDOMAIN, insecure",
    { dns: "example.org MX insecure nxdomain" },
    `failed 5.1.2 dane:noconnect not-tried insecure/${NOT_ASKED}`,
  ],
  [
    "alias to a name that does not exist",
    { dns: "example.org MX secure via secure gone.example.net nxdomain" },
    `failed 5.1.2 dane:noconnect not-tried secure/${NOT_ASKED}`,
  ],
  ["null MX", { dns: "example.org MX secure 0 ." }, `failed 5.1.10 dane:noconnect not-tried secure/${NOT_ASKED}`],
  ["null MX, insecure", { dns: "example.org MX insecure 0 ." }, `failed 5.1.10 dane:noconnect not-tried insecure/${NOT_ASKED}`],
  [
    "a null MX beside a host is passed over",
    { dns: dns("example.org MX secure 0 .", MX1, TLSA1), receivers: ONE },
    "delivered 2 dane authenticated secure/secure/secure mx1:tls",
  ],
  [
    "this relay is the best exchanger",
    { dns: dns(MX1, MX2), self: "mx1.example.org", receivers: TWO },
    `failed 5.4.6 dane:noconnect not-tried secure/${NOT_ASKED}`,
  ],
  [
    "this relay is the second exchanger: the first is tried, nothing behind",
    { dns: dns(MX1, MX2, TLSA1), self: "mx2.example.org", receivers: { mx1: "closed", mx2: "self-signed" } },
    "deferred 4.4.1 dane:noconnect not-tried secure/secure/secure",
  ],
  [
    "a destination that is no name",
    { dns: "", destination: "exa..mple" },
    `failed 5.1.2 dane:noconnect not-tried not-asked/${NOT_ASKED}`,
  ],
]);

rows("no MX: the domain's own name is the host (RFC 7672 §2.2.2)", [
  [
    "proved, TLSA",
    { dns: "example.org A secure mx1\n_PORT._tcp.example.org TLSA secure 3 1 1 own", receivers: ONE },
    "delivered 2 dane authenticated secure/secure/secure mx1:tls",
  ],
  [
    "not proved, TLSA: nobody else chose the name",
    {
      dns: "example.org MX insecure nodata\nexample.org A secure mx1\n_PORT._tcp.example.org TLSA secure 3 1 1 own",
      receivers: ONE,
      insecureMx: "may",
    },
    "delivered 2 dane authenticated insecure/secure/secure mx1:tls",
  ],
  [
    "not proved, mismatch",
    {
      dns: "example.org MX insecure nodata\nexample.org A secure mx1\n_PORT._tcp.example.org TLSA secure 3 1 1 other",
      receivers: ONE,
    },
    "deferred 4.7.5 !dane:nocertmatch mismatch insecure/secure/secure",
  ],
  [
    "not proved, REQUIRETLS: authenticated, and so enough",
    {
      dns: "example.org MX insecure nodata\nexample.org A secure mx1\n_PORT._tcp.example.org TLSA secure 3 1 1 own",
      receivers: {
        mx1: { more: { extensionsInTls: ["REQUIRETLS"] } },
      },
      demand: { messageTls: "required" },
      envelope: { requireTls: true },
    },
    "delivered 2 dane-only authenticated insecure/secure/secure mx1:tls",
  ],
  [
    "an unsigned zone",
    { dns: "example.org A insecure mx1\n_PORT._tcp.example.org TLSA secure 3 1 1 other", signed: [], receivers: CLEAR },
    "delivered 2 may:none insecure insecure/insecure/not-asked mx1:clear",
  ],
  [
    "alias: base is the expanded name, the domain's name is an identifier too",
    {
      dns: dns(
        "example.org MX secure via secure real.example.net nodata",
        "example.org A secure via secure real.example.net mx1",
        "_PORT._tcp.real.example.net TLSA secure 2 1 1 ca",
      ),
      receivers: { mx1: { names: ["example.org"] } },
    },
    "delivered 2 dane authenticated secure/secure/secure mx1:tls",
  ],
  ["no address either", { dns: "" }, "failed 5.4.4 dane:noconnect not-tried secure/secure/not-asked"],
]);

rows("addresses of the host (RFC 7672 §2.1.2, §2.2.2)", [
  [
    "bogus",
    { dns: "example.org MX secure 10 mx1.example.org\nmx1.example.org A bogus" },
    "deferred 4.7.5 !dane? bogus secure/bogus/not-asked",
  ],
  [
    "failed",
    { dns: "example.org MX secure 10 mx1.example.org\nmx1.example.org A fail" },
    "deferred 4.4.3 !dane? lookup-failed secure/failed/not-asked",
  ],
  [
    "none, proved for both families",
    { dns: "example.org MX secure 10 mx1.example.org" },
    "failed 5.4.4 dane:noconnect not-tried secure/secure/not-asked",
  ],
  [
    "none of one family, the other failed: not a proof",
    { dns: "example.org MX secure 10 mx1.example.org\nmx1.example.org AAAA fail" },
    "deferred 4.4.3 !dane? lookup-failed secure/failed/not-asked",
  ],
  [
    "one family failed: the other is used, under DANE",
    { dns: dns(MX1, "mx1.example.org AAAA fail", TLSA1), receivers: ONE },
    "delivered 2 dane authenticated secure/secure/secure mx1:tls",
  ],
  [
    "one family failed: it does not switch DANE off",
    { dns: dns(MX1, "mx1.example.org AAAA bogus", "_PORT._tcp.mx1.example.org TLSA secure 3 1 1 other"), receivers: ONE },
    "deferred 4.7.5 !dane:nocertmatch mismatch secure/secure/secure",
  ],
  [
    "nobody at the IPv6 address: the IPv4 address follows",
    { dns: dns(MX1, "mx1.example.org AAAA secure six", TLSA1), receivers: ONE },
    "delivered 2 dane authenticated secure/secure/secure mx1:tls",
  ],
  [
    "IPv6 first",
    { dns: dns(MX1, "mx1.example.org AAAA secure six", TLSA1), receivers: { mx1: "self-signed", six: "self-signed" } },
    "delivered 2 dane authenticated secure/secure/secure six:tls",
  ],
  [
    "a mismatch at the IPv6 address: the IPv4 address follows, under the same policy",
    { dns: dns(MX1, "mx1.example.org AAAA secure six", TLSA1), receivers: { mx1: "self-signed", six: { names: ["x.test"] } } },
    "delivered 2 dane authenticated secure/secure/secure mx1:tls",
  ],
  [
    "IPv4 secure, IPv6 insecure: the policy binds both",
    {
      dns: dns(MX1, "mx1.example.org AAAA insecure six", "_PORT._tcp.mx1.example.org TLSA secure 3 1 1 other"),
      receivers: { mx1: "self-signed", six: "self-signed" },
    },
    "deferred 4.7.5 !dane:nocertmatch mismatch secure/secure/secure",
  ],
  [
    "a second address of the host",
    { dns: dns(MX1, "mx1.example.org A secure mx2", TLSA1), receivers: { mx1: "closed", mx2: "self-signed" } },
    "delivered 2 dane authenticated secure/secure/secure mx2:tls",
  ],
  [
    "loopback is refused unless allowed",
    { dns: dns(MX1, TLSA1), receivers: ONE, allowLoopback: false },
    "failed 5.4.6 dane:noconnect not-tried secure/secure/not-asked",
  ],
  [
    "loopback is refused, and a family failed: not final",
    { dns: dns(MX1, "mx1.example.org AAAA fail", TLSA1), receivers: ONE, allowLoopback: false },
    "deferred 4.4.3 !dane? lookup-failed secure/secure/not-asked",
  ],
  [
    "a host without address is followed by the next",
    { dns: dns("example.org MX secure 10 mx1.example.org", MX2, TLSA2), receivers: { mx1: "closed", mx2: "self-signed" } },
    "delivered 2 dane authenticated secure/secure/secure mx2:tls",
  ],
  [
    "an address that is not known is followed by the next host",
    {
      dns: dns("example.org MX secure 10 mx1.example.org\nmx1.example.org A bogus", MX2, TLSA2),
      receivers: { mx1: "closed", mx2: "self-signed" },
    },
    "delivered 2 dane authenticated secure/secure/secure mx2:tls",
  ],
  [
    "one host without address, one that is not known: deferred",
    { dns: "example.org MX secure 10 mx1.example.org\nexample.org MX secure 20 mx2.example.org\nmx2.example.org A fail" },
    "deferred 4.4.3 !dane? lookup-failed secure/failed/not-asked",
  ],
]);

rows("TLSA of a host that a secure MX names (RFC 7672 §2.2)", [
  ["3 1 1", { dns: dns(MX1, TLSA1), receivers: ONE }, "delivered 2 dane authenticated secure/secure/secure mx1:tls"],
  [
    "3 1 1, mismatch",
    { dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA secure 3 1 1 other"), receivers: ONE },
    "deferred 4.7.5 !dane:nocertmatch mismatch secure/secure/secure",
  ],
  [
    "3 1 1, no STARTTLS",
    { dns: dns(MX1, TLSA1), receivers: CLEAR },
    "deferred 4.7.4 !dane:nostarttls starttls-missing secure/secure/secure",
  ],
  [
    "3 1 1, STARTTLS stripped on the way",
    { dns: dns(MX1, TLSA1), receivers: { mx1: { starttls: "stripped" } } },
    "deferred 4.7.4 !dane:nostarttls starttls-missing secure/secure/secure",
  ],
  [
    "3 1 1, STARTTLS refused",
    { dns: dns(MX1, TLSA1), receivers: { mx1: { starttls: { refuse: "454 4.7.0 not now" } } } },
    "deferred 4.7.4 !dane:nostarttls starttls-missing secure/secure/secure",
  ],
  [
    "3 1 1, no handshake",
    { dns: dns(MX1, TLSA1), receivers: { mx1: { starttls: { broken: "garbage" } } } },
    "deferred 4.7.5 !dane:notls handshake-failed secure/secure/secure",
  ],
  [
    "2 1 1",
    {
      dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA secure 2 1 1 ca"),
      receivers: { mx1: { names: ["mx1.example.org"] } },
    },
    "delivered 2 dane authenticated secure/secure/secure mx1:tls",
  ],
  [
    "2 1 1, the next-hop domain's name (§3.2.2)",
    { dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA secure 2 1 1 ca"), receivers: { mx1: { names: ["example.org"] } } },
    "delivered 2 dane authenticated secure/secure/secure mx1:tls",
  ],
  [
    "2 1 1, the name of the expanded next-hop domain (§3.2.2)",
    {
      dns: dns(
        "example.org MX secure via secure target.example.net 10 mx1.example.org\nmx1.example.org A secure mx1",
        "_PORT._tcp.mx1.example.org TLSA secure 2 1 1 ca",
      ),
      receivers: { mx1: { names: ["target.example.net"] } },
    },
    "delivered 2 dane authenticated secure/secure/secure mx1:tls",
  ],
  [
    "2 1 1, another name",
    { dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA secure 2 1 1 ca"), receivers: { mx1: { names: ["other.test"] } } },
    "deferred 4.7.5 !dane:nocertmatch mismatch secure/secure/secure",
  ],
  [
    "2 1 1, expired",
    {
      dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA secure 2 1 1 ca"),
      receivers: { mx1: { names: ["mx1.example.org"], validity: "expired" } },
    },
    "deferred 4.7.5 !dane:nocertmatch mismatch secure/secure/secure",
  ],
  [
    "usages 0 and 1 only: TLS, no authentication",
    { dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA secure 1 1 1 other"), receivers: ONE },
    "delivered 2 dane:encrypt unusable secure/secure/secure mx1:tls",
  ],
  [
    "usages 0 and 1 only, no STARTTLS",
    { dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA secure 1 1 1 other"), receivers: CLEAR },
    "deferred 4.7.4 !dane:nostarttls starttls-missing secure/secure/secure",
  ],
  [
    "usages 0 and 1 only, no handshake",
    {
      dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA secure 0 1 1 other"),
      receivers: { mx1: { starttls: { broken: "close" } } },
    },
    "deferred 4.7.5 !dane:notls handshake-failed secure/secure/secure",
  ],
  ["proved absent", { dns: MX1, receivers: ONE }, "delivered 2 may:encrypt no-tlsa secure/secure/secure mx1:tls"],
  [
    "proved absent, no STARTTLS: clear text",
    { dns: MX1, receivers: CLEAR },
    "delivered 2 may:none no-tlsa secure/secure/secure mx1:clear",
  ],
  [
    "proved absent, STARTTLS refused: clear text on the same connection",
    { dns: MX1, receivers: { mx1: { starttls: { refuse: "454 4.7.0 not now" } } } },
    "delivered 2 may:none no-tlsa secure/secure/secure mx1:clear",
  ],
  [
    "insecure TLSA count for nothing",
    { dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA insecure 3 1 1 other"), receivers: CLEAR },
    "delivered 2 may:none insecure secure/secure/insecure mx1:clear",
  ],
  [
    "bogus",
    { dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA bogus"), receivers: ONE },
    "deferred 4.7.5 !dane? bogus secure/secure/bogus",
  ],
  [
    "failed",
    { dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA fail"), receivers: ONE },
    "deferred 4.4.3 !dane? lookup-failed secure/secure/failed",
  ],
  [
    "addresses insecure: TLSA is not asked for",
    { dns: dns(INSECURE_HOST, TLSA1.replace("own", "other")), receivers: CLEAR },
    "delivered 2 may:none insecure secure/insecure/not-asked mx1:clear",
  ],
]);

/** A handshake that fails; without TLS the same server is fine. */
const BROKEN_TLS = { mx1: { starttls: { broken: "garbage" } } } as const;

rows("opportunistic TLS is never worse than clear text (RFC 7672 §2.2)", [
  [
    "the handshake fails: clear text on a new connection",
    { dns: MX1, receivers: BROKEN_TLS },
    "delivered 2 may:none no-tlsa secure/secure/secure mx1:clear",
  ],
  [
    "the server goes at STARTTLS: clear text on a new connection",
    { dns: MX1, receivers: { mx1: { starttls: { refuse: "421 4.7.0 bye" } } } },
    "delivered 2 may:none no-tlsa secure/secure/secure mx1:clear",
  ],
  [
    "under usages 0 and 1 there is no way back to clear text",
    { dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA secure 1 1 1 other"), receivers: BROKEN_TLS },
    "deferred 4.7.5 !dane:notls handshake-failed secure/secure/secure",
  ],
]);

const ALIAS = "example.org MX secure 10 mx1.example.org";

rows("the host is an alias (RFC 7672 §2.2.2, §2.2.3)", [
  [
    "secure throughout: the expanded name is the first base",
    {
      dns: dns(
        ALIAS,
        "mx1.example.org A secure via secure real.example.net mx1",
        "_PORT._tcp.real.example.net TLSA secure 3 1 1 own",
        "_PORT._tcp.mx1.example.org TLSA secure 3 1 1 other",
      ),
      receivers: ONE,
    },
    "delivered 2 dane authenticated secure/secure/secure mx1:tls",
  ],
  [
    "secure throughout, nothing at the expanded name: the own name is the second base",
    {
      dns: dns(
        ALIAS,
        "mx1.example.org A secure via secure real.example.net mx1",
        "_PORT._tcp.mx1.example.org TLSA secure 3 1 1 other",
      ),
      receivers: ONE,
    },
    "deferred 4.7.5 !dane:nocertmatch mismatch secure/secure/secure",
  ],
  [
    "a name in the middle is no base",
    {
      dns: dns(
        ALIAS,
        "mx1.example.org A secure via secure middle.example.net via secure real.example.net mx1",
        "_PORT._tcp.middle.example.net TLSA secure 3 1 1 other",
      ),
      receivers: CLEAR,
    },
    "delivered 2 may:none no-tlsa secure/secure/secure mx1:clear",
  ],
  [
    "the look-up at the expanded name fails: the own name is no way round it",
    {
      dns: dns(ALIAS, "mx1.example.org A secure via secure real.example.net mx1", "_PORT._tcp.real.example.net TLSA fail", TLSA1),
      receivers: ONE,
    },
    "deferred 4.4.3 !dane? lookup-failed secure/secure/failed",
  ],
  [
    "secure alias to insecure addresses: the own name is the base",
    { dns: dns(ALIAS, "mx1.example.org A insecure via secure real.example.com mx1", TLSA1), receivers: ONE },
    "delivered 2 dane authenticated secure/insecure/secure mx1:tls",
  ],
  [
    "secure alias to insecure addresses, mismatch",
    {
      dns: dns(ALIAS, "mx1.example.org A insecure via secure real.example.com mx1", TLSA1.replace("own", "other")),
      receivers: ONE,
    },
    "deferred 4.7.5 !dane:nocertmatch mismatch secure/insecure/secure",
  ],
  [
    "insecure alias: TLSA is not asked for",
    {
      dns: dns(
        ALIAS,
        "mx1.example.org A insecure via insecure real.example.net mx1",
        "mx1.example.org AAAA insecure via insecure real.example.net nodata",
        TLSA1,
      ),
      receivers: CLEAR,
    },
    "delivered 2 may:none insecure secure/insecure/not-asked mx1:clear",
  ],
  [
    "TLSA over an alias: the base stays the host",
    {
      dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA secure via secure shared.example.net 2 1 1 ca"),
      receivers: { mx1: { names: ["mx1.example.org"] } },
    },
    "delivered 2 dane authenticated secure/secure/secure mx1:tls",
  ],
  [
    "TLSA over an insecure alias count for nothing",
    {
      dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA insecure via insecure shared.example.com 3 1 1 other"),
      receivers: CLEAR,
    },
    "delivered 2 may:none insecure secure/secure/insecure mx1:clear",
  ],
]);

rows("a host that an insecure MX names (RFC 7672 §2.2.1), by delivery.insecureMx", [
  ["dane", { dns: dns(INSECURE_MX, TLSA1), receivers: ONE }, "delivered 2 dane:halfdane halfdane insecure/secure/secure mx1:tls"],
  [
    "dane, mismatch",
    { dns: dns(INSECURE_MX, TLSA1.replace("own", "other")), receivers: ONE },
    "deferred 4.7.5 !dane:nocertmatch mismatch insecure/secure/secure",
  ],
  [
    "dane: the next-hop domain's name proves nothing (§3.2.2)",
    { dns: dns(INSECURE_MX, "_PORT._tcp.mx1.example.org TLSA secure 2 1 1 ca"), receivers: { mx1: { names: ["example.org"] } } },
    "deferred 4.7.5 !dane:nocertmatch mismatch insecure/secure/secure",
  ],
  [
    "dane, nothing usable",
    { dns: dns(INSECURE_MX, "_PORT._tcp.mx1.example.org TLSA secure 1 1 1 other"), receivers: CLEAR },
    "deferred 4.7.4 !dane:nostarttls starttls-missing insecure/secure/secure",
  ],
  [
    "dane, look-up fails",
    { dns: dns(INSECURE_MX, "_PORT._tcp.mx1.example.org TLSA fail"), receivers: ONE },
    "deferred 4.4.3 !dane? lookup-failed insecure/secure/failed",
  ],
  [
    "dane, insecure addresses",
    { dns: INSECURE_HOST.replace("MX secure", "MX insecure"), receivers: CLEAR },
    "delivered 2 may:none insecure insecure/insecure/not-asked mx1:clear",
  ],
  [
    "encrypt: any certificate",
    { dns: dns(INSECURE_MX, TLSA1.replace("own", "other")), receivers: ONE, insecureMx: "encrypt" },
    "delivered 2 encrypt insecure insecure/secure/secure mx1:tls",
  ],
  [
    "encrypt, no STARTTLS",
    { dns: dns(INSECURE_MX, TLSA1), receivers: CLEAR, insecureMx: "encrypt" },
    "deferred 4.7.4 !encrypt:nostarttls insecure insecure/secure/secure",
  ],
  [
    "may: TLSA is not asked for",
    { dns: dns(INSECURE_MX, TLSA1), receivers: CLEAR, insecureMx: "may" },
    "delivered 2 may:none insecure insecure/secure/not-asked mx1:clear",
  ],
  [
    "a secure MX is not concerned",
    { dns: dns(MX1, TLSA1), receivers: CLEAR, insecureMx: "may" },
    "deferred 4.7.4 !dane:nostarttls starttls-missing secure/secure/secure",
  ],
]);

const ONLY = { level: "dane-only", levelFrom: "operator" } as const;

rows("delivery.tlsPolicies (RFC 7672 §6, §9.1)", [
  [
    "dane-only",
    { dns: dns(MX1, TLSA1), receivers: ONE, demand: ONLY },
    "delivered 2 dane-only authenticated secure/secure/secure mx1:tls",
  ],
  [
    "dane-only, no TLSA",
    { dns: MX1, receivers: ONE, demand: ONLY },
    "deferred 4.7.5 !dane-only:notlsa no-tlsa secure/secure/secure",
  ],
  [
    "dane-only, nothing usable",
    { dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA secure 1 1 1 own"), receivers: ONE, demand: ONLY },
    "deferred 4.7.5 !dane-only:encrypt unusable secure/secure/secure",
  ],
  [
    "dane-only, insecure MX",
    { dns: dns(INSECURE_MX, TLSA1), receivers: ONE, demand: ONLY },
    "deferred 4.7.5 !dane-only:halfdane insecure insecure/secure/secure",
  ],
  [
    "dane-only, insecure MX, insecureMx encrypt",
    { dns: dns(INSECURE_MX, TLSA1), receivers: ONE, demand: ONLY, insecureMx: "encrypt" },
    "deferred 4.7.5 !dane-only:halfdane insecure insecure/secure/secure",
  ],
  [
    "dane-only, insecure MX, insecureMx may",
    { dns: dns(INSECURE_MX, TLSA1), receivers: ONE, demand: ONLY, insecureMx: "may" },
    "deferred 4.7.5 !dane-only:notlsa insecure insecure/secure/not-asked",
  ],
  [
    "dane-only, insecure addresses",
    { dns: INSECURE_HOST, receivers: ONE, demand: ONLY },
    "deferred 4.7.5 !dane-only:notlsa insecure secure/insecure/not-asked",
  ],
  [
    "dane-only, first host has no TLSA, the second has",
    { dns: dns(MX1, MX2, TLSA2), receivers: TWO, demand: ONLY },
    "delivered 2 dane-only authenticated secure/secure/secure mx2:tls",
  ],
  [
    "encrypt",
    { dns: dns(MX1, TLSA1.replace("own", "other")), receivers: ONE, demand: { level: "encrypt", levelFrom: "operator" } },
    "delivered 2 encrypt exempt secure/secure/not-asked mx1:tls",
  ],
  [
    "encrypt, no STARTTLS",
    { dns: MX1, receivers: CLEAR, demand: { level: "encrypt", levelFrom: "operator" } },
    "deferred 4.7.4 !encrypt:nostarttls exempt secure/secure/not-asked",
  ],
  [
    "may",
    { dns: dns(MX1, TLSA1), receivers: CLEAR, demand: { level: "may", levelFrom: "operator" } },
    "delivered 2 may:none exempt secure/secure/not-asked mx1:clear",
  ],
  [
    "none: clear text although STARTTLS is offered",
    { dns: dns(MX1, TLSA1), receivers: ONE, demand: { level: "none", levelFrom: "operator" } },
    "delivered 2 none exempt secure/secure/not-asked mx1:clear",
  ],
]);

const REQUIRED = { demand: { messageTls: "required" }, envelope: { requireTls: true } } as const;
const REQUIRETLS_SERVER = { more: { extensionsInTls: ["REQUIRETLS", "8BITMIME"] } } as const;
const PKIX_SERVER = { mx1: { names: ["mx1.example.org"], ...REQUIRETLS_SERVER } } as const;
const NO = { demand: { messageTls: "not-required" }, envelope: { tlsRequiredNo: true } } as const;

rows("what the message asks for (RFC 8689)", [
  [
    "REQUIRETLS, met",
    { dns: dns(MX1, TLSA1), receivers: { mx1: REQUIRETLS_SERVER }, ...REQUIRED },
    "delivered 2 dane-only authenticated secure/secure/secure mx1:tls",
  ],
  [
    "REQUIRETLS that the server does not announce",
    { dns: dns(MX1, TLSA1), receivers: ONE, ...REQUIRED },
    "failed 5.7.30 dane-only authenticated secure/secure/secure",
  ],
  [
    "REQUIRETLS that only the second host announces",
    { dns: dns(MX1, MX2, TLSA1, TLSA2), receivers: { mx1: "self-signed", mx2: REQUIRETLS_SERVER }, ...REQUIRED },
    "delivered 2 dane-only authenticated secure/secure/secure mx2:tls",
  ],
  [
    "REQUIRETLS, no TLSA",
    { dns: MX1, receivers: ONE, ...REQUIRED },
    "failed 5.7.10 !pkix:nocertmatch no-tlsa secure/secure/secure",
  ],
  [
    "REQUIRETLS, no TLSA, a certificate of a trusted CA: PKIX is enough where the MX is secure",
    { dns: MX1, receivers: PKIX_SERVER, ...REQUIRED },
    "delivered 2 pkix no-tlsa secure/secure/secure mx1:tls",
  ],
  [
    "REQUIRETLS, no TLSA, a trusted certificate for the domain, not for the host",
    { dns: MX1, receivers: { mx1: { ...PKIX_SERVER.mx1, names: ["example.org"] } }, ...REQUIRED },
    "failed 5.7.10 !pkix:nocertmatch no-tlsa secure/secure/secure",
  ],
  [
    "REQUIRETLS, PKIX, and not announced",
    { dns: MX1, receivers: { mx1: { names: ["mx1.example.org"] } }, ...REQUIRED },
    "failed 5.7.30 pkix no-tlsa secure/secure/secure",
  ],
  [
    "REQUIRETLS, an MX host in an unsigned zone: PKIX",
    { dns: INSECURE_HOST, receivers: PKIX_SERVER, ...REQUIRED },
    "delivered 2 pkix insecure secure/insecure/not-asked mx1:tls",
  ],
  [
    "REQUIRETLS, no MX, an unsigned domain: its own name is the host, and PKIX vouches for it",
    {
      dns: "example.org MX insecure nodata\nexample.org A insecure mx1",
      signed: [],
      receivers: { mx1: { ...PKIX_SERVER.mx1, names: ["example.org"] } },
      ...REQUIRED,
    },
    "delivered 2 pkix insecure insecure/insecure/not-asked mx1:tls",
  ],
  [
    "REQUIRETLS against dane-only: PKIX is not enough",
    {
      dns: MX1,
      receivers: PKIX_SERVER,
      ...REQUIRED,
      demand: { messageTls: "required", level: "dane-only", levelFrom: "operator" },
    },
    "failed 5.7.10 !dane-only:notlsa no-tlsa secure/secure/secure",
  ],
  [
    "REQUIRETLS, insecure MX, a trusted certificate: anybody could have named that host",
    { dns: dns(INSECURE_MX, TLSA1), receivers: PKIX_SERVER, ...REQUIRED },
    "failed 5.7.10 !dane-only:halfdane insecure insecure/secure/secure",
  ],
  [
    "REQUIRETLS, insecure MX, named by an MTA-STS policy, even one in testing; its TLSA has to match, too",
    {
      dns: dns(INSECURE_MX, TLSA1),
      sts: { "example.org": "testing mx1.example.org" },
      receivers: { mx1: { ...PKIX_SERVER.mx1, key: "own" } },
      ...REQUIRED,
    },
    "delivered 2 pkix halfdane insecure/secure/secure mx1:tls",
  ],
  [
    "REQUIRETLS, insecure MX, named by MTA-STS, mismatch",
    {
      dns: dns(INSECURE_MX, TLSA1),
      sts: { "example.org": "enforce mx1.example.org" },
      receivers: PKIX_SERVER,
      ...REQUIRED,
    },
    "failed 5.7.10 !pkix:nocertmatch mismatch insecure/secure/secure",
  ],
  [
    "REQUIRETLS, insecure MX, not named by MTA-STS",
    { dns: INSECURE_MX, sts: { "example.org": "enforce mx2.example.org" }, receivers: PKIX_SERVER, ...REQUIRED },
    "failed 5.7.10 !dane-only:notlsa no-tlsa insecure/secure/secure",
  ],
  [
    "REQUIRETLS, secure MX, not named by an enforced policy",
    { dns: MX1, sts: { "example.org": "enforce mx2.example.org" }, receivers: PKIX_SERVER, ...REQUIRED },
    "failed 5.7.10 !dane-only:notlsa no-tlsa secure/secure/secure",
  ],
  [
    "REQUIRETLS of a notification, and no REQUIRETLS at the server: protected all the same, and delivered (§5)",
    {
      dns: MX1,
      receivers: { mx1: { names: ["mx1.example.org"] } },
      demand: { messageTls: "required" },
      envelope: { requireTls: true, sender: "" },
    },
    "delivered 2 pkix no-tlsa secure/secure/secure mx1:tls",
  ],
  [
    "REQUIRETLS, insecure MX",
    { dns: dns(INSECURE_MX, TLSA1), receivers: ONE, ...REQUIRED },
    "failed 5.7.10 !dane-only:halfdane insecure insecure/secure/secure",
  ],
  [
    "REQUIRETLS, no STARTTLS",
    { dns: dns(MX1, TLSA1), receivers: CLEAR, ...REQUIRED },
    "failed 5.7.10 !dane-only:nostarttls starttls-missing secure/secure/secure",
  ],
  [
    "REQUIRETLS, mismatch",
    { dns: dns(MX1, TLSA1.replace("own", "other")), receivers: ONE, ...REQUIRED },
    "failed 5.7.10 !dane-only:nocertmatch mismatch secure/secure/secure",
  ],
  [
    "REQUIRETLS, the server has no TLS for the moment",
    { dns: dns(MX1, TLSA1), receivers: { mx1: { starttls: { refuse: "454 4.7.0 not now" } } }, ...REQUIRED },
    "deferred 4.7.4 !dane-only:nostarttls starttls-missing secure/secure/secure",
  ],
  [
    "REQUIRETLS, TLSA not known: not final",
    { dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA fail"), receivers: ONE, ...REQUIRED },
    "deferred 4.4.3 !dane-only? lookup-failed secure/secure/failed",
  ],
  [
    "REQUIRETLS, one host does not meet it, the other is out of reach: not final",
    { dns: dns(MX1, MX2, TLSA2), receivers: { mx1: "self-signed", mx2: "closed" }, ...REQUIRED },
    "deferred 4.4.1 dane-only:noconnect not-tried secure/secure/secure",
  ],
  [
    "REQUIRETLS of a notification: not final",
    { dns: MX1, receivers: ONE, demand: { messageTls: "required" }, envelope: { requireTls: true, sender: "" } },
    "deferred 4.7.5 !pkix:nocertmatch no-tlsa secure/secure/secure",
  ],
  [
    "TLS-Required: No, mismatch",
    { dns: dns(MX1, TLSA1.replace("own", "other")), receivers: ONE, ...NO },
    "delivered 2 may:encrypt exempt secure/secure/not-asked mx1:tls",
  ],
  [
    "TLS-Required: No, no STARTTLS",
    { dns: dns(MX1, TLSA1), receivers: CLEAR, ...NO },
    "delivered 2 may:none exempt secure/secure/not-asked mx1:clear",
  ],
  [
    "TLS-Required: No against the operator's own policy",
    {
      dns: dns(MX1, TLSA1),
      receivers: CLEAR,
      ...NO,
      demand: { messageTls: "not-required", level: "dane", levelFrom: "operator" },
    },
    "deferred 4.7.4 !dane:nostarttls starttls-missing secure/secure/secure",
  ],
]);

const AUTH = ["AUTH PLAIN LOGIN", "PIPELINING", "REQUIRETLS"];
const HOP = "relay.example.net A secure mx1\n_PORT._tcp.relay.example.net TLSA secure 3 1 1 own";
const HOP_WITHOUT_TLSA = "relay.example.net A insecure mx1\nrelay.example.net AAAA insecure nodata";
const CREDENTIALS = { username: "user", password: "secret" };
const hop = (nextHop: string, more: object = {}) => ({
  routes: [{ domain: "*", nextHop, tls: "starttls" as const, auth: CREDENTIALS, ...more }],
});
/** user, NUL, user, NUL, secret: 235 to nothing else. */
const PLAIN = "AUTH PLAIN AHVzZXIAc2VjcmV0";
const AUTHENTICATING = {
  extensionsInTls: AUTH,
  replies: {
    AUTH: (line: string) => (line === PLAIN ? "235 2.7.0 ok" : "535 5.7.8 no"),
    MAIL: (_: string, session: PeerSession) =>
      session.commands.some(({ line, inTls }) => inTls && line === PLAIN) ? "250 2.1.0 ok" : "530 5.7.0 authenticate first",
  },
};
const OWN_AUTH = { mx1: { more: AUTHENTICATING } } as const;
const PKIX_AUTH = { mx1: { names: ["relay.example.net"], more: AUTHENTICATING } } as const;

rows("credentials for a next hop", [
  [
    "DANE at the route's own port, then AUTH",
    { dns: HOP, receivers: OWN_AUTH, ...hop(`[relay.example.net]:${PORT}`) },
    "delivered 2 dane authenticated not-asked/secure/secure mx1:tls",
  ],
  [
    "implicit TLS",
    {
      dns: HOP,
      receivers: { mx1: { implicit: { ...AUTHENTICATING, extensions: AUTH } } },
      ...hop(`[relay.example.net]:${PORT}`, { tls: "implicit" }),
    },
    "delivered 2 dane authenticated not-asked/secure/secure mx1:tls",
  ],
  [
    "no TLSA: PKIX for the host's name",
    { dns: HOP_WITHOUT_TLSA, receivers: PKIX_AUTH, ...hop(`[relay.example.net]:${PORT}`) },
    "delivered 2 pkix insecure not-asked/insecure/not-asked mx1:tls",
  ],
  [
    "no TLSA, and no certificate of a trusted CA: no credentials, no mail",
    { dns: HOP_WITHOUT_TLSA, receivers: OWN_AUTH, ...hop(`[relay.example.net]:${PORT}`) },
    "deferred 4.7.5 !pkix:nocertmatch insecure not-asked/insecure/not-asked",
  ],
  [
    "no TLSA, a trusted certificate for another name",
    {
      dns: HOP_WITHOUT_TLSA,
      receivers: { mx1: { names: ["example.org"], more: AUTHENTICATING } },
      ...hop(`[relay.example.net]:${PORT}`),
    },
    "deferred 4.7.5 !pkix:nocertmatch insecure not-asked/insecure/not-asked",
  ],
  [
    "mismatch: no credentials",
    { dns: HOP.replace("own", "other"), receivers: OWN_AUTH, ...hop(`[relay.example.net]:${PORT}`) },
    "deferred 4.7.5 !dane:nocertmatch mismatch not-asked/secure/secure",
  ],
  [
    "STARTTLS stripped: no credentials in clear text, whatever is offered",
    {
      dns: HOP_WITHOUT_TLSA,
      receivers: { mx1: { starttls: "stripped", more: { ...AUTHENTICATING, extensions: AUTH } } },
      ...hop(`[relay.example.net]:${PORT}`),
    },
    "deferred 4.7.4 !pkix:nostarttls insecure not-asked/insecure/not-asked",
  ],
  [
    "an exception for the recipient's domain does not switch DANE off",
    {
      dns: HOP,
      receivers: OWN_AUTH,
      ...hop(`[relay.example.net]:${PORT}`),
      demand: { level: "none", levelFrom: "operator" },
    },
    "delivered 2 dane authenticated not-asked/secure/secure mx1:tls",
  ],
  [
    "nor does TLS-Required: No",
    { dns: HOP.replace("own", "other"), receivers: OWN_AUTH, ...hop(`[relay.example.net]:${PORT}`), ...NO },
    "deferred 4.7.5 !dane:nocertmatch mismatch not-asked/secure/secure",
  ],
  [
    "a domain with secure MX records",
    {
      dns: "example.net MX secure 10 relay.example.net\nrelay.example.net A secure mx1",
      receivers: PKIX_AUTH,
      ...hop(`example.net:${PORT}`),
    },
    "delivered 2 pkix no-tlsa secure/secure/secure mx1:tls",
  ],
  [
    "a domain with insecure MX records, whose host has TLSA and a trusted certificate: it may be anybody's",
    {
      dns: dns("example.net MX insecure 10 relay.example.net", HOP),
      receivers: { mx1: { names: ["relay.example.net"], key: "own", more: AUTHENTICATING } },
      ...hop(`example.net:${PORT}`),
    },
    "deferred 4.7.5 !pkix:noconnect halfdane insecure/secure/secure",
  ],
  [
    "an address: nothing to authenticate",
    { dns: "", receivers: OWN_AUTH, ...hop(`[${NETWORK}1]:${PORT}`) },
    "deferred 4.7.5 !pkix:noconnect address-literal not-asked/not-asked/not-asked",
  ],
  [
    "refused credentials: our own trouble, never a bounce",
    {
      dns: HOP,
      receivers: OWN_AUTH,
      ...hop(`[relay.example.net]:${PORT}`, { auth: { ...CREDENTIALS, password: "wrong" } }),
    },
    "deferred 4.7.5 dane authenticated not-asked/secure/secure",
  ],
  [
    "a password file, read when it is used, without its line end",
    {
      dns: HOP,
      receivers: OWN_AUTH,
      ...hop(`[relay.example.net]:${PORT}`, { auth: { username: "user", passwordFile: "/secret" } }),
      secrets: { "/secret": "secret\n" },
    },
    "delivered 2 dane authenticated not-asked/secure/secure mx1:tls",
  ],
  [
    "a password file that cannot be read",
    {
      dns: HOP,
      receivers: OWN_AUTH,
      ...hop(`[relay.example.net]:${PORT}`, { auth: { username: "user", passwordFile: "/missing" } }),
    },
    "deferred 4.3.5 dane:noconnect not-tried not-asked/not-asked/not-asked",
  ],
]);

rows("next hops: routes and literals (RFC 7672 §2.2, §2.2.2)", [
  [
    "[host]:port: DANE at that port, loopback allowed, no MX look-up",
    {
      dns: "example.org MX bogus\nrelay.example.net A secure mx1\n_PORT._tcp.relay.example.net TLSA secure 3 1 1 own",
      receivers: ONE,
      allowLoopback: false,
      routes: [{ domain: "example.org", nextHop: `[relay.example.net]:${PORT}`, tls: "starttls" }],
    },
    "delivered 2 dane authenticated not-asked/secure/secure mx1:tls",
  ],
  [
    "[host], mismatch",
    {
      dns: "relay.example.net A secure mx1\n_PORT._tcp.relay.example.net TLSA secure 3 1 1 other",
      receivers: ONE,
      routes: [{ domain: "*", nextHop: "[relay.example.net]", tls: "starttls" }],
    },
    "deferred 4.7.5 !dane:nocertmatch mismatch not-asked/secure/secure",
  ],
  [
    "[host], implicit TLS",
    {
      dns: "relay.example.net A secure mx1\n_PORT._tcp.relay.example.net TLSA secure 3 1 1 own",
      receivers: { mx1: { implicit: {} } },
      routes: [{ domain: "*", nextHop: "[relay.example.net]", tls: "implicit" }],
    },
    "delivered 2 dane authenticated not-asked/secure/secure mx1:tls",
  ],
  [
    "[host], implicit TLS without TLSA never falls back to clear text",
    {
      dns: "relay.example.net A secure mx1",
      receivers: { mx1: "no-starttls" },
      routes: [{ domain: "*", nextHop: "[relay.example.net]", tls: "implicit" }],
    },
    "deferred 4.7.5 !may:notls no-tlsa not-asked/secure/secure",
  ],
  [
    "a domain: its MX hosts",
    {
      dns: "example.net MX secure 10 mx1.example.net\nmx1.example.net A secure mx1\n_PORT._tcp.mx1.example.net TLSA secure 2 1 1 ca",
      receivers: { mx1: { names: ["example.net"] } },
      routes: [{ domain: ".org", nextHop: "example.net", tls: "starttls" }],
    },
    "delivered 2 dane authenticated secure/secure/secure mx1:tls",
  ],
  [
    "a domain with insecure MX",
    {
      dns: "example.net MX insecure 10 mx1.example.net\nmx1.example.net A secure mx1\n_PORT._tcp.mx1.example.net TLSA secure 3 1 1 own",
      receivers: ONE,
      routes: [{ domain: "*", nextHop: "example.net", tls: "starttls" }],
    },
    "delivered 2 dane:halfdane halfdane insecure/secure/secure mx1:tls",
  ],
  [
    "[address]:port",
    {
      dns: "example.org MX fail",
      receivers: CLEAR,
      allowLoopback: false,
      routes: [{ domain: "*", nextHop: `[${NETWORK}1]:${PORT}`, tls: "starttls" }],
    },
    "delivered 2 may:none address-literal not-asked/not-asked/not-asked mx1:clear",
  ],
  [
    "an IPv6 address as a setting has it",
    { dns: "", receivers: { six: "self-signed" }, routes: [{ domain: "*", nextHop: "[0:0::1]", tls: "starttls" }] },
    "delivered 2 may:encrypt address-literal not-asked/not-asked/not-asked six:tls",
  ],
  [
    "a next hop that cannot be understood: our own fault, never a bounce",
    { dns: "", routes: [{ domain: "*", nextHop: "[1:2:3]", tls: "starttls" }] },
    "deferred 4.3.5 dane:noconnect not-tried not-asked/not-asked/not-asked",
  ],
  [
    "a literal as destination",
    { dns: "", destination: `[${NETWORK}1]`, receivers: ONE },
    "delivered 2 may:encrypt address-literal not-asked/not-asked/not-asked mx1:tls",
  ],
  [
    "an IPv6 literal as destination",
    { dns: "", destination: "[IPv6:::1]", receivers: { six: "no-starttls" } },
    "delivered 2 may:none address-literal not-asked/not-asked/not-asked six:clear",
  ],
  [
    "a literal that points to this machine",
    { dns: "", destination: `[${NETWORK}1]`, receivers: ONE, allowLoopback: false },
    "failed 5.4.6 dane:noconnect not-tried not-asked/not-asked/not-asked",
  ],
  [
    "a literal under dane-only",
    { dns: "", destination: `[${NETWORK}1]`, receivers: ONE, demand: ONLY },
    "deferred 4.7.5 !dane-only:notlsa address-literal not-asked/not-asked/not-asked",
  ],
]);
