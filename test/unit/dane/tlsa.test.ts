import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { presentTlsa, shortTlsa, type UnusableReason, usableRecords } from "../../../src/dane/tlsa.ts";
import { makeAuthority, publicKeyInfo, tlsaFor } from "../../fake/certificates.ts";

const authority = makeAuthority();
const certificate = authority.der;
const key = publicKeyInfo(authority.keys.publicKey);
const octets = (count: number): Buffer => Buffer.alloc(count, 0xab);
const trailing = (data: Buffer): Buffer => Buffer.concat([data, Buffer.from([0])]);
const pem = Buffer.from(authority.certificatePem);

/** RFC 6698 §4.1 and RFC 7672 §3.1: usage, selector, matching type, data. */
const rows: readonly [string, number, number, number, Buffer, UnusableReason | "usable"][] = [
  ["3 1 1", 3, 1, 1, octets(32), "usable"],
  ["3 0 1", 3, 0, 1, octets(32), "usable"],
  ["3 1 2", 3, 1, 2, octets(64), "usable"],
  ["2 0 1", 2, 0, 1, octets(32), "usable"],
  ["2 1 2", 2, 1, 2, octets(64), "usable"],
  ["3 0 0", 3, 0, 0, certificate, "usable"],
  ["3 1 0", 3, 1, 0, key, "usable"],
  ["2 0 0", 2, 0, 0, certificate, "usable"],
  ["2 1 0", 2, 1, 0, key, "usable"],
  ["PKIX-TA", 0, 0, 1, octets(32), "pkix-usage"],
  ["PKIX-EE", 1, 1, 1, octets(32), "pkix-usage"],
  ["usage 4", 4, 1, 1, octets(32), "unknown-usage"],
  ["usage 255 (private)", 255, 1, 1, octets(32), "unknown-usage"],
  ["selector 2", 3, 2, 1, octets(32), "unknown-selector"],
  ["selector 255", 3, 255, 0, certificate, "unknown-selector"],
  ["matching type 3", 3, 1, 3, octets(32), "unknown-matching-type"],
  ["matching type 255", 3, 1, 255, octets(64), "unknown-matching-type"],
  ["SHA-256 too short", 3, 1, 1, octets(31), "digest-length"],
  ["SHA-256 too long", 3, 1, 1, octets(33), "digest-length"],
  ["SHA-512 of 32 octets", 3, 1, 2, octets(32), "digest-length"],
  ["SHA-256 of 64 octets", 3, 1, 1, octets(64), "digest-length"],
  ["empty digest", 3, 1, 1, octets(0), "empty"],
  ["empty certificate", 3, 0, 0, octets(0), "empty"],
  ["no certificate", 3, 0, 0, octets(300), "not-a-certificate"],
  ["certificate and one octet", 2, 0, 0, trailing(certificate), "not-a-certificate"],
  ["certificate in PEM", 3, 0, 0, pem, "not-a-certificate"],
  ["half a certificate", 2, 0, 0, certificate.subarray(0, 200), "not-a-certificate"],
  ["a key where a certificate belongs", 2, 0, 0, key, "not-a-certificate"],
  ["no key", 3, 1, 0, octets(91), "not-a-public-key"],
  ["key and one octet", 2, 1, 0, trailing(key), "not-a-public-key"],
  ["a certificate where a key belongs", 3, 1, 0, certificate, "not-a-public-key"],
];

describe("usable in SMTP", () => {
  for (const [title, usage, selector, matchingType, data, expected] of rows) {
    test(`${title}: ${expected}`, () => {
      const { usable, unusable } = usableRecords([{ usage, selector, matchingType, data }]);
      assert.equal(unusable[0]?.reason ?? "usable", expected);
      assert.equal(usable.length, expected === "usable" ? 1 : 0);
    });
  }
});

test("unusable records don't take usable ones with them", () => {
  const good = tlsaFor(authority, 3, 1, 1);
  const bad = { ...good, usage: 1 };
  const { usable, unusable } = usableRecords([bad, good]);
  assert.deepEqual(usable, [good]);
  assert.deepEqual(
    unusable.map(({ record }) => record),
    [bad],
  );
});

test("presentation format", () => {
  const record = { usage: 3, selector: 1, matchingType: 1, data: Buffer.from("AB12CD34EF567890", "hex") };
  assert.equal(presentTlsa(record), "3 1 1 ab12cd34ef567890");
  assert.equal(shortTlsa(record), "3 1 1 ab12cd34ef56..");
  assert.equal(shortTlsa({ ...record, data: record.data.subarray(0, 6) }), "3 1 1 ab12cd34ef56");
  assert.equal(presentTlsa({ ...record, data: Buffer.alloc(0) }), "3 1 1");
});
