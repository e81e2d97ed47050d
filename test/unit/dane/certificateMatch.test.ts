import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { MAX_CHAIN_CERTIFICATES, type MatchInput, matchCertificate } from "../../../src/dane/certificateMatch.ts";
import type { MatchVerdict } from "../../../src/dane/matchVerdict.ts";
import { name } from "../../../src/dns/name.ts";
import { makeAuthority, makeKeys, makeLeaf, tlsaFor } from "../../fake/certificates.ts";
import { HOST, matchCases } from "./matchCases.ts";

const NOW = Date.parse("2026-11-02T12:00:00Z");

for (const { name: title, chain, records, expect } of matchCases) {
  test(title, () => {
    const verdict = matchCertificate({ records, chain: chain.map(({ der }) => der), identifiers: [name(HOST)], now: NOW });
    if ("match" in expect) {
      assert.equal(verdict.kind, "match", verdict.kind === "mismatch" ? verdict.tried.map((t) => t.because).join("; ") : "");
      assert.equal(verdict.kind === "match" ? verdict.depth : -1, expect.match);
      return;
    }
    assert.equal(verdict.kind, "mismatch");
    assert.equal(
      verdict.kind === "mismatch" ? verdict.tried[0]?.failure : "",
      expect.failure,
      JSON.stringify(verdict.kind === "mismatch" ? verdict.tried.map((t) => t.because) : ""),
    );
  });
}

const issuer = makeAuthority({ commonName: "Issuer" });
const server = makeLeaf({ names: [HOST, "b.example", "c.example", "d.example", "e.example"], issuer });
const stranger = makeAuthority({ commonName: "Stranger" });

function match(input: Partial<MatchInput>): MatchVerdict {
  const chain = [server.der, issuer.der];
  return matchCertificate({ records: [tlsaFor(issuer, 2, 0, 1)], chain, identifiers: [name(HOST)], now: NOW, ...input });
}

function sentences(verdict: MatchVerdict): readonly string[] {
  if (verdict.kind === "match") return ["match"];
  return verdict.tried.map(({ because }) => because.replace(/[0-9a-f]{12}\.\./g, "#"));
}

describe("each record says why it did not match", () => {
  const rows: readonly [string, Partial<MatchInput>, readonly string[]][] = [
    ["another key", { records: [tlsaFor(stranger, 3, 1, 1)] }, ["3 1 1 #: the server's key has another SHA-256 (#)"]],
    [
      "another certificate",
      { records: [tlsaFor(stranger, 3, 0, 2)] },
      ["3 0 2 #: the server's certificate has another SHA-512 (#)"],
    ],
    ["another key in full", { records: [tlsaFor(stranger, 3, 1, 0)] }, ["3 1 0 #: the server has another key"]],
    [
      "another issuer",
      { records: [tlsaFor(stranger, 2, 1, 1)] },
      ["2 1 1 #: none of the 2 certificates of the chain has a key with this SHA-256"],
    ],
    [
      "issuer not sent",
      { chain: [server.der] },
      ["2 0 1 #: the server sent its own certificate only, not the issuer's that this record names"],
    ],
    [
      "another name",
      { identifiers: [name("mx.example.net"), name("example.net")] },
      [
        `2 0 1 #: the server's certificate is for "${HOST}", "b.example", "c.example", "d.example" and 1 more, wanted mx.example.net or example.net`,
      ],
    ],
    [
      "no reference identifier",
      { identifiers: [] },
      [`2 0 1 #: the server's certificate is for "${HOST}", "b.example", "c.example", "d.example" and 1 more, wanted nothing`],
    ],
    [
      "expired issuer",
      {
        now: Date.parse("2121-01-01T00:00:00Z"),
        chain: [makeLeaf({ names: [HOST], issuer, notAfter: new Date("2130-01-01") }).der, issuer.der],
      },
      ['2 0 1 #: the certificate of "CN=Issuer" expired at 2120-01-01T00:00:00.000Z'],
    ],
    ["no certificate", { chain: [] }, ["2 0 1 #: the server sent no certificate"]],
    [
      "several records",
      { records: [tlsaFor(stranger, 3, 1, 1), { ...tlsaFor(server, 3, 1, 1), usage: 7 }] },
      ["3 1 1 #: the server's key has another SHA-256 (#)", "7 1 1 #: certificate usage 7 is unknown"],
    ],
  ];
  for (const [title, input, expected] of rows) test(title, () => assert.deepEqual(sentences(match(input)), expected));

  test("what the peer chose is quoted and cut", () => {
    const names = [`evil"\r\nLog: forged`, "x".repeat(300)];
    const chain = [makeLeaf({ names, issuer }).der, issuer.der];
    const [sentence = ""] = sentences(match({ chain }));
    assert.match(sentence, /is for "evil\\"\?\?Log: forged", "x{80}\.\."/);
  });
});

describe("no records, no chain, no trust: no match", () => {
  test("no records", () => assert.deepEqual(match({ records: [] }), { kind: "mismatch", tried: [] }));
  test("octets that are no certificate, though their digest fits", () => {
    const chain = [Buffer.from("not a certificate")];
    const data = createHash("sha256").update("not a certificate").digest();
    const verdict = match({ chain, records: [{ usage: 3, selector: 0, matchingType: 1, data }] });
    assert.equal(verdict.kind === "mismatch" && verdict.tried[0]?.failure, "malformed");
  });
  test("usages 0 and 1 without PKIX anchors", () => {
    const records = [tlsaFor(server, 1, 1, 1), tlsaFor(issuer, 0, 0, 1)];
    assert.equal(match({ records }).kind, "mismatch");
    assert.deepEqual(match({ records, pkixAnchors: [issuer.der] }), { kind: "match", record: records[0], depth: 0 });
  });
});

test("any reference identifier will do", () => {
  assert.equal(match({ identifiers: [name("mx.example.net"), name("c.example")] }).kind, "match");
});

test("the security level is the caller's", () => {
  const weak = makeLeaf({ names: [HOST], keyKind: "rsa1024" });
  const records = [tlsaFor(weak, 3, 1, 1)];
  assert.equal(match({ chain: [weak.der], records }).kind, "match");
  assert.equal(match({ chain: [weak.der], records, securityLevel: 2 }).kind, "mismatch");
});

test(`only ${MAX_CHAIN_CERTIFICATES} certificates of a chain are looked at`, () => {
  const fillers = Array.from({ length: MAX_CHAIN_CERTIFICATES }, () => makeAuthority({ commonName: "Filler" }).der);
  assert.equal(match({ chain: [server.der, ...fillers.slice(2), issuer.der] }).kind, "match");
  assert.equal(match({ chain: [server.der, ...fillers.slice(1), issuer.der] }).kind, "mismatch");
});

test("certificates that all sign each other: given up, and said so", () => {
  const same = { commonName: "Same", keys: makeKeys(), keyIdentifiers: "absent" } as const;
  const clique = Array.from({ length: 20 }, () => makeAuthority(same));
  const chain = [makeLeaf({ names: [HOST], issuer: makeAuthority(same), keyIdentifiers: "absent" }), ...clique];
  const verdict = match({ chain: chain.map(({ der }) => der), records: [tlsaFor(stranger, 2, 0, 1)] });
  assert.equal(verdict.kind === "mismatch" && verdict.tried[0]?.failure, "search-limit");
});

test("no more paths are judged than an honest chain could have", () => {
  const keys = Array.from({ length: 6 }, () => makeKeys());
  const bare = { keyIdentifiers: "absent" } as const;
  const named = keys.map((pair, i) => makeAuthority({ ...bare, commonName: `CA${i}`, keys: pair }));
  const crossed = named.flatMap((_, i) =>
    named
      .filter((issuer, j) => issuer !== named[i] && Math.abs(i - j) <= 2)
      .map((issuer) => makeAuthority({ ...bare, commonName: `CA${i}`, issuer, ...(keys[i] ? { keys: keys[i] } : {}) })),
  );
  const [issuer] = named;
  const leaf = makeLeaf({ ...bare, names: ["other.example.org"], ...(issuer ? { issuer } : {}) });
  const verdict = matchCertificate({
    records: crossed.map((one) => tlsaFor(one, 2, 0, 1)),
    chain: [leaf.der, ...crossed.map((one) => one.der)],
    identifiers: [name("mx.example.org.")],
    now: Date.parse("2026-11-02T12:00:00Z"),
  });
  assert.ok(verdict.kind === "mismatch" && verdict.tried.some(({ failure }) => failure === "search-limit"));
});
