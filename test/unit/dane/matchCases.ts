import { generateKeyPairSync } from "node:crypto";
import type { MatchFailure } from "../../../src/dane/matchVerdict.ts";
import type { Tlsa } from "../../../src/dane/tlsa.ts";
import {
  ANY_EXTENDED_KEY_USAGE,
  CLIENT_AUTH,
  directoryName,
  distinguishedName,
  dnsName,
  EXPIRED,
  emailName,
  ipName,
  type MadeCertificate,
  makeAuthority,
  makeCertificate,
  makeKeys,
  makeLeaf,
  NOT_YET_VALID,
  SERVER_AUTH,
  tlsaFor,
  UNKNOWN_CRITICAL,
  uriName,
} from "../../fake/certificates.ts";
import { der, explicit, implicit, objectIdentifier, octetString, sequence, set, utf8String } from "../../fake/derWriter.ts";

/**
 * Chains and records for server mx.example.org, each with its expected verdict. The unit tests play them through our matcher, the lab
 * through OpenSSL as well (test/lab/opensslDane.test.ts), which has to agree but where `openssl` says why it does not.
 */
export type MatchCase = {
  name: string;
  /** As sent, the server's own first. */
  chain: readonly [MadeCertificate, ...MadeCertificate[]];
  records: readonly Tlsa[];
  expect: { match: number } | { failure: MatchFailure };
  /** OpenSSL's different verdict, and why ours is right. */
  openssl?: { verdict: { match: number } | "mismatch"; because: string };
};

export const HOST = "mx.example.org";

function good(
  name: string,
  chain: MatchCase["chain"],
  records: readonly Tlsa[],
  depth: number,
  openssl?: MatchCase["openssl"],
): MatchCase {
  return { name, chain, records, expect: { match: depth }, ...(openssl === undefined ? {} : { openssl }) };
}

function bad(
  name: string,
  chain: MatchCase["chain"],
  records: readonly Tlsa[],
  failure: MatchFailure,
  openssl?: MatchCase["openssl"],
): MatchCase {
  return { name, chain, records, expect: { failure }, ...(openssl === undefined ? {} : { openssl }) };
}

const root = makeAuthority({ commonName: "Root" });
const intermediate = makeAuthority({ commonName: "Intermediate", issuer: root });
const leaf = makeLeaf({ names: [HOST], issuer: intermediate });
const other = makeAuthority({ commonName: "Root" });
const lonely = makeLeaf({ names: ["elsewhere.example"], ...EXPIRED });
const selfSigned = makeLeaf({ names: [HOST] });

/** A chain of one leaf below one CA, either of them changed. */
function under(
  authority: Parameters<typeof makeAuthority>[0],
  server: Parameters<typeof makeLeaf>[0] = {},
): [MadeCertificate, MadeCertificate] {
  const issuer = makeAuthority({ commonName: "Issuer", ...authority });
  return [makeLeaf({ names: [HOST], issuer, ...server }), issuer];
}

/** A chain of leaf, intermediate and root, any of them changed. */
function three(
  top: Parameters<typeof makeAuthority>[0],
  middle: Parameters<typeof makeAuthority>[0] = {},
  server: Parameters<typeof makeLeaf>[0] = {},
): [MadeCertificate, MadeCertificate, MadeCertificate] {
  const anchor = makeAuthority({ commonName: "Top", ...top });
  const issuer = makeAuthority({ commonName: "Middle", issuer: anchor, ...middle });
  return [makeLeaf({ names: [HOST], issuer, ...server }), issuer, anchor];
}

/** The case for a chain whose last certificate is the anchor by 2 0 1. */
function anchored(name: string, chain: MatchCase["chain"], expect: number | MatchFailure): MatchCase {
  const records = [tlsaFor(chain[chain.length - 1] ?? chain[0], 2, 0, 1)];
  return typeof expect === "number" ? good(name, chain, records, expect) : bad(name, chain, records, expect);
}

const spoiled = (record: Tlsa): Tlsa => ({ ...record, data: Buffer.from(record.data.map((octet) => octet ^ 0xff)) });

const halved = (record: Tlsa): Tlsa => ({ ...record, data: record.data.subarray(0, 32) });

/** RFC 7672 §3.1.1. */
export const endEntityCases: readonly MatchCase[] = [
  ...[0, 1].flatMap((selector) =>
    [0, 1, 2].map((matching) =>
      good(`3 ${selector} ${matching}: no name, expired, self-signed`, [lonely], [tlsaFor(lonely, 3, selector, matching)], 0),
    ),
  ),
  bad("3 1 1 of another key", [leaf, intermediate], [tlsaFor(lonely, 3, 1, 1)], "no-match"),
  bad("3 1 1 of the issuer", [leaf, intermediate], [tlsaFor(intermediate, 3, 1, 1)], "no-match"),
  good("one of several 3 1 1", [leaf], [tlsaFor(lonely, 3, 1, 1), tlsaFor(leaf, 3, 1, 1)], 0),
  good("3 1 1 beats 2 0 1", [leaf, intermediate], [tlsaFor(intermediate, 2, 0, 1), tlsaFor(leaf, 3, 1, 1)], 0),
  bad("3 1 1 of a key below 1024 bits", [makeLeaf({ names: [HOST], keyKind: "rsa768" })], [], "weak-key"),
].map((testCase) => (testCase.records.length > 0 ? testCase : { ...testCase, records: [tlsaFor(testCase.chain[0], 3, 1, 1)] }));

/** RFC 7671 §9. */
export const agilityCases: readonly MatchCase[] = [
  bad("a weaker digest does not help", [leaf], [tlsaFor(leaf, 3, 1, 1), spoiled(tlsaFor(leaf, 3, 1, 2))], "weaker-digest"),
  good("a stronger digest does", [leaf], [spoiled(tlsaFor(leaf, 3, 1, 1)), tlsaFor(leaf, 3, 1, 2)], 0),
  good("Full(0) is never passed over", [leaf], [spoiled(tlsaFor(leaf, 3, 1, 2)), tlsaFor(leaf, 3, 1, 0)], 0),
  good("an unusable record is no stronger one", [leaf], [tlsaFor(leaf, 3, 1, 1), halved(tlsaFor(leaf, 3, 1, 2))], 0),
  good("per selector", [leaf], [spoiled(tlsaFor(leaf, 3, 1, 2)), tlsaFor(leaf, 3, 0, 1)], 0),
  good("per usage", [leaf, intermediate], [spoiled(tlsaFor(leaf, 3, 0, 2)), tlsaFor(intermediate, 2, 0, 1)], 1),
  bad(
    "under usage 2 as well",
    [leaf, intermediate],
    [tlsaFor(intermediate, 2, 0, 1), spoiled(tlsaFor(intermediate, 2, 0, 2))],
    "weaker-digest",
  ),
];

const crossKeys = makeKeys();
const oldRoot = makeAuthority({ commonName: "Old root", ...EXPIRED });
const newRoot = makeAuthority({ commonName: "New root" });
const byOld = makeAuthority({ commonName: "Cross", keys: crossKeys, issuer: oldRoot, keyIdentifiers: "absent" });
const byNew = makeAuthority({ commonName: "Cross", keys: crossKeys, issuer: newRoot, keyIdentifiers: "absent" });
const crossLeaf = makeLeaf({ names: [HOST], issuer: byOld, keyIdentifiers: "absent" });
const expiredRoot = makeAuthority({ commonName: "Expired root", ...EXPIRED });
const belowExpired = makeLeaf({ names: [HOST], issuer: expiredRoot });
const barredChain = under({ keyUsage: ["digitalSignature"] });
const onePath = "OpenSSL follows the first issuer that fits, RFC 5280 asks whether there is a path";

/** RFC 7672 §3.1.2, RFC 7671 §5.2: where the anchor is. */
export const anchorCases: readonly MatchCase[] = [
  ...[0, 1].flatMap((selector) =>
    [0, 1, 2].flatMap((matching) => [
      good(`2 ${selector} ${matching} intermediate`, [leaf, intermediate], [tlsaFor(intermediate, 2, selector, matching)], 1),
      good(`2 ${selector} ${matching} root`, [leaf, intermediate, root], [tlsaFor(root, 2, selector, matching)], 2),
    ]),
  ),
  good("unordered", [leaf, root, intermediate], [tlsaFor(root, 2, 0, 1)], 2),
  good("superfluous certificates", [leaf, other, lonely, intermediate, root], [tlsaFor(root, 2, 0, 1)], 2),
  good("the same certificate several times", [leaf, leaf, intermediate, intermediate, root], [tlsaFor(root, 2, 1, 1)], 2),
  good("2 0 0: root in the DNS only", [leaf, intermediate], [tlsaFor(root, 2, 0, 0)], 2),
  good("2 0 0: intermediate in the DNS only", [leaf], [tlsaFor(intermediate, 2, 0, 0)], 1),
  good("2 0 0: two, one of them only a step", [leaf], [tlsaFor(root, 2, 0, 0), tlsaFor(intermediate, 2, 0, 0)], 1),
  good("2 1 0: bare key of the root", [leaf, intermediate], [tlsaFor(root, 2, 1, 0)], 1),
  good("2 1 0: bare key of the intermediate", [leaf], [tlsaFor(intermediate, 2, 1, 0)], 0),
  bad("2 1 0: another key", [leaf, intermediate], [tlsaFor(other, 2, 1, 0)], "no-match"),
  bad("2 0 1: anchor not sent", [leaf, intermediate], [tlsaFor(root, 2, 0, 1)], "no-match"),
  bad("2 1 1: only the leaf sent", [leaf], [tlsaFor(intermediate, 2, 1, 1)], "no-match"),
  bad("intermediate missing", [leaf, root], [tlsaFor(root, 2, 0, 1)], "not-the-issuer"),
  bad("a CA of the same name, another key", [leaf, intermediate, other], [tlsaFor(other, 2, 0, 1)], "not-the-issuer"),
  bad("the leaf itself under 2 0 1", [leaf, intermediate], [tlsaFor(leaf, 2, 0, 1)], "not-the-issuer"),
  bad("self-signed leaf under 2 0 1", [selfSigned], [tlsaFor(selfSigned, 2, 0, 1)], "not-the-issuer"),
  bad("self-signed leaf under 2 0 0", [selfSigned], [tlsaFor(selfSigned, 2, 0, 0)], "not-the-issuer"),
  bad("self-signed leaf under 2 1 1", [selfSigned], [tlsaFor(selfSigned, 2, 1, 1)], "not-the-issuer"),
  good("self-signed leaf under 2 1 0: signed by that key", [selfSigned], [tlsaFor(selfSigned, 2, 1, 0)], 0),
  good("2 1 0: the root was sent too", [leaf, intermediate, root], [tlsaFor(root, 2, 1, 0)], 2),
  bad("2 1 0: the root was sent, and has expired", [belowExpired, expiredRoot], [tlsaFor(expiredRoot, 2, 1, 0)], "expired"),
  bad(
    "2 1 0: the issuer was sent, and may not sign certificates",
    barredChain,
    [tlsaFor(barredChain[1], 2, 1, 0)],
    "not-the-issuer",
  ),
  good("2 1 0: it was not sent", [barredChain[0]], [tlsaFor(barredChain[1], 2, 1, 0)], 0),
  good("2 1 0: the expired root was not sent", [belowExpired], [tlsaFor(expiredRoot, 2, 1, 0)], 0),
  good(
    "two anchors, the nearer one wins",
    [leaf, intermediate, root],
    [tlsaFor(root, 2, 0, 1), tlsaFor(intermediate, 2, 1, 1)],
    1,
  ),
  good("cross-signed, good path second", [crossLeaf, byOld, byNew, oldRoot, newRoot], [tlsaFor(newRoot, 2, 0, 1)], 2, {
    verdict: "mismatch",
    because: onePath,
  }),
  good("cross-signed, good path first", [crossLeaf, byNew, byOld, newRoot, oldRoot], [tlsaFor(newRoot, 2, 0, 1)], 2),
  bad(
    "cross-signed, only the expired root named",
    [crossLeaf, byNew, byOld, newRoot, oldRoot],
    [tlsaFor(oldRoot, 2, 0, 1)],
    "expired",
    {
      verdict: "mismatch",
      because: onePath,
    },
  ),
];

const onWrittenCurve = () => generateKeyPairSync("ec", { namedCurve: "P-256", paramEncoding: "explicit" });
const writtenCurve = makeLeaf({ names: [HOST], keys: onWrittenCurve() });
const weakRoot = makeAuthority({ commonName: "Weak", keyKind: "rsa768" });

const sha1Issuer = makeAuthority({ commonName: "Issuer", keyKind: "rsa2048" });
const sha1Chain: MatchCase["chain"] = [makeLeaf({ names: [HOST], issuer: sha1Issuer, digest: "sha1" })];
const twoWays = makeAuthority({ commonName: "Two ways" });
const wayKeys = makeKeys();
const expiredWay = makeAuthority({ commonName: "Way", keys: wayKeys, issuer: twoWays, ...EXPIRED });
const falseWay = makeAuthority({ commonName: "Way", keys: wayKeys, issuer: twoWays, basicConstraints: { ca: false } });
const crossIntoTwo = makeLeaf({ names: [HOST], issuer: expiredWay });

/** RFC 5280 §6.1. */
export const pathCases: readonly MatchCase[] = [
  anchored("expired leaf", under({}, EXPIRED), "expired"),
  anchored("leaf not yet valid", under({}, NOT_YET_VALID), "not-yet-valid"),
  anchored("expired anchor", under(EXPIRED), "expired"),
  anchored("expired intermediate", three({}, EXPIRED), "expired"),
  anchored("broken signature on the leaf", under({}, { brokenSignature: true }), "not-the-issuer"),
  anchored("broken signature on the intermediate", three({}, { brokenSignature: true }), "not-the-issuer"),
  anchored("self-signature of the anchor does not count", under({ brokenSignature: true }), 1),
  anchored("anchor is CA:FALSE", under({ basicConstraints: { ca: false } }), "not-an-authority"),
  anchored("intermediate is CA:FALSE", three({}, { basicConstraints: { ca: false } }), "not-an-authority"),
  anchored(
    "intermediate without basic constraints and key usage",
    three({}, { basicConstraints: "absent", keyUsage: "absent" }),
    "not-an-authority",
  ),
  anchored("anchor without basic constraints, for signing", under({ basicConstraints: "absent" }), 1),
  anchored(
    "anchor without basic constraints and key usage",
    under({ basicConstraints: "absent", keyUsage: "absent" }),
    "not-an-authority",
  ),
  anchored("intermediate without basic constraints, for signing", three({}, { basicConstraints: "absent" }), "not-an-authority"),
  {
    ...bad("2 1 0: what the bare key signed is over SHA-1", sha1Chain, [tlsaFor(sha1Issuer, 2, 1, 0)], "weak-signature"),
    openssl: { verdict: { match: 0 }, because: "OpenSSL skips the topmost signature though the bare key's trust rests on it" },
  },
  anchored("two paths to the anchor, both broken: the first is told", [crossIntoTwo, expiredWay, falseWay, twoWays], "expired"),
  anchored("anchor of version 1", under({ version: 1 }), 1),
  anchored("intermediate of version 1", three({}, { version: 1 }), "not-an-authority"),
  anchored("intermediate may not sign certificates", three({}, { keyUsage: ["cRLSign"] }), "not-the-issuer"),
  anchored("CA without key usage", three({ keyUsage: "absent" }, { keyUsage: "absent" }), 2),
  anchored("path length 0, nothing between", under({ basicConstraints: { ca: true, pathLength: 0 } }), 1),
  anchored("path length 0, one CA between", three({ basicConstraints: { ca: true, pathLength: 0 } }), "path-length"),
  anchored("path length 1, one CA between", three({ basicConstraints: { ca: true, pathLength: 1 } }), 2),
  anchored("leaf with a path length beside CA:FALSE", under({}, { basicConstraints: { ca: false, pathLength: 0 } }), 1),
  anchored("leaf without key usage", under({}, { keyUsage: "absent" }), 1),
  anchored("leaf for key encipherment", under({}, { keyUsage: ["keyEncipherment"] }), 1),
  anchored("leaf for signing lists only", under({}, { keyUsage: ["cRLSign"] }), "key-usage"),
  anchored("leaf without extended key usage", under({}, { extendedKeyUsage: "absent" }), 1),
  anchored("leaf for clients only", under({}, { extendedKeyUsage: [CLIENT_AUTH] }), "purpose"),
  anchored("leaf for clients and servers", under({}, { extendedKeyUsage: [CLIENT_AUTH, SERVER_AUTH] }), 1),
  anchored("leaf for any purpose", under({}, { extendedKeyUsage: [ANY_EXTENDED_KEY_USAGE] }), "purpose"),
  anchored("CA for clients only", three({}, { extendedKeyUsage: [CLIENT_AUTH] }), "purpose"),
  anchored("anchor for clients only", under({ extendedKeyUsage: [CLIENT_AUTH] }), "purpose"),
  anchored("unknown critical extension in the leaf", under({}, { extensions: [UNKNOWN_CRITICAL] }), "unknown-critical-extension"),
  anchored("unknown critical extension in the anchor", under({ extensions: [UNKNOWN_CRITICAL] }), "unknown-critical-extension"),
  anchored("unknown extension, not critical", under({}, { extensions: [{ ...UNKNOWN_CRITICAL, critical: false }] }), 1),
  anchored("a CA as server", under({}, { basicConstraints: { ca: true }, keyUsage: ["keyCertSign", "digitalSignature"] }), 1),
  anchored("SHA-1 signature on the leaf", under({ keyKind: "rsa2048" }, { digest: "sha1" }), "weak-signature"),
  anchored("MD5 signature on the intermediate", three({ keyKind: "rsa2048" }, { digest: "md5" }), "weak-signature"),
  anchored("SHA-1 signature on the anchor", under({ keyKind: "rsa2048", digest: "sha1" }, {}), 1),
  anchored("anchor's key too weak", [makeLeaf({ names: [HOST], issuer: weakRoot }), weakRoot], "weak-key"),
  bad("2 1 0: bare key too weak", [makeLeaf({ names: [HOST], issuer: weakRoot })], [tlsaFor(weakRoot, 2, 1, 0)], "weak-key", {
    verdict: { match: 0 },
    because: "OpenSSL does not look at the strength of a bare key; what it signed is worth no more than the key",
  }),
  anchored("a curve that is written out instead of named", under({}, { keys: onWrittenCurve() }), "weak-key"),
  anchored("the same of the anchor", under({ keys: onWrittenCurve() }), "weak-key"),
  good("the same under 3 1 1", [writtenCurve], [tlsaFor(writtenCurve, 3, 1, 1)], 0),
  anchored("P-521", under({ keys: generateKeyPairSync("ec", { namedCurve: "P-521" }) }), 1),
  anchored("RSA with 1024 bits", under({ keyKind: "rsa1024" }), 1),
  anchored("Ed25519 and P-384", three({ keyKind: "ed25519" }, { keyKind: "p384" }, { digest: "sha384" }), 2),
];

const selfIssuedTop = makeAuthority({ commonName: "Top", basicConstraints: { ca: true, pathLength: 0 } });
const selfIssued = makeAuthority({ commonName: "Top", issuer: selfIssuedTop });
const belowSelfIssued = makeLeaf({ names: [HOST], issuer: selfIssued });

export const selfIssuedCases: readonly MatchCase[] = [
  anchored("path length 0 and a key rollover certificate between", [belowSelfIssued, selfIssued, selfIssuedTop], 2),
];

/** A subject whose common name is this string. */
const commonNameIs = (string: Buffer): Parameters<typeof makeLeaf>[0] => ({
  names: [],
  subject: sequence(set(sequence(objectIdentifier("2.5.4.3"), string))),
});
const ucs2 = (text: string): Buffer => Buffer.from(text, "utf16le").swap16();
const ucs4 = (...characters: readonly number[]): Buffer =>
  Buffer.concat(characters.map((one) => Buffer.of(0, one >> 16, one >> 8, one)));
const HOST_CHARACTERS = [...Buffer.from(HOST)];

/** RFC 7672 §3.2.2, §3.2.3. */
export const nameCases: readonly MatchCase[] = [
  anchored("another name", under({}, { names: ["mx.example.net"] }), "name-mismatch"),
  anchored("one of several names", under({}, { names: ["a.example", HOST, "b.example"] }), 1),
  anchored("upper case", under({}, { names: ["MX.Example.ORG"] }), 1),
  anchored("wildcard", under({}, { names: ["*.example.org"] }), 1),
  anchored("wildcard for two labels", under({}, { names: ["*.org"] }), "name-mismatch"),
  anchored("wildcard one level too high", under({}, { names: ["*.mx.example.org"] }), "name-mismatch"),
  anchored("wildcard in the middle", under({}, { names: ["mx.*.org"] }), "name-mismatch"),
  {
    ...anchored("partial wildcard", under({}, { names: ["m*.example.org"] }), "name-mismatch"),
    openssl: {
      verdict: { match: 1 },
      because: "RFC 7672 §3.2.3: the wildcard must be the entire first label; OpenSSL has a flag for it",
    },
  },
  anchored("name of a parent", under({}, { names: ["example.org"] }), "name-mismatch"),
  anchored("NUL inside", under({}, { names: ["mx.example.org\0.evil.example"] }), "name-mismatch"),
  anchored("no name at all", under({}, { names: [] }), "name-mismatch"),
  anchored("common name without alternative names", under({}, { names: [], commonName: HOST }), 1),
  ...[0x13, 0x14, 0x16].map((tag) =>
    anchored(`common name, string type ${tag}`, under({}, commonNameIs(der(tag, Buffer.from(HOST)))), 1),
  ),
  anchored("common name as BMPString", under({}, commonNameIs(der(0x1e, ucs2(HOST)))), 1),
  anchored("common name as UniversalString", under({}, commonNameIs(der(0x1c, ucs4(...HOST_CHARACTERS)))), 1),
  anchored(
    "UniversalString whose low octets are the name",
    under({}, commonNameIs(der(0x1c, ucs4(...HOST_CHARACTERS.map((octet) => 0x100 | octet))))),
    "name-mismatch",
  ),
  anchored("wildcard common name", under({}, { names: [], commonName: "*.example.org" }), 1),
  anchored("common name beside other dNSNames", under({}, { names: ["mx.example.net"], commonName: HOST }), "name-mismatch"),
  anchored(
    "common name beside an e-mail address",
    under({}, { names: [], generalNames: [emailName("a@example.org")], commonName: HOST }),
    1,
  ),
  anchored("the name as an e-mail address", under({}, { names: [], generalNames: [emailName(HOST)] }), "name-mismatch"),
  anchored("the name as a URI", under({}, { names: [], generalNames: [uriName(`smtp://${HOST}`)] }), "name-mismatch"),
  anchored("quotes and commas inside another name", under({}, { names: [`x", DNS:${HOST}, DNS:"`] }), "name-mismatch"),
];

const permitted = (...names: readonly Buffer[]) => ({ nameConstraints: { permitted: names } });
const excluded = (...names: readonly Buffer[]) => ({ nameConstraints: { excluded: names } });
const otherName = explicit(0, objectIdentifier("1.3.6.1.4.1.99999.2"), explicit(0, utf8String("x")));

const emailSubject = sequence(set(sequence(objectIdentifier("1.2.840.113549.1.9.1"), der(0x16, Buffer.from("a@example.net")))));
const withMaximum = {
  identifier: "2.5.29.30",
  critical: true,
  value: sequence(explicit(0, sequence(dnsName("example.org"), implicit(1, Buffer.from([9]))))),
};
const withMinimumZero = {
  ...withMaximum,
  value: sequence(explicit(0, sequence(dnsName("example.org"), implicit(0, Buffer.of(0))))),
};
const constrainedTop = makeAuthority({ commonName: "Top", ...permitted(dnsName("example.org"), directoryName("Other")) });
const constrainedSelfIssued = makeAuthority({ commonName: "Top", issuer: constrainedTop });
const selfIssuedChain: [MadeCertificate, MadeCertificate, MadeCertificate] = [
  makeLeaf({ names: [HOST], issuer: constrainedSelfIssued }),
  constrainedSelfIssued,
  constrainedTop,
];

/** RFC 5280 §4.2.1.10. */
export const constraintCases: readonly MatchCase[] = [
  anchored("permitted domain", under(permitted(dnsName("example.org"))), 1),
  anchored("permitted: the name itself", under(permitted(dnsName(HOST))), 1),
  anchored("permitted with leading dot", under(permitted(dnsName(".example.org"))), 1),
  anchored("permitted: another domain", under(permitted(dnsName("example.net"))), "name-constraints"),
  anchored("permitted: one of two", under(permitted(dnsName("example.net"), dnsName("example.org"))), 1),
  anchored("permitted: a suffix of text, not of labels", under(permitted(dnsName("ample.org"))), "name-constraints"),
  anchored("excluded domain", under(excluded(dnsName("example.org"))), "name-constraints"),
  anchored("excluded: another domain", under(excluded(dnsName("example.net"))), 1),
  anchored("excluded everything", under(excluded(dnsName(""))), "name-constraints"),
  anchored(
    "one more name outside",
    under(permitted(dnsName("example.org")), { names: [HOST, "example.net"] }),
    "name-constraints",
  ),
  anchored("of the root, over an intermediate", three(permitted(dnsName("example.net"))), "name-constraints"),
  anchored("of the intermediate", three({}, excluded(dnsName("example.org"))), "name-constraints"),
  anchored(
    "common name used as a name",
    under(permitted(dnsName("example.net")), { names: [], commonName: HOST }),
    "name-constraints",
  ),
  anchored(
    "address outside",
    under(permitted(ipName([10, 0, 0, 0, 255, 0, 0, 0])), { generalNames: [ipName([192, 0, 2, 1])] }),
    "name-constraints",
  ),
  anchored("address inside", under(permitted(ipName([10, 0, 0, 0, 255, 0, 0, 0])), { generalNames: [ipName([10, 1, 2, 3])] }), 1),
  anchored(
    "e-mail address outside",
    under(permitted(emailName("example.org")), { generalNames: [emailName("a@example.net")] }),
    "name-constraints",
  ),
  anchored(
    "e-mail address inside",
    under(permitted(emailName("example.org")), { generalNames: [emailName("a@EXAMPLE.org")] }),
    1,
  ),
  anchored(
    "URI excluded",
    under(excluded(uriName(".example.net")), { generalNames: [uriName("https://www.example.net/x")] }),
    "name-constraints",
  ),
  anchored(
    "e-mail address in the subject",
    under(permitted(emailName("example.org")), { subject: emailSubject }),
    "name-constraints",
  ),
  anchored(
    "a self-issued server is constrained",
    under(excluded(dnsName("example.org")), { commonName: "Issuer" }),
    "name-constraints",
  ),
  anchored(
    "common name of a CA that looks like a domain",
    three(permitted(dnsName("example.org")), { commonName: "ca.example.net" }),
    2,
  ),
  anchored("subject outside", under(permitted(directoryName("Other")), { commonName: "Mail" }), "name-constraints"),
  anchored("subject inside", under(permitted(directoryName("mail")), { commonName: "Mail" }), 1),
  anchored("type not supported, no such name", under(permitted(otherName)), 1),
  anchored("type not supported, such a name", under(permitted(otherName), { generalNames: [otherName] }), "name-constraints"),
  anchored("subtree with a maximum", under({ extensions: [withMaximum] }), "name-constraints"),
  anchored("subtree with its minimum of 0 written out", under({ extensions: [withMinimumZero] }), 1),
  anchored("wildcard inside what is permitted", under(permitted(dnsName("example.org")), { names: ["*.example.org"] }), 1),
  anchored(
    "wildcard wider than what is permitted",
    under(permitted(dnsName(HOST)), { names: ["*.example.org"] }),
    "name-constraints",
  ),
  anchored("wildcard beside what is excluded", under(excluded(dnsName("a.b.example.org")), { names: ["*.example.org"] }), 1),
  anchored("a self-issued CA below is not constrained", selfIssuedChain, 2),
  {
    ...anchored(
      "wildcard that covers an excluded name",
      under(excluded(dnsName(HOST)), { names: ["*.example.org"] }),
      "name-constraints",
    ),
    openssl: { verdict: { match: 1 }, because: "OpenSSL compares the wildcard as text; it would let an excluded name through" },
  },
];

/** DER that breaks rules of RFC 5280 §4.2, under an anchor; DANE-EE does not look at it. */
const duplicate = { identifier: "2.5.29.19", critical: true, value: sequence() };
const malformedLeaf = under({}, { basicConstraints: { ca: false }, extensions: [duplicate] });
const notBasic = { identifier: "2.5.29.19", critical: true, value: octetString(distinguishedName([])) };
export const malformedCases: readonly MatchCase[] = [
  anchored("an extension twice", malformedLeaf, "malformed"),
  good("an extension twice under 3 0 1", malformedLeaf, [tlsaFor(malformedLeaf[0], 3, 0, 1)], 0),
  anchored("basic constraints that are none", under({}, { extensions: [notBasic] }), "malformed"),
  anchored("version 1 leaf with a common name", [makeCertificate({ version: 1, commonName: HOST, issuer: root }), root], 1),
];

export const matchCases: readonly MatchCase[] = [
  ...endEntityCases,
  ...agilityCases,
  ...anchorCases,
  ...pathCases,
  ...selfIssuedCases,
  ...nameCases,
  ...constraintCases,
  ...malformedCases,
];
