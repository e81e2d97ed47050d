import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { describe, test } from "node:test";
import { parseCertificate } from "../../../src/x509/certificate.ts";
import { isStrongEnough, keyStrength, type SecurityLevel, signatureStrength } from "../../../src/x509/securityLevel.ts";
import { type CertificateOptions, type KeyKind, makeCertificate, makeKeys } from "../../fake/certificates.ts";

/** The highest level that is satisfied, as SSL_CTX_set_security_level(3) describes them. */
function highest(bits: number): number {
  const levels: readonly SecurityLevel[] = [0, 1, 2, 3, 4, 5];
  return levels.filter((level) => isStrongEnough(bits, level)).length - 1;
}

describe("keys", () => {
  const rows: readonly [KeyKind, number][] = [
    ["rsa768", 0],
    ["rsa1024", 1],
    ["rsa2048", 2],
    ["p256", 3],
    ["p384", 4],
    ["ed25519", 3],
  ];
  for (const [kind, level] of rows) {
    test(`${kind}: level ${level}`, () => assert.equal(highest(keyStrength(makeKeys(kind).publicKey)), level));
  }
  test("an unknown curve is worthless", () => {
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "sect283k1" });
    assert.equal(keyStrength(publicKey), 0);
  });
  test("no key is worthless", () => assert.equal(keyStrength(undefined), 0));
});

describe("signatures", () => {
  const rows: readonly [string, CertificateOptions, number][] = [
    ["RSA with MD5", { keyKind: "rsa2048", digest: "md5" }, 0],
    ["RSA with SHA-1", { keyKind: "rsa2048", digest: "sha1" }, 0],
    ["RSA with SHA-256", { keyKind: "rsa2048" }, 3],
    ["ECDSA with SHA-1", { digest: "sha1" }, 0],
    ["ECDSA with SHA-384", { digest: "sha384" }, 4],
    ["Ed25519", { keyKind: "ed25519" }, 3],
  ];
  for (const [title, options, level] of rows) {
    test(`${title}: level ${level}`, () => {
      const certificate = parseCertificate(makeCertificate(options).der);
      assert.ok(certificate.kind === "certificate");
      assert.equal(highest(signatureStrength(certificate)), level);
    });
  }
  test("an unknown algorithm is worthless; RSASSA-PSS counts by its hash, SHA-1 unless it says otherwise", () => {
    const certificate = parseCertificate(makeCertificate({}).der);
    assert.ok(certificate.kind === "certificate");
    const pss = (parameters: string): number =>
      signatureStrength({
        ...certificate,
        signatureAlgorithm: "1.2.840.113549.1.1.10",
        signatureParameters: Buffer.from(parameters, "hex"),
      });
    assert.equal(signatureStrength({ ...certificate, signatureAlgorithm: "1.2.3" }), 0);
    assert.equal(highest(signatureStrength({ ...certificate, signatureAlgorithm: "2.16.840.1.101.3.4.3.14" })), 3);
    assert.equal(highest(pss("3000")), 0);
    assert.equal(highest(pss("300fa00d300b0609608648016503040201")), 3);
    assert.equal(highest(pss("")), 0);
  });
});
