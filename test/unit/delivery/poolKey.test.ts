import assert from "node:assert/strict";
import { test } from "node:test";
import type { Tlsa } from "../../../src/dane/tlsa.ts";
import type { HostConnection } from "../../../src/delivery/hostSession.ts";
import { poolKey } from "../../../src/delivery/poolKey.ts";
import { name } from "../../../src/dns/name.ts";
import type { DaneAuthenticate } from "../../../src/policy/tlsPolicy.ts";

/** Sessions are interchangeable under the same host, address, port, way in, login and TLSA set only. */
const record = (octet: number): Tlsa => ({ usage: 3, selector: 1, matchingType: 1, data: Buffer.alloc(32, octet) });
const base = name("mx1.example.org");

function dane(records: readonly [Tlsa, ...Tlsa[]], changes: Partial<DaneAuthenticate> = {}): HostConnection["tls"] {
  const policy: DaneAuthenticate = { kind: "authenticate", mx: "secure", base, records, identifiers: [base], ...changes };
  return { kind: "authenticate", wanted: "dane", got: "dane", success: "authenticated", policy };
}

function connection(changes: Partial<HostConnection>, request: Partial<HostConnection["request"]> = {}): HostConnection {
  return {
    host: "mx1.example.org",
    address: "192.0.2.1",
    tls: dane([record(1), record(2)]),
    sts: { kind: "none" },
    policies: { dane: { kind: "notApplicable", because: "exempt" }, sts: undefined, nextHop: undefined },
    unmet: "deferred",
    dnssec: { mx: "secure", address: "secure", tlsa: "secure" },
    ...changes,
    request: { hostname: "relay.test", port: 25, implicitTls: false, timeouts: { connectSeconds: 1 }, ...request },
  };
}

const key = (changes: Partial<HostConnection>, request?: Partial<HostConnection["request"]>): string =>
  poolKey(connection(changes, request), "authenticate");

/** Another next-hop domain, whose mail goes to the same host. */
const OF_OTHERS = { identifiers: [base, name("example.net")] } as const;
const issuer: Tlsa = { ...record(2), usage: 2 };

const SAME: readonly [string, string][] = [
  ["the records in another order", key({ tls: dane([record(2), record(1)]) })],
  ["what only the log tells", key({ unmet: "failed", dnssec: { mx: "insecure", address: "secure", tlsa: "secure" } })],
  ["further addresses of the host", key({}, { others: [{ address: "192.0.2.2" }] })],
  // RFC 7672 §3.1.1.
  ["another reference name, where DANE-EE looks at none", key({ tls: dane([record(1), record(2)], OF_OTHERS) })],
  ["an insecure MX, where DANE-EE is all there is", key({ tls: dane([record(1), record(2)], { mx: "insecure" }) })],
];
for (const [title, other] of SAME) test(`the same sessions: ${title}`, () => assert.equal(other, key({})));

const OTHER: readonly [string, string][] = [
  ["host", key({ host: "mx2.example.org" })],
  ["address", key({ address: "192.0.2.2" })],
  ["port", key({}, { port: 587 })],
  ["implicit TLS", key({}, { implicitTls: true })],
  ["local address", key({}, { localAddress: "192.0.2.9" })],
  ["login", key({}, { auth: { user: "u", password: "p" } })],
  ["one record less", key({ tls: dane([record(1)]) })],
  ["one record changed", key({ tls: dane([record(1), record(3)]) })],
  ["another usage", key({ tls: dane([record(1), { ...record(2), usage: 2 }]) })],
  ["another base domain", key({ tls: dane([record(1), record(2)], { base: name("alias.example.org") }) })],
  ["encryption only", poolKey(connection({}), "encrypt")],
];
for (const [title, other] of OTHER) test(`other sessions: ${title}`, () => assert.notEqual(other, key({})));

test("where one record is of an issuer, names are looked at, and their sessions are other ones", () => {
  const mixed = (changes: Partial<DaneAuthenticate>): string => key({ tls: dane([record(1), issuer], changes) });
  assert.equal(mixed({ identifiers: [base] }), mixed({}));
  assert.notEqual(mixed(OF_OTHERS), mixed({}));
});
