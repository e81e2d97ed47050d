import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { explainPage, explanationContent } from "../../../src/admin/explainPage.ts";
import type { Explanation } from "../../../src/diagnosis/explanation.ts";
import type { Finding } from "../../../src/diagnosis/finding.ts";
import type { LookupObservation, Observation } from "../../../src/diagnosis/observation.ts";
import type { DomainName } from "../../../src/dns/name.ts";
import { makeLeaf } from "../../fake/certificates.ts";

/** An explanation whose every text was chosen by somebody outside: names with odd octets, greetings, replies, certificates, policies. */
const HOSTILE = `"><script>alert(1)</script>'<img src=x onerror=alert(1)>\r\n\u202e`;
/** As a name server may send it: any octet may stand in a label. */
const NAME = `${HOSTILE}.example.` as DomainName;
const AT = 1_700_000_000_000;

function hostileExplanation(text: string, many: number): Explanation {
  const list = <T>(one: T): T[] => Array.from({ length: many }, () => one);
  const signature = {
    keyTag: 1,
    algorithm: 13,
    signer: NAME,
    inception: 1,
    expiration: 2,
    verdict: { kind: "fails", because: text },
  };
  const link = {
    ...{ zone: NAME, status: "bogus", dsSignatures: list(signature), keySignatures: list(signature), denial: [] },
    ds: list({ keyTag: 1, algorithm: 13, digestType: 2, key: "missing" }),
    keys: list({ keyTag: 1, algorithm: 13, role: "entry", rdata: Buffer.from(text) }),
    reasons: [{ text }],
  };
  const lookup = {
    ...{ name: NAME, type: "MX", signatures: list(signature), denial: [], chain: [link, link] },
    resolution: { status: "bogus", reasons: [{ text }] },
  } as unknown as LookupObservation;
  const { certificatePem } = makeLeaf({ commonName: "<script>alert(1)</script>" });
  const der = Buffer.from(certificatePem.replace(/-----[^-]+-----|\s/g, ""), "base64");
  const record = { usage: 3, selector: 1, matchingType: 1, data: Buffer.from("<script>") };
  const session = {
    ...{ address: text, port: 25, tls: text, dane: "mismatch", greeting: text, ehlo: list(text) },
    failure: { stage: "command", text },
    handshake: { protocol: text, cipher: text, group: text, chain: list(der).concat(Buffer.from(text)) },
    match: { kind: "mismatch", tried: [{ record, because: text }] },
  };
  const host = {
    ...{
      kind: "reachable",
      host: text,
      dnssec: { mx: text, address: text, tlsa: text },
      lookups: [lookup],
      addresses: list(text),
    },
    ...{
      demand: { kind: "authenticateByPkix", wanted: "sts", identifier: NAME },
      sts: { kind: "none" },
      sessions: list(session),
    },
    dane: { kind: "authenticate", mx: "secure", base: NAME, records: list(record), identifiers: [NAME], unusable: [] },
  };
  const seen = {
    ...{ destination: text, at: AT, moment: "now", mx: lookup, nameServers: list(text), anySignature: "yes", source: text },
    route: { kind: "hosts", found: "mx", hosts: list(text) },
    hosts: list(host),
    sts: { record: { kind: "record" }, inForce: { kind: "policy", policy: { mode: "enforce", mx: list(text) } } },
    tlsrpt: { kind: "record", uris: list({ text }) },
  } as unknown as Observation;
  const finding = {
    ...{ class: "tlsa-mismatch", severity: "error", host: text, explanation: text, rfc: "RFC 7672", actor: "destination-dns" },
    ...{ remedy: text, paste: list(text) },
  } as unknown as Finding;
  const dnssec = { mx: "secure", address: "secure", tlsa: "secure" };
  const verdict: Explanation["verdict"] = {
    ...({ kind: "not-deliverable", outcome: "deferred", tls: text, dane: "mismatch" } as const),
    ...{ dnssec, status: text, reason: text },
  };
  return { kind: "explanation", target: text, seen, verdict, findings: list(finding) };
}

describe("an explanation as a page", () => {
  test("nothing in it is markup", () => {
    const { markup } = explanationContent(hostileExplanation(HOSTILE, 2));
    assert.doesNotMatch(markup, /<script|<img|\u202e/);
    assert.match(markup, /&lt;script&gt;alert\(1\)/);
  });

  test("a route to an address is not said to be an address", () => {
    const { seen, ...rest } = hostileExplanation("a.example", 1);
    const routeOf = (destination: string) =>
      explanationContent({ ...rest, seen: { ...seen, destination, route: { kind: "literal" }, hosts: [] } }).markup;
    assert.match(routeOf("a.example"), /<p>delivery\.routes leads to an address/);
    assert.match(routeOf("[192.0.2.1]"), /<p>\[192\.0\.2\.1\] is an address/);
  });

  test("it is bounded, however much the destination publishes", () => {
    const { markup } = explanationContent(hostileExplanation("x".repeat(1000), 60));
    assert.ok(markup.length < 2_500_000, `${markup.length} characters`);
    assert.equal(markup.match(/and 30 more</g)?.length, 2, "hosts and findings");
    assert.match(markup, /MTA-STS policy: enforce, for x{1,300}…x{1,300}\.<br>TLS reports: x{1,300}…x{1,300}\.</);
  });

  for (const kind of ["error", "busy", "failed", "slow"] as const) {
    test(`an answer that is none (${kind}) has no markup of the question or the reason`, () => {
      const texts = { error: { reason: HOSTILE }, busy: { because: HOSTILE }, failed: { reason: HOSTILE }, slow: {} }[kind];
      const answer = { kind, ...texts } as never;
      const { markup } = explainPage({ target: HOSTILE, answer, visitor: { kind: "operator", csrf: "c" } });
      assert.doesNotMatch(markup, /<script|<img|\u202e/);
    });
  }
});
