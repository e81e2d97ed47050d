import assert from "node:assert/strict";
import { test } from "node:test";
import { type ResourceRecord, RR_TYPE } from "../../../src/dns/message.ts";
import { name, nameToWire } from "../../../src/dns/name.ts";
import { algorithmTable, MAX_RSA_BITS, rsa } from "../../../src/dnssec/algorithm.ts";
import { record } from "../../fake/dnsWire.ts";
import { signingKey } from "../../fake/signer.ts";

const table = algorithmTable({ sha1: "validate" });
const DATA = Buffer.from("what is signed");

const SIGNATURE_OCTETS = new Map([
  [13, 64],
  [14, 96],
  [15, 64],
  [16, 114],
]);

for (const algorithm of [5, 7, 8, 10, 13, 14, 15, 16]) {
  test(`algorithm ${algorithm} verifies what was signed, and nothing else`, () => {
    const key = signingKey({ algorithm });
    const imported = table.signatures.get(algorithm)?.importKey(key.dnskey.subarray(4));
    assert.ok(imported?.kind === "key");
    const signature = key.sign(DATA);
    assert.equal(signature.length, SIGNATURE_OCTETS.get(algorithm) ?? 256);
    assert.equal(imported.verifies(DATA, signature), true);
    assert.equal(imported.verifies(Buffer.from("what is not"), signature), false);
    for (const wrong of [
      Buffer.alloc(0),
      signature.subarray(1),
      Buffer.concat([Buffer.of(0), signature]),
      Buffer.alloc(signature.length),
    ])
      assert.equal(imported.verifies(DATA, wrong), false);
    const flipped = Buffer.from(signature);
    flipped.writeUInt8(flipped.readUInt8(10) ^ 1, 10);
    assert.equal(imported.verifies(DATA, flipped), false);
  });
}

test("SHA-1 is there only when it is asked for", () => {
  const strict = algorithmTable({ sha1: "insecure" });
  assert.deepEqual([...strict.signatures.keys()], [8, 10, 13, 14, 15, 16]);
  assert.deepEqual([...strict.digests.keys()], [2, 4]);
  assert.deepEqual(
    [...table.signatures.keys()].sort((a, b) => a - b),
    [5, 7, 8, 10, 13, 14, 15, 16],
  );
  assert.deepEqual([...table.digests.keys()].sort(), [1, 2, 4]);
});

/** RFC 3110 §2 with a short exponent length. */
function rsaKey(exponent: string, modulusBits: number): Buffer {
  const modulus = Buffer.alloc(Math.ceil(modulusBits / 8), 0xff);
  modulus.writeUInt8(0xff >> (8 * modulus.length - modulusBits), 0);
  const octets = Buffer.from(exponent, "hex");
  return Buffer.concat([Buffer.of(octets.length), octets, modulus]);
}

const point = (octets: number): Buffer => Buffer.alloc(octets, 1);

const UNUSABLE: readonly [title: string, algorithm: number, publicKey: Buffer, reason: RegExp][] = [
  ["an RSA modulus of 1023 bits", 8, rsaKey("010001", 1023), /1023 bits \(1024 at least\)/],
  ["an RSA modulus of 4097 bits", 8, rsaKey("010001", MAX_RSA_BITS + 1), /4097 bits \(4096 at most\)/],
  [
    "a leading zero does not make a modulus longer",
    8,
    Buffer.concat([Buffer.from("03010001", "hex"), Buffer.alloc(64), Buffer.alloc(64, 0xff)]),
    /512 bits/,
  ],
  ["an RSA exponent of 65 bits", 8, rsaKey("01ffffffffffffffff", 2048), /exponent of 65 bits/],
  ["RSA exponent 1", 8, rsaKey("01", 2048), /exponent/],
  ["RSA exponent 2", 8, rsaKey("02", 2048), /exponent/],
  ["RSA exponent 0", 8, rsaKey("00", 2048), /exponent/],
  ["an RSA key that ends within its exponent", 8, Buffer.from("05010001", "hex"), /ends within its exponent/],
  ["an RSA key without a modulus", 8, Buffer.from("03010001", "hex"), /ends within its exponent/],
  ["an RSA key of one octet", 8, Buffer.of(0), /too short/],
  ["an RSA key of no octet", 8, Buffer.alloc(0), /too short/],
  ["a P-256 point of 63 octets", 13, point(63), /63 octets/],
  ["a P-256 point with its leading 04", 13, point(65), /65 octets/],
  ["a point that is not on P-256", 13, point(64), /not a public key/],
  ["a point that is not on P-384", 14, point(96), /not a public key/],
  ["an Ed25519 key of 31 octets", 15, point(31), /31 octets/],
  ["an Ed448 key of 56 octets", 16, point(56), /56 octets/],
];

for (const [title, algorithm, publicKey, reason] of UNUSABLE) {
  test(`unusable: ${title}`, () => {
    const imported = table.signatures.get(algorithm)?.importKey(publicKey);
    assert.ok(imported?.kind === "unusable");
    assert.match(imported.reason, reason);
  });
}

test("an exponent length of three octets (RFC 3110 §2) and an exponent of 64 bits are read", () => {
  const { dnskey, sign } = signingKey({ algorithm: 8 });
  const [exponent, modulus] = [dnskey.subarray(5, 8), dnskey.subarray(8)];
  const long = Buffer.concat([Buffer.of(0, 0, exponent.length), exponent, modulus]);
  const imported = table.signatures.get(8)?.importKey(long);
  assert.ok(imported?.kind === "key");
  assert.equal(imported.verifies(DATA, sign(DATA)), true);
  assert.equal(table.signatures.get(8)?.importKey(rsaKey("8000000000000001", 2048)).kind, "key");
});

test("the shortest and the longest RSA key, and the smallest exponent, are keys", () => {
  for (const bits of [1024, MAX_RSA_BITS]) assert.equal(table.signatures.get(8)?.importKey(rsaKey("03", bits)).kind, "key");
});

test("a key that cannot be computed with verifies nothing", () => {
  const even = rsaKey("010001", 2048);
  even.writeUInt8(0xfe, even.length - 1);
  const imported = table.signatures.get(8)?.importKey(even);
  if (imported?.kind === "key") assert.equal(imported.verifies(DATA, Buffer.alloc(256, 1)), false);
  else assert.equal(imported?.kind, "unusable");
});

test("tests can have RSA keys of 512 bits", () => {
  const key = signingKey({ algorithm: 8, rsaBits: 512 });
  const imported = rsa("RSASHA256", "sha256", 512).importKey(key.dnskey.subarray(4));
  assert.ok(imported.kind === "key");
  assert.equal(imported.verifies(DATA, key.sign(DATA)), true);
});

/** DNSKEY, its owner, DS digest type and digest of RFC 4034 §5.4, RFC 4509 §2.3, RFC 6605 §6, RFC 8080 §6. */
const DS_EXAMPLES: readonly [title: string, dnskey: string, digestType: number, digest: string][] = [
  [
    "RFC 4034 §5.4",
    "dskey.example.com DNSKEY 256 3 5 AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==",
    1,
    "2bb183af5f22588179a53b0a98631fad1a292118",
  ],
  [
    "RFC 6605 §6.1",
    "example.net DNSKEY 257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
    2,
    "b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17",
  ],
  [
    "RFC 6605 §6.2",
    "example.net DNSKEY 257 3 14 xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8/uX45NBwY8rp65F6Glur8I/mlVNgF6W/qTI37m40",
    4,
    "72d7b62976ce06438e9c0bf319013cf801f09ecc84b8d7e9495f27e305c6a9b0563a9b5f4d288405c3008a946df983d6",
  ],
  [
    "RFC 8080 §6.2",
    "example.com DNSKEY 257 3 16 3kgROaDjrh0H2iuixWBrc8g2EpBBLCdGzHmn+G2MpTPhpj/OiBVHHSfPodx1FYYUcJKm1MDpJtIA",
    2,
    "6ccf18d5bc5d7fc2fceb1d59d17321402f2aa8d368048db93dd811f5cb2b19c7",
  ],
];

for (const [title, text, digestType, expected] of DS_EXAMPLES) {
  test(`DS digest of ${title}`, () => {
    const dnskey: ResourceRecord = record(text);
    assert.equal(dnskey.type, RR_TYPE.DNSKEY);
    const digest = table.digests.get(digestType);
    assert.ok(digest !== undefined);
    const octets = digest.digest(Buffer.concat([nameToWire(name(dnskey.name)), dnskey.rdata]));
    assert.equal(octets.toString("hex"), expected);
    assert.equal(octets.length, digest.octets);
  });
}
