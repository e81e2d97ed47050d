import assert from "node:assert/strict";
import { test } from "node:test";
import { name } from "../../../src/dns/name.ts";
import { type Certificate, parseCertificate } from "../../../src/x509/certificate.ts";
import { authenticateServer, TrustedRoots } from "../../../src/x509/serverIdentity.ts";
import {
  CLIENT_AUTH,
  dnsName,
  EXPIRED,
  type MadeCertificate,
  makeAuthority,
  makeKeys,
  makeLeaf,
  NOT_YET_VALID,
  UNKNOWN_CRITICAL,
} from "../../fake/certificates.ts";

const NOW = Date.parse("2026-11-02T12:00:00Z");
const HOST = "mx.example.org";

function parsed({ der }: MadeCertificate): Certificate {
  const certificate = parseCertificate(der);
  if (certificate.kind === "malformed") throw new Error(certificate.because);
  return certificate;
}

const root = makeAuthority({ commonName: "Root" });
const otherRoot = makeAuthority({ commonName: "Other root" });
/** A CA of the same name, which we do not trust. */
const impostor = makeAuthority({ commonName: "Root" });
const intermediate = makeAuthority({ commonName: "Intermediate", issuer: root });
const crossSigned = makeAuthority({ commonName: "Intermediate", issuer: otherRoot, keys: intermediate.keys });
const expiredIntermediate = makeAuthority({ commonName: "Intermediate", issuer: root, keys: intermediate.keys, ...EXPIRED });
const constrained = makeAuthority({
  commonName: "Constrained",
  issuer: root,
  nameConstraints: { permitted: [dnsName("example.net")] },
});
const leaf = makeLeaf({ names: [HOST], issuer: root });
const belowIntermediate = makeLeaf({ names: [HOST], issuer: intermediate });

function judged(chain: readonly (MadeCertificate | Buffer)[], roots: readonly MadeCertificate[] = [root], host = HOST): string {
  const identity = authenticateServer({
    chain: chain.map((certificate) => (Buffer.isBuffer(certificate) ? certificate : certificate.der)),
    anchors: new TrustedRoots(roots.map(parsed)),
    identifier: name(host),
    now: NOW,
  });
  return identity.kind === "valid" ? "valid" : identity.failure;
}

const CHAINS: readonly [
  shows: string,
  chain: readonly (MadeCertificate | Buffer)[],
  expected: string,
  roots?: readonly MadeCertificate[],
][] = [
  ["issued by a trusted root", [leaf], "valid"],
  ["the root is sent as well", [leaf, root], "valid"],
  ["an intermediate", [belowIntermediate, intermediate], "valid"],
  ["unordered, with strangers between", [belowIntermediate, otherRoot, leaf, root, intermediate], "valid"],
  ["one of two cross-signed paths is trusted", [belowIntermediate, crossSigned, intermediate], "valid", [root]],
  ["the trusted path is not the first", [belowIntermediate, expiredIntermediate, intermediate], "valid"],
  ["an intermediate that is itself trusted", [belowIntermediate], "valid", [intermediate]],
  ["several roots of one name", [leaf], "valid", [impostor, root]],
  ["a stranger that is no certificate behind it", [leaf, Buffer.from("nonsense")], "valid"],
  ["no certificate", [], "no-certificate"],
  ["octets that are no certificate", [Buffer.from("nonsense")], "malformed"],
  ["self-signed", [makeLeaf({ names: [HOST] })], "no-path"],
  ["another root", [leaf, otherRoot], "no-path", [otherRoot]],
  ["no trusted root at all", [leaf, root], "no-path", []],
  ["a root that the server brings along", [makeLeaf({ names: [HOST], issuer: otherRoot }), otherRoot], "no-path"],
  ["a CA that is called as the trusted one", [makeLeaf({ names: [HOST], issuer: impostor }), impostor], "no-path"],
  ["the intermediate is missing", [belowIntermediate], "no-path"],
  ["a broken signature", [makeLeaf({ names: [HOST], issuer: root, brokenSignature: true })], "no-path"],
  ["expired", [makeLeaf({ names: [HOST], issuer: root, ...EXPIRED })], "expired"],
  ["not yet valid", [makeLeaf({ names: [HOST], issuer: root, ...NOT_YET_VALID })], "not-yet-valid"],
  ["an expired intermediate", [belowIntermediate, expiredIntermediate], "expired"],
  ["an expired root", [leaf], "expired", [makeAuthority({ commonName: "Root", keys: root.keys, ...EXPIRED })]],
  ["issued by a server's certificate", [makeLeaf({ names: [HOST], issuer: leaf }), leaf], "no-path"],
  ["for clients only", [makeLeaf({ names: [HOST], issuer: root, extendedKeyUsage: [CLIENT_AUTH] })], "purpose"],
  [
    "an unknown critical extension",
    [makeLeaf({ names: [HOST], issuer: root, extensions: [UNKNOWN_CRITICAL] })],
    "unknown-critical-extension",
  ],
  ["RSA of 1024 bits", [makeLeaf({ names: [HOST], issuer: root, keyKind: "rsa1024" })], "weak-key"],
  ["RSA of 2048 bits", [makeLeaf({ names: [HOST], issuer: root, keyKind: "rsa2048" })], "valid"],
  ["signed with SHA-1", [makeLeaf({ names: [HOST], issuer: root, digest: "sha1" })], "weak-signature"],
  ["outside the name constraints of its CA", [makeLeaf({ names: [HOST], issuer: constrained }), constrained], "name-constraints"],
];

for (const [shows, chain, expected, roots] of CHAINS)
  test(`${shows}: ${expected}`, () => assert.equal(judged(chain, roots), expected));

/** RFC 8461 §4.2, RFC 6125 §6.4. */
const NAMES: readonly [names: readonly string[], commonName: string | readonly string[], host: string, expected: string][] = [
  [["mx.example.org"], [], "mx.example.org", "valid"],
  [["MX.Example.ORG"], [], "mx.example.org", "valid"],
  [["other.example.org", "mx.example.org"], [], "mx.example.org", "valid"],
  [["*.example.org"], [], "mx.example.org", "valid"],
  [["*.example.org"], [], "a.mx.example.org", "name-mismatch"],
  [["*.example.org"], [], "example.org", "name-mismatch"],
  [["m*.example.org"], [], "mx.example.org", "name-mismatch"],
  [["*.org"], [], "example.org", "name-mismatch"],
  [["example.org"], [], "mx.example.org", "name-mismatch"],
  [["mx.example.org.evil.example"], [], "mx.example.org", "name-mismatch"],
  // A common name is never enough: §4.2 demands a DNS-ID.
  [[], "mx.example.org", "mx.example.org", "name-mismatch"],
  [["other.example.org"], "mx.example.org", "mx.example.org", "name-mismatch"],
  [["mx.example.org\0.evil.example"], [], "mx.example.org", "name-mismatch"],
];
for (const [names, commonName, host, expected] of NAMES)
  test(`a certificate for [${names.join(", ")}], CN ${String(commonName)}, as ${host}: ${expected}`, () =>
    assert.equal(judged([makeLeaf({ names, commonName, issuer: root })], [root], host), expected));

test("the words name what was presented, printable and bounded", () => {
  const names = ["a\u0007b.example", ...Array.from({ length: 20 }, (_, i) => `${"x".repeat(60)}.${"y".repeat(60)}.${i}.example`)];
  const identity = authenticateServer({
    chain: [makeLeaf({ names, issuer: root }).der],
    anchors: new TrustedRoots([parsed(root)]),
    identifier: name(HOST),
    now: NOW,
  });
  assert.ok(identity.kind === "invalid");
  assert.match(identity.because, /^its certificate is for "a\?b\.example".* and 17 more, wanted mx\.example\.org$/);
  assert.ok(identity.because.length < 500);
});

test("no more paths are judged than an honest chain could have", () => {
  const keys = Array.from({ length: 6 }, () => makeKeys());
  const bare = { keyIdentifiers: "absent", ...EXPIRED } as const;
  const crossed = keys.flatMap((pair, i) =>
    keys.flatMap((issuerKeys, j) => {
      if (i === j || Math.abs(i - j) > 2) return [];
      const issuer = makeAuthority({ ...bare, commonName: `CA${j}`, keys: issuerKeys });
      return [makeAuthority({ ...bare, commonName: `CA${i}`, issuer, keys: pair })];
    }),
  );
  const [first] = keys;
  const trusted = makeAuthority({ ...bare, commonName: "CA5", ...(keys[5] ? { keys: keys[5] } : {}) });
  const issuer = makeAuthority({ ...bare, commonName: "CA0", ...(first ? { keys: first } : {}) });
  const server = makeLeaf({ keyIdentifiers: "absent", names: [HOST], issuer });
  assert.equal(judged([server, ...crossed], [trusted]), "search-limit");
});
