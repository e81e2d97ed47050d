import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { describe, test } from "node:test";
import { RelaxedBodyHash } from "../../../src/dkim/canonicalForm.ts";
import { coveredFields } from "../../../src/dkim/coveredFields.ts";
import { dkimSignature } from "../../../src/dkim/signature.ts";
import { dkimRecord, readDkimKey } from "../../../src/dkim/signingKey.ts";
import { checkDkim } from "../../fake/dkimVerifier.ts";

/** RFC 8463 Appendix A. */
const ED25519_SEED = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
const ED25519_PEM = createPrivateKey({
  key: Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.from(ED25519_SEED, "base64")]),
  format: "der",
  type: "pkcs8",
})
  .export({ type: "pkcs8", format: "pem" })
  .toString();
const RSA_PEM = `-----BEGIN RSA PRIVATE KEY-----
MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi
Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM
KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB
AoGAH0cxOhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm
6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQpbRqE7Tm5SxKjvvQoZZe
zHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy
6enGVj2kWF732CoWFZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8Gc
uSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/OPN0oWCbXIGxy
WvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxd
WFV6Z7ULnKyV7HSVYF0hgYOHjeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1a
licIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKfIcst
o7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOe
uEzxBDAr518Z8VFbR41in3W4Y3yCDgQlLlcETrS+zYcL
-----END RSA PRIVATE KEY-----
`;
const SIGNED_MESSAGE = `DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
`.replaceAll("\n", "\r\n");

function keyOf(_: string, selector: string): KeyObject {
  return createPublicKey(selector === "test" ? RSA_PEM : ED25519_PEM);
}

const HEADER = [
  "From: <a@example.org>",
  "Subject:  folded\r\n\tand   spaced ",
  "Received: one",
  "Received: two",
  "X-Other: not signed",
];
const BODY = Buffer.from("a  line \t \r\n\r\n.\r\nlast\r\n\r\n\r\n");

function signedWith(pem: string, selector: string): Buffer {
  const read = readDkimKey(pem, { domain: "football.example.com", selector });
  assert.ok(read.kind === "key");
  const sealed = ["From", "Subject", "Received", "To"].map((name) => ({ name, sealed: "always" as const }));
  const hash = new RelaxedBodyHash();
  hash.update(BODY);
  const request = { covered: coveredFields(HEADER, sealed), bodyHash: hash.digest(), signedAt: 1_528_637_909_999 };
  const signature = dkimSignature(read.key, request);
  assert.equal(dkimSignature(read.key, request), signature);
  return Buffer.concat([Buffer.from(`${[signature, ...HEADER].join("\r\n")}\r\n\r\n`), BODY]);
}

describe("DKIM signatures (RFC 6376, RFC 8301, RFC 8463)", () => {
  test("the tests' own check takes the message of RFC 8463 Appendix A, and sees a changed letter of it", () => {
    const words = (message: string) =>
      checkDkim(Buffer.from(message), keyOf).map(({ bodyHash, signature }) => `${bodyHash} ${signature}`);
    assert.deepEqual(words(SIGNED_MESSAGE), ["holds holds", "holds holds"]);
    assert.deepEqual(words(SIGNED_MESSAGE.replace("hungry", "angry")), ["broken holds", "broken holds"]);
    assert.deepEqual(words(SIGNED_MESSAGE.replace("dinner", "lunch")), ["holds broken", "holds broken"]);
  });

  for (const [pem, selector, algorithm] of [
    [RSA_PEM, "test", "rsa-sha256"],
    [ED25519_PEM, "brisbane", "ed25519-sha256"],
  ] as const) {
    test(`${algorithm}: a receiver's check holds, and breaks with every signed part`, () => {
      const message = signedWith(pem, selector);
      const [checked] = checkDkim(message, keyOf);
      assert.deepEqual({ ...checked, tags: undefined }, { bodyHash: "holds", signature: "holds", tags: undefined });
      const tag = (name: string) => checked?.tags.get(name);
      assert.deepEqual(
        [tag("v"), tag("a"), tag("c"), tag("d"), tag("s")],
        ["1", algorithm, "relaxed/relaxed", "football.example.com", selector],
      );
      assert.equal(tag("t"), "1528637909");
      // RFC 8460 §3: l= MUST NOT be used.
      assert.equal(tag("l"), undefined);
      const broken = (from: string, to: string) => {
        const [result] = checkDkim(Buffer.from(message.toString("latin1").replace(from, to), "latin1"), keyOf);
        return `${result?.bodyHash} ${result?.signature}`;
      };
      assert.equal(broken("<a@example.org>", "<b@example.org>"), "holds broken");
      assert.equal(broken("Received: two", "Received: three"), "holds broken");
      assert.equal(broken("last\r\n", "last\r\nappended\r\n"), "broken holds");
      assert.equal(broken("X-Other: not", "X-Other: still not"), "holds holds");
      // A second From, or a field that was absent, in front of the signature or behind it.
      assert.equal(broken("From: <a@", "From: <c@example.org>\r\nFrom: <a@"), "holds broken");
      assert.equal(broken("X-Other:", "To: <d@example.org>\r\nX-Other:"), "holds broken");
    });
  }

  test("no line of a signature is longer than a header line should be (RFC 5322 §2.1.1)", () => {
    const header = signedWith(RSA_PEM, "test").toString("latin1").split("\r\n\r\n")[0] ?? "";
    assert.ok(
      header.split("\r\n").every((line) => line.length <= 78),
      header,
    );
  });

  test("records to publish: RFC 8463 Appendix A.2 has those of the two keys", () => {
    const record = (pem: string, selector: string) => {
      const read = readDkimKey(pem, { domain: "football.example.com", selector });
      assert.ok(read.kind === "key");
      return dkimRecord(read.key);
    };
    assert.equal(
      record(ED25519_PEM, "brisbane"),
      'brisbane._domainkey.football.example.com. IN TXT "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="',
    );
    assert.equal(
      record(RSA_PEM, "test"),
      'test._domainkey.football.example.com. IN TXT "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6' +
        "Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w" +
        '3QIDAQAB"',
    );
    const long = generateKeyPairSync("rsa", { modulusLength: 2048 })
      .privateKey.export({ type: "pkcs8", format: "pem" })
      .toString();
    const strings = [...record(long, "s").matchAll(/"([^"]*)"/g)].map(([, text]) => text ?? "");
    assert.deepEqual(
      strings.map(({ length }) => length <= 255),
      [true, true],
    );
    assert.match(strings.join(""), /^v=DKIM1; k=rsa; p=[A-Za-z0-9+/]+={0,2}$/);
  });

  const bad: readonly { name: string; pem: string; reason: RegExp }[] = [
    { name: "no PEM", pem: "nothing", reason: /no private key in PEM/ },
    {
      name: "a public key",
      pem: createPublicKey(RSA_PEM).export({ type: "spki", format: "pem" }).toString(),
      reason: /no private key in PEM/,
    },
    {
      name: "an elliptic curve that DKIM does not know",
      pem: generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      reason: /RSA and Ed25519, not ec/,
    },
    {
      name: "RSA of 768 bits (RFC 8301 §3.2)",
      pem: generateKeyPairSync("rsa", { modulusLength: 768 }).privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      reason: /768 bits/,
    },
    {
      name: "RSA that receivers need not understand (RFC 8301 §3.2)",
      pem: generateKeyPairSync("rsa", { modulusLength: 4104 }).privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      reason: /4104 bits \(at most 4096/,
    },
    {
      name: "RSA for PSS alone, which DKIM does not know",
      pem: generateKeyPairSync("rsa-pss", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      reason: /RSA and Ed25519, not rsa-pss/,
    },
  ];
  for (const { name, pem, reason } of bad) {
    test(`a key file that is unusable: ${name}`, () => {
      const read = readDkimKey(pem, { domain: "example.org", selector: "s" });
      assert.ok(read.kind === "unusable");
      assert.match(read.reason, reason);
    });
  }
});
