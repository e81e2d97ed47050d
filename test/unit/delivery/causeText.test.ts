import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { dns, INSECURE_MX, MX1, MX2, ONE, TLSA1 } from "./attemptRows.ts";
import { NETWORK, PORT, playOnce, type World } from "./deliveryWorld.ts";

/**
 * What the operator reads at night, and the sender in the notification: one sentence that names the host, says what was there instead of
 * what, and who has to do what; nothing twice. Digests are written as `..` here.
 */
const TA1 = "_PORT._tcp.mx1.example.org TLSA secure 2 1 1 ca";
const OTHER1 = TLSA1.replace("own", "other");
const LEAVES = "its operator has to enable it, unless something on the way hides it";
const REPAIR = "has to repair it, unless somebody forges its answers";

const ROWS: readonly (readonly [title: string, world: World, text: string])[] = [
  ["MX bogus", { dns: "example.org MX bogus" }, `example.org. is forged: whoever runs the DNS of example.org ${REPAIR}`],
  [
    "MX not answered",
    { dns: "example.org MX fail" },
    "example.org.: SERVFAIL: whoever runs the DNS of example.org has to look, or whoever runs the resolver that was asked",
  ],
  [
    "TLSA bogus",
    { dns: dns(MX1, "_PORT._tcp.mx1.example.org TLSA bogus"), receivers: ONE },
    `mx1.example.org is not used, since its TLSA records are not known: _PORT._tcp.mx1.example.org. is forged: whoever runs the DNS of mx1.example.org ${REPAIR}`,
  ],
  [
    "no address",
    { dns: "example.org MX secure 10 mx1.example.org" },
    "no mail host of example.org has an address (mx1.example.org)",
  ],
  ["no MX, no address", { dns: "" }, "example.org has neither an MX record nor an address"],
  [
    "loopback",
    { dns: MX1, receivers: ONE, allowLoopback: false },
    "mail for example.org would loop: mx1.example.org has only addresses that point back to this machine or network: MX1_ADDRESS",
  ],
  [
    "a literal that points back",
    { dns: "", destination: "[IPv6:::1]", allowLoopback: false },
    "mail for [IPv6:::1] would loop: [IPv6:::1] has only addresses that point back to this machine or network: ::1",
  ],
  [
    "nobody there",
    { dns: MX1, receivers: { mx1: "closed" } },
    "mx1.example.org was not reached: MX1_ADDRESS port PORT: connection refused",
  ],
  [
    "greeting",
    { dns: MX1, receivers: { mx1: { more: { greeting: "421 4.3.2 too busy" } } } },
    "mx1.example.org (MX1_ADDRESS): the server did not greet with 220: 421 4.3.2 too busy",
  ],
  [
    "no STARTTLS, TLSA",
    { dns: dns(MX1, TLSA1), receivers: { mx1: "no-starttls" } },
    `mx1.example.org offers no STARTTLS, which its TLSA records demand: ${LEAVES}`,
  ],
  [
    "no STARTTLS, level encrypt",
    { dns: MX1, receivers: { mx1: "no-starttls" }, demand: { level: "encrypt", levelFrom: "operator" } },
    `mx1.example.org offers no STARTTLS, which delivery.tlsPolicies demands: ${LEAVES}`,
  ],
  [
    "no STARTTLS, insecureMx encrypt",
    { dns: dns(INSECURE_MX, TLSA1), receivers: { mx1: "no-starttls" }, insecureMx: "encrypt" },
    `mx1.example.org offers no STARTTLS, which delivery.insecureMx demands: ${LEAVES}`,
  ],
  [
    "STARTTLS refused",
    { dns: dns(MX1, TLSA1), receivers: { mx1: { starttls: { refuse: "454 4.7.0 not now" } } } },
    "mx1.example.org did not begin TLS, which its TLSA records demand (the server refused STARTTLS: 454 4.7.0 not now): its operator has to repair it",
  ],
  [
    "no handshake",
    { dns: dns(MX1, TLSA1), receivers: { mx1: { starttls: { broken: "close" } } } },
    "mx1.example.org offers STARTTLS, which its TLSA records demand, but the TLS handshake failed: the server closed the connection: its operator has to repair it",
  ],
  [
    "another key",
    { dns: dns(MX1, OTHER1), receivers: ONE },
    "mx1.example.org publishes TLSA 3 1 1 .., but the server's key has another SHA-256 (..): its operator has to publish a TLSA record for the certificate in use, or present the one that is published",
  ],
  [
    "two records",
    { dns: dns(MX1, OTHER1, TA1), receivers: ONE },
    "mx1.example.org presents a certificate that none of its TLSA records authenticates (3 1 1 ..: the server's key has another SHA-256 (..); " +
      "2 1 1 ..: the server sent its own certificate only, not the issuer's that this record names): its operator has to publish a TLSA record for the certificate in use, or present the one that is published",
  ],
  [
    "issuer not sent",
    { dns: dns(MX1, TA1), receivers: ONE },
    "mx1.example.org publishes TLSA 2 1 1 .., but the server sent its own certificate only, not the issuer's that this record names: its operator has to send its issuer's certificate with its own (RFC 7672 §3.1.2)",
  ],
  [
    "expired",
    { dns: dns(MX1, TA1), receivers: { mx1: { names: ["mx1.example.org"], validity: "expired" } } },
    "mx1.example.org publishes TLSA 2 1 1 .., but the server's certificate expired at 2020-01-01T00:00:00.000Z: its operator has to renew the certificate",
  ],
  [
    "another name",
    { dns: dns(MX1, TA1), receivers: { mx1: { names: ["other.test"] } } },
    'mx1.example.org publishes TLSA 2 1 1 .., but the server\'s certificate is for "other.test", wanted mx1.example.org or example.org: its operator has to present a certificate for one of these names',
  ],
  [
    "dane-only, no TLSA",
    { dns: MX1, receivers: ONE, demand: { level: "dane-only", levelFrom: "operator" } },
    "the policy for this domain is dane-only, but mx1.example.org publishes no TLSA record (RFC 7672 §2.2)",
  ],
  [
    "REQUIRETLS, insecure MX",
    { dns: dns(INSECURE_MX, TLSA1), receivers: ONE, demand: { messageTls: "required" }, envelope: { requireTls: true } },
    "the message was sent with REQUIRETLS, but mx1.example.org was named by an MX record that is not signed, so that an attacker could have named it (RFC 7672 §2.2.1)",
  ],
  [
    "a reply",
    { dns: dns(MX1, TLSA1), receivers: { mx1: { more: { replies: { RCPT: "550 5.1.1 no such user" } } } } },
    "mx1.example.org said to RCPT: 550 5.1.1 no such user",
  ],
  [
    "two hosts: what tells more comes first",
    { dns: dns(MX1, MX2, TLSA1), receivers: { mx1: "no-starttls", mx2: "closed" } },
    `mx1.example.org offers no STARTTLS, which its TLSA records demand: ${LEAVES}; also, mx2.example.org was not reached: MX2_ADDRESS port PORT: connection refused`,
  ],
  [
    "two addresses with the same trouble: once",
    { dns: dns(MX1, "mx1.example.org A secure mx2", TLSA1), receivers: { mx1: "no-starttls", mx2: "no-starttls" } },
    `mx1.example.org offers no STARTTLS, which its TLSA records demand: ${LEAVES}`,
  ],
  [
    "our own fault",
    { dns: "", routes: [{ domain: "*", nextHop: "[relay", tls: "starttls" }] },
    'delivery.routes: next hop "[relay" is not host, host:port, [host] or [host]:port',
  ],
];

describe("causes as sentences", () => {
  for (const [title, world, text] of ROWS) {
    test(`${title}: ${text}`, async () => {
      const [result] = (await playOnce(world)).results;
      assert.ok(result !== undefined && result.outcome.kind !== "delivered");
      const shown = result.outcome.cause.text
        .replaceAll(/[0-9a-f]{12}\.\./g, "..")
        .replaceAll(`${NETWORK}1`, "MX1_ADDRESS")
        .replaceAll(`${NETWORK}2`, "MX2_ADDRESS")
        .replaceAll(new RegExp(`\\b${PORT}\\b|(?<=_)${PORT}(?=\\.)`, "g"), "PORT");
      assert.equal(shown, text);
    });
  }
});
