import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ownRecords, RECOMMENDED } from "../../../src/dane/ownRecords.ts";
import { presentTlsa } from "../../../src/dane/tlsa.ts";
import { certificateRequest } from "../../../src/rollover/certificateRequest.ts";
import { readKeyMaterial } from "../../../src/x509/keyMaterial.ts";
import { chainPem, makeAuthority, makeKeys, makeLeaf, tlsaFor } from "../../fake/certificates.ts";

/** The same key in each of its forms has the same record, and it is the one that matches (tlsaFor is what matching is tested with). */
const authority = makeAuthority();
const leaf = makeLeaf({ issuer: authority, names: ["mx.example.org"] });
const chain = chainPem(leaf, authority);
const publicPem = leaf.keys.publicKey.export({ type: "spki", format: "pem" }).toString();

function recordsOf(file: Buffer | string, parameters = RECOMMENDED): readonly string[] | string {
  const material = readKeyMaterial(Buffer.from(file));
  if (material.kind === "unreadable") return material.because;
  const made = ownRecords(material, parameters);
  return made.kind === "impossible" ? made.because : made.records.map(({ record }) => presentTlsa(record));
}

describe("TLSA records of what an operator has in a file", () => {
  const expected = presentTlsa(tlsaFor(leaf, 3, 1, 1));
  const forms: Readonly<Record<string, Buffer | string>> = {
    certificate: leaf.certificatePem,
    "certificate in DER": leaf.der,
    "whole chain": chain,
    "chain with Windows line ends": chain.replaceAll("\n", "\r\n"),
    "chain with text around": `subject=mx\n${chain}\nthe end`,
    "private key": leaf.keyPem,
    "private key beside its certificate": `${leaf.keyPem}${chain}`,
    "EC private key with its parameters": `${leaf.keys.privateKey.export({ type: "sec1", format: "pem" }).toString()}`,
    "public key": publicPem,
    "public key in DER": leaf.keys.publicKey.export({ type: "spki", format: "der" }),
    "certificate request": certificateRequest(leaf.keys.privateKey, "mx.example.org"),
  };
  for (const [form, file] of Object.entries(forms)) test(form, () => assert.deepEqual(recordsOf(file), [expected]));

  test("an RSA key's request, too", () => {
    const keys = makeKeys("rsa2048");
    const rsa = makeLeaf({ keys });
    assert.deepEqual(recordsOf(certificateRequest(keys.privateKey, "mx.example.org")), [presentTlsa(tlsaFor(rsa, 3, 1, 1))]);
  });

  for (const usage of [0, 1, 2, 3]) {
    for (const selector of [0, 1]) {
      for (const matchingType of [0, 1, 2]) {
        test(`chain, ${usage} ${selector} ${matchingType}`, () => {
          const named = usage % 2 === 0 ? authority : leaf;
          assert.deepEqual(recordsOf(chain, { usage, selector, matchingType }), [
            presentTlsa(tlsaFor(named, usage, selector, matchingType)),
          ]);
        });
      }
    }
  }

  const bad: readonly [string, Buffer | string, typeof RECOMMENDED, RegExp][] = [
    ["nothing", "", RECOMMENDED, /neither PEM nor/],
    ["text", "hello", RECOMMENDED, /neither PEM nor/],
    ["half a block", leaf.certificatePem.slice(0, 200), RECOMMENDED, /no end of it/],
    [
      "a block of something else",
      "-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----",
      RECOMMENDED,
      /DH PARAMETERS/,
    ],
    ["a broken certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", RECOMMENDED, /certificate 1: /],
    ["an encrypted key", encrypted(), RECOMMENDED, /can't be read/],
    ["a key, selector 0", leaf.keyPem, { usage: 3, selector: 0, matchingType: 1 }, /selector 0 needs it/],
    ["a key, usage 2", leaf.keyPem, { usage: 2, selector: 1, matchingType: 1 }, /needs the CA's certificate/],
    ["a leaf alone, usage 2", leaf.certificatePem, { usage: 2, selector: 1, matchingType: 1 }, /no CA certificate/],
    ["two keys", leaf.keyPem + publicPem, RECOMMENDED, /several keys/],
  ];
  for (const [name, file, parameters, words] of bad) {
    test(`${name}: said in words`, () => assert.match(String(recordsOf(file, parameters)), words));
  }

  function encrypted(): string {
    return leaf.keys.privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "secret" }).toString();
  }
});
