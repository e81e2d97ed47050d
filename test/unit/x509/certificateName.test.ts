import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { name } from "../../../src/dns/name.ts";
import { parseCertificate } from "../../../src/x509/certificate.ts";
import { matchedIdentifier, matchesIdentifier, presentedIdentifiers } from "../../../src/x509/certificateName.ts";
import { emailName, makeLeaf } from "../../fake/certificates.ts";

/** Presented, reference, whether they match: RFC 6125 §6.4 and RFC 7672 §3.2.3. */
const rows: readonly [string, string, boolean][] = [
  ["mx.example.org", "mx.example.org", true],
  ["MX.EXAMPLE.org", "mx.example.org", true],
  ["mx.example.org.", "mx.example.org", false],
  ["mx.example.org", "mx.example.org.example.net", false],
  ["*.example.org", "mx.example.org", true],
  ["*.example.org", "a.mx.example.org", false],
  ["*.example.org", "example.org", false],
  ["*.org", "example.org", false],
  ["*", "org", false],
  ["*.*.org", "mx.example.org", false],
  ["mx.*.org", "mx.example.org", false],
  ["m*.example.org", "mx.example.org", false],
  ["*x.example.org", "mx.example.org", false],
  ["**.example.org", "mx.example.org", false],
  ["*.co.uk", "example.co.uk", true],
  ["*.example.org", "xn--mx-yia.example.org", true],
  ["xn--*.example.org", "xn--mx-yia.example.org", false],
  ["*.xn--bcher-kva.example", "mx.xn--bcher-kva.example", true],
  ["b\u00fccher.example", "xn--bcher-kva.example", false],
  ["*.example.org", "_mx.example.org", false],
  ["_mx.example.org", "_mx.example.org", true],
  ["mx\\.a.example.org", "mx\\.a.example.org", false],
  ["*.example.org", "mx\\.a.example.org", false],
  ["*.example.org", "\\*.example.org", false],
  ["mx.example.org\0", "mx.example.org", false],
  ["", "example.org", false],
  [".example.org", "mx.example.org", false],
  ["mx..example.org", "mx.example.org", false],
  ["192.0.2.1", "192.0.2.1", true],
  [" mx.example.org", "mx.example.org", false],
];

describe("presented against reference", () => {
  for (const [presented, reference, expected] of rows) {
    test(`${JSON.stringify(presented)} ${expected ? "matches" : "does not match"} ${reference}`, () =>
      assert.equal(matchesIdentifier(presented, name(reference)), expected));
  }
});

function certificate(options: Parameters<typeof makeLeaf>[0]) {
  const parsed = parseCertificate(makeLeaf(options).der);
  if (parsed.kind === "malformed") throw new Error(parsed.because);
  return parsed;
}

test("a common name is looked at only where there is no DNS-ID", () => {
  assert.deepEqual(presentedIdentifiers(certificate({ names: ["a.example"], commonName: "b.example" })), ["a.example"]);
  assert.deepEqual(presentedIdentifiers(certificate({ commonName: ["b.example", "c.example"] })), ["b.example", "c.example"]);
  const withEmail = certificate({ generalNames: [emailName("a@b.example")], commonName: "b.example" });
  assert.deepEqual(presentedIdentifiers(withEmail), ["b.example"]);
});

test("unreadable extensions leave no name", () => {
  const extensions = [{ identifier: "2.5.29.17", critical: false, value: Buffer.from([1]) }];
  assert.deepEqual(presentedIdentifiers(certificate({ commonName: "b.example", extensions })), []);
});

test("any reference identifier will do; the first that fits is named", () => {
  const both = certificate({ names: ["example.org", "example.net"] });
  assert.equal(matchedIdentifier(both, [name("mx.example.org"), name("example.net"), name("example.org")]), "example.net.");
  assert.equal(matchedIdentifier(both, [name("mx.example.org")]), undefined);
  assert.equal(matchedIdentifier(both, []), undefined);
});
