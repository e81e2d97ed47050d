import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { SessionResult } from "../../../src/tlsrpt/result.ts";
import { NETWORK, PORT, playOnce, startWorld, type World } from "./deliveryWorld.ts";

/** `tlsa mx1.example.org success`; failures with their type, host, address and the start of their reason. */
function words({ domain, policy, outcome }: SessionResult): string {
  const about = `${policy.type} ${policy.domain}${domain === "example.org" ? "" : ` for ${domain}`}`;
  if (outcome.kind === "success") return `${about} success`;
  const { failure, ends } = outcome;
  const at = [ends.host, ends.address?.replace(NETWORK, "@")].filter((part) => part !== undefined).join(" ");
  const reason = failure.reason === undefined ? "" : `: ${failure.reason.split(/[:;(]/)[0]}`;
  return [about, failure.resultType, at].filter((part) => part !== "").join(" ") + reason.trimEnd();
}

const DANE = `
  example.org MX secure 10 mx1.example.org
  mx1.example.org A secure mx1
`;
const NO_TLSA = `${DANE}
  _PORT._tcp.mx1.example.org TLSA secure nodata
`;
const MATCHING = `${DANE}
  _PORT._tcp.mx1.example.org TLSA secure 3 1 1 own
`;
const INSECURE = `
  example.org MX insecure 10 mx1.example.org
  mx1.example.org A insecure mx1
`;

const rows: readonly ({ name: string; results: readonly string[] } & World)[] = [
  {
    name: "DANE that matches",
    dns: MATCHING,
    receivers: { mx1: "self-signed" },
    results: ["tlsa mx1.example.org success"],
  },
  {
    name: "a certificate that no record names",
    dns: `${DANE} _PORT._tcp.mx1.example.org TLSA secure 3 1 1 other`,
    receivers: { mx1: "self-signed" },
    results: ["tlsa mx1.example.org certificate-not-trusted mx1.example.org @1: X509_V_ERR_DANE_NO_MATCH"],
  },
  {
    name: "an expired certificate below a DANE-TA anchor",
    dns: `${DANE} _PORT._tcp.mx1.example.org TLSA secure 2 1 1 ca`,
    receivers: { mx1: { names: ["mx1.example.org"], validity: "expired" } },
    results: ["tlsa mx1.example.org certificate-expired mx1.example.org @1: X509_V_ERR_CERT_HAS_EXPIRED"],
  },
  {
    name: "a certificate for another name below a DANE-TA anchor",
    dns: `${DANE} _PORT._tcp.mx1.example.org TLSA secure 2 1 1 ca`,
    receivers: { mx1: { names: ["mx1.example.com"] } },
    results: ["tlsa mx1.example.org certificate-host-mismatch mx1.example.org @1: X509_V_ERR_HOSTNAME_MISMATCH"],
  },
  {
    name: "no STARTTLS where TLSA demands it, and a second host that works",
    dns: `${MATCHING}
      example.org MX secure 20 mx2.example.org
      mx2.example.org A secure mx2
      _PORT._tcp.mx2.example.org TLSA secure 3 1 1 own`,
    receivers: { mx1: "no-starttls", mx2: "self-signed" },
    results: ["tlsa mx1.example.org starttls-not-supported mx1.example.org @1", "tlsa mx2.example.org success"],
  },
  {
    name: "STARTTLS refused in words",
    dns: MATCHING,
    receivers: { mx1: { starttls: { refuse: "454 4.7.0 not now" } } },
    results: ["tlsa mx1.example.org starttls-not-supported mx1.example.org @1: the server refused STARTTLS"],
  },
  {
    name: "a handshake that fails",
    dns: MATCHING,
    receivers: { mx1: { starttls: { broken: "close" } } },
    results: ["tlsa mx1.example.org validation-failure mx1.example.org @1: TLS handshake failed"],
  },
  {
    name: "TLSA records that cannot be validated",
    dns: `${DANE} _PORT._tcp.mx1.example.org TLSA bogus`,
    receivers: { mx1: "self-signed" },
    results: ["tlsa mx1.example.org dnssec-invalid mx1.example.org: _PORT._tcp.mx1.example.org. is forged"],
  },
  {
    name: "TLSA records of which none is usable",
    dns: `${DANE} _PORT._tcp.mx1.example.org TLSA secure 1 1 1 own`,
    receivers: { mx1: "self-signed" },
    results: ["tlsa mx1.example.org tlsa-invalid mx1.example.org @1: certificate usage 1 is not for SMTP, use 3 or 2"],
  },
  {
    name: "MX records that cannot be validated",
    dns: "example.org MX bogus",
    results: ["no-policy-found example.org dnssec-invalid: example.org. is forged"],
  },
  { name: "MX records that could not be asked: transient (§4.3.4)", dns: "example.org MX fail", results: [] },
  {
    name: "addresses that cannot be validated",
    dns: "example.org MX secure 10 mx1.example.org\nmx1.example.org A bogus",
    results: ["no-policy-found example.org dnssec-invalid mx1.example.org: mx1.example.org. is forged"],
  },
  {
    name: "nobody answers: transient (§4.3.4)",
    dns: MATCHING,
    receivers: { mx1: "closed" },
    results: [],
  },
  {
    name: "no policy, and TLS",
    dns: NO_TLSA,
    receivers: { mx1: "self-signed" },
    results: ["no-policy-found example.org success"],
  },
  {
    name: "no policy, and no STARTTLS",
    dns: NO_TLSA,
    receivers: { mx1: "no-starttls" },
    results: ["no-policy-found example.org starttls-not-supported mx1.example.org @1"],
  },
  {
    name: "no policy, and a handshake that fails: the second connection in clear text is not counted",
    dns: NO_TLSA,
    receivers: { mx1: { starttls: { broken: "garbage" } } },
    results: ["no-policy-found example.org validation-failure mx1.example.org @1: TLS handshake failed"],
  },
  {
    name: "DANE demanded by the operator, and no TLSA",
    dns: NO_TLSA,
    receivers: { mx1: "self-signed" },
    demand: { level: "dane-only", levelFrom: "operator" },
    results: ["no-policy-found example.org dane-required mx1.example.org"],
  },
  {
    name: "a certificate that only REQUIRETLS of one message refuses: no fault of the host's",
    dns: NO_TLSA,
    receivers: { mx1: "self-signed" },
    demand: { messageTls: "required" },
    results: ["no-policy-found example.org success"],
  },
  {
    name: "a host that only REQUIRETLS of one message keeps us from",
    dns: INSECURE,
    receivers: { mx1: "self-signed" },
    demand: { messageTls: "required" },
    results: [],
  },
  {
    name: "MX records that cannot be validated, where the operator asks for no policy",
    dns: "example.org MX bogus",
    demand: { level: "may", levelFrom: "operator" },
    results: [],
  },
  {
    name: "an MTA-STS policy that cannot be had (§4.3.2.2): not a domain without one",
    dns: INSECURE,
    sts: { "example.org": "failed" },
    receivers: { mx1: "self-signed" },
    results: ["sts example.org sts-policy-fetch-error mx1.example.org @1: no answer in time"],
  },
  {
    name: "policies that the operator has switched off are not looked up, and not reported",
    dns: MATCHING,
    receivers: { mx1: "self-signed" },
    demand: { level: "may", levelFrom: "operator" },
    results: [],
  },
  {
    name: "a report itself (RFC 8460 §3)",
    dns: MATCHING,
    receivers: { mx1: "self-signed" },
    envelope: { purpose: "tls-report" },
    results: [],
  },
  { name: "an address literal", dns: "", receivers: { mx1: "self-signed" }, destination: `[${NETWORK}1]`, results: [] },
  {
    name: "MTA-STS enforced and met",
    dns: INSECURE,
    sts: { "example.org": "enforce mx1.example.org" },
    receivers: { mx1: { names: ["mx1.example.org"] } },
    results: ["sts example.org success"],
  },
  {
    name: "MTA-STS in testing: what would have failed is reported",
    dns: INSECURE,
    sts: { "example.org": "testing mx1.example.org" },
    receivers: { mx1: { names: ["mx9.example.org"] } },
    results: [
      'sts example.org certificate-host-mismatch mx1.example.org @1: its certificate is for "mx9.example.org", wanted mx1.example.org',
    ],
  },
  {
    name: "MTA-STS that does not list the host",
    dns: INSECURE,
    sts: { "example.org": "enforce mx2.example.org" },
    receivers: { mx1: "self-signed" },
    results: ["sts example.org validation-failure mx1.example.org: the MX host is not listed in the policy"],
  },
  {
    name: "MTA-STS and DANE over an insecure MX: both were applied",
    dns: `example.org MX insecure 10 mx1.example.net
      mx1.example.net A secure mx1
      _PORT._tcp.mx1.example.net TLSA secure 2 1 1 ca`,
    sts: { "example.org": "enforce mx1.example.net" },
    receivers: { mx1: { names: ["mx1.example.net"] } },
    results: ["sts example.org success", "tlsa mx1.example.net success"],
  },
  {
    name: "an MTA-STS policy of mode none is none",
    dns: INSECURE,
    sts: { "example.org": "none" },
    receivers: { mx1: "self-signed" },
    results: ["no-policy-found example.org success"],
  },
  {
    name: "a smarthost: the reporting domain is its own (RFC 8460 §1.1)",
    dns: `relay.example.net A secure mx1
      _PORT._tcp.relay.example.net TLSA secure 3 1 1 own`,
    routes: [{ domain: "*", nextHop: `[relay.example.net]:${PORT}`, tls: "starttls" }],
    receivers: { mx1: "self-signed" },
    results: ["tlsa relay.example.net for relay.example.net success"],
  },
];

describe("what sessions count as in TLS reports (RFC 8460 §4)", () => {
  for (const { name, results, ...world } of rows) {
    test(name, async () => {
      const { sessions } = await playOnce(world);
      assert.deepEqual(sessions.map(words).map(withoutPort).toSorted(), results.toSorted());
    });
  }

  test("both ends of a failed session are told", async () => {
    const { sessions } = await playOnce({ dns: MATCHING, receivers: { mx1: "no-starttls" } });
    assert.deepEqual(sessions[0]?.outcome.kind === "failure" && sessions[0].outcome.ends, {
      host: "mx1.example.org",
      address: `${NETWORK}1`,
      localAddress: "127.0.0.1",
      helo: "peer.test",
    });
  });

  test("a session that is used again is counted once", async () => {
    const world = await startWorld({ dns: MATCHING, receivers: { mx1: "self-signed" } });
    try {
      await world.play();
      const { sessions, received } = await world.play();
      assert.equal(received.length, 2);
      assert.deepEqual(sessions.map(words), ["tlsa mx1.example.org success"]);
    } finally {
      await world.close();
    }
  });

  test("a session that carries mail of two domains is one of each, and once seen", async () => {
    const world = await startWorld({
      dns: `${MATCHING} example.net MX secure 10 mx1.example.org`,
      receivers: { mx1: "self-signed" },
    });
    try {
      for (const domain of ["example.org", "example.net", "example.org"]) await world.play(domain);
      const { sessions, sights, peers } = await world.play("example.net");
      assert.equal(peers.get("mx1")?.sessions.length, 1);
      assert.deepEqual(sessions.map(words), ["tlsa mx1.example.org success", "tlsa mx1.example.org for example.net success"]);
      assert.equal(sights.length, 1);
    } finally {
      await world.close();
    }
  });
});

function withoutPort(text: string): string {
  return text.replace(/_\d+\._tcp/, "_PORT._tcp");
}
