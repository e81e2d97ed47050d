import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MAX_CERTIFICATE_OCTETS, parseCertificate, parsePublicKey } from "../../../src/x509/certificate.ts";
import type { Extensions } from "../../../src/x509/extension.ts";
import {
  type CertificateOptions,
  dnsName,
  EXPIRED,
  ipName,
  makeCertificate,
  publicKeyInfo,
  UNKNOWN_CRITICAL,
} from "../../fake/certificates.ts";
import { bitString, boolean, der, explicit, implicit, integer, octetString, sequence } from "../../fake/derWriter.ts";

function extensionsOf(options: CertificateOptions): Extensions | string {
  const certificate = parseCertificate(makeCertificate({ keyIdentifiers: "absent", ...options }).der);
  if (certificate.kind === "malformed") throw new Error(certificate.because);
  return "kind" in certificate.extensions ? certificate.extensions.because : certificate.extensions;
}

function withValue(identifier: string, value: Buffer): CertificateOptions {
  return { extensions: [{ identifier, critical: true, value }] };
}

describe("a certificate", () => {
  const made = makeCertificate({ commonName: "mx", ...EXPIRED });
  const { der: octets } = made;

  test("is read as it is", () => {
    const certificate = parseCertificate(octets);
    assert.ok(certificate.kind === "certificate");
    assert.equal(certificate.version, 3);
    assert.deepEqual(certificate.publicKeyInfo, publicKeyInfo(made.keys.publicKey));
    assert.deepEqual(certificate.subject, made.subject);
    assert.equal(certificate.notBefore, EXPIRED.notBefore.getTime());
    assert.equal(certificate.notAfter, EXPIRED.notAfter.getTime());
    assert.equal(certificate.signatureAlgorithm, "1.2.840.10045.4.3.2");
  });

  const malformed: readonly [string, Buffer][] = [
    ["nothing", Buffer.alloc(0)],
    ["PEM", Buffer.from(made.certificatePem)],
    ["an octet behind it", Buffer.concat([octets, Buffer.from([0])])],
    ["too large", makeCertificate({ names: ["x".repeat(MAX_CERTIFICATE_OCTETS)] }).der],
    ["indefinite length", Buffer.concat([Buffer.from([0x30, 0x80]), octets.subarray(4), Buffer.from([0, 0])])],
    ["a key only", publicKeyInfo(made.keys.publicKey)],
  ];
  for (const [title, input] of malformed) {
    test(`malformed: ${title}`, () => assert.equal(parseCertificate(input).kind, "malformed"));
  }

  test("malformed: cut off anywhere", () => {
    for (let length = 0; length < octets.length; length += 1) {
      assert.equal(parseCertificate(octets.subarray(0, length)).kind, "malformed", `${length} octets`);
    }
  });

  test("any octet changed: a value, never an exception", () => {
    for (let at = 0; at < octets.length; at += 1) {
      const changed = Buffer.from(octets);
      changed[at] = changed.readUInt8(at) ^ 0xff;
      assert.ok(["certificate", "malformed"].includes(parseCertificate(changed).kind));
    }
  });

  test("a key that is none has no KeyObject", () => {
    assert.equal(parsePublicKey(sequence(sequence(), bitString(Buffer.alloc(4)))), undefined);
    assert.equal(parsePublicKey(Buffer.alloc(0)), undefined);
  });
});

describe("extensions (RFC 5280 §4.2.1)", () => {
  test("those that are read", () => {
    const extensions = extensionsOf({
      basicConstraints: { ca: true, pathLength: 3 },
      keyUsage: ["keyCertSign", "digitalSignature"],
      extendedKeyUsage: ["1.3.6.1.5.5.7.3.1", "2.999.1234567890"],
      names: ["a.example", "b.example"],
      generalNames: [ipName([192, 0, 2, 1])],
      nameConstraints: { permitted: [dnsName("example")] },
      extensions: [UNKNOWN_CRITICAL],
    });
    assert.deepEqual(extensions, {
      basicConstraints: { ca: true, pathLength: 3 },
      keyUsage: ["digitalSignature", "keyCertSign"],
      extendedKeyUsage: ["1.3.6.1.5.5.7.3.1", "2.999.1234567890"],
      subjectAlternativeNames: [
        { kind: "dNSName", text: "a.example" },
        { kind: "dNSName", text: "b.example" },
        { kind: "iPAddress", octets: Buffer.from([192, 0, 2, 1]) },
      ],
      nameConstraints: { permitted: [{ base: { kind: "dNSName", text: "example" }, distances: "default" }], excluded: [] },
      unknownCritical: [UNKNOWN_CRITICAL.identifier],
    });
  });

  test("certificate policies may be critical, policy constraints may not", () => {
    const policies = extensionsOf(withValue("2.5.29.32", sequence()));
    assert.deepEqual(typeof policies === "string" ? policies : policies.unknownCritical, []);
    const constraints = extensionsOf(withValue("2.5.29.36", sequence()));
    assert.deepEqual(typeof constraints === "string" ? constraints : constraints.unknownCritical, ["2.5.29.36"]);
  });

  test("a path length without CA:TRUE means nothing", () => {
    const read = extensionsOf(withValue("2.5.29.19", sequence(integer(1))));
    assert.deepEqual(typeof read === "string" ? read : read.basicConstraints, { ca: false, pathLength: undefined });
  });

  test("only a minimum of 0 is as good as none", () => {
    const distances = (...fields: readonly Buffer[]) => {
      const read = extensionsOf(withValue("2.5.29.30", sequence(explicit(0, sequence(dnsName("example"), ...fields)))));
      return typeof read === "string" ? read : read.nameConstraints?.permitted[0]?.distances;
    };
    const number = (tag: number, value: number) => implicit(tag, Buffer.of(value));
    assert.equal(distances(number(0, 0)), "default");
    for (const fields of [[number(0, 1)], [number(1, 0)], [number(0, 0), number(1, 0)]])
      assert.equal(distances(...fields), "given");
  });

  const malformed: readonly [string, CertificateOptions][] = [
    ["negative path length", withValue("2.5.29.19", sequence(boolean(true), der(2, Buffer.from([0xff]))))],
    ["boolean of 01", withValue("2.5.29.19", sequence(der(1, Buffer.from([1]))))],
    ["basic constraints with more", withValue("2.5.29.19", sequence(boolean(true), integer(1), integer(1)))],
    ["key usage that is no bit string", withValue("2.5.29.15", octetString(Buffer.from([1])))],
    ["empty key usage", withValue("2.5.29.15", der(3))],
    ["extended key usage of integers", withValue("2.5.29.37", sequence(integer(1)))],
    ["alternative name that is none", withValue("2.5.29.17", sequence(integer(1)))],
    ["name constraint without a name", withValue("2.5.29.30", sequence(explicit(0, sequence())))],
    ["two of a kind", { basicConstraints: { ca: false }, ...withValue("2.5.29.19", sequence()) }],
  ];
  for (const [title, options] of malformed) {
    test(`malformed: ${title}`, () => assert.equal(typeof extensionsOf(options), "string"));
  }
});
