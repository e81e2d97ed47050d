import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTsigKey } from "../../../src/rollover/tsigKeyFile.ts";

const SECRET = Buffer.from("0123456789abcdef").toString("base64");

test("keys as BIND and Knot write them", () => {
  const texts = [
    `key "mail.example" {\n\talgorithm hmac-sha256;\n\tsecret "${SECRET}";\n};\n`,
    `key mail.example { algorithm HMAC-SHA256; secret ${SECRET}; };`,
    `# hmac-sha256:mail.example:${SECRET}\nkey:\n  - id: mail.example.\n    algorithm: hmac-sha256\n    secret: ${SECRET}\n`,
  ];
  for (const text of texts) {
    const key = parseTsigKey(text);
    assert.ok(!("kind" in key), JSON.stringify(key));
    assert.deepEqual([key.name, key.algorithm, key.secret.toString()], ["mail.example.", "hmac-sha256", "0123456789abcdef"]);
  }
});

test("a secret with two slashes is none that ends there, and comments are left out", () => {
  // 16 octets whose base64 has // behind a whole number of groups: what is in front of it would pass for a shorter secret.
  const octets = Buffer.concat([Buffer.from("abc"), Buffer.from([0xff, 0xff]), Buffer.from("0123456789a")]);
  const secret = octets.toString("base64");
  assert.equal(secret.indexOf("//"), 4);
  for (const text of [
    `key "a" {\n  // algorithm hmac-md5;\n  algorithm hmac-sha256; // the usual\n  secret "${secret}"; # quoted\n};\n`,
    `key a { algorithm hmac-sha256; secret ${secret}; };`,
    `key:\n  - id: a\n    algorithm: hmac-sha256 # as ever\n    secret: ${secret}\n`,
  ]) {
    const key = parseTsigKey(text);
    assert.ok(!("kind" in key), JSON.stringify(key));
    assert.deepEqual([key.algorithm, key.secret], ["hmac-sha256", octets]);
  }
});

test("what is no key says why", () => {
  const rows: readonly [string, RegExp][] = [
    ["", /no key clause/],
    [`key "a" { algorithm hmac-sha256; };`, /no key clause/],
    [`key "a" { algorithm hmac-md5; secret "${SECRET}"; };`, /hmac-md5/],
    [`key "a" { algorithm hmac-sha256; secret "not*base64"; };`, /not base64/],
    [`key "${"a".repeat(64)}" { algorithm hmac-sha256; secret "${SECRET}"; };`, /name/],
  ];
  for (const [text, reason] of rows) {
    const key = parseTsigKey(text);
    assert.match("kind" in key ? key.reason : "a key", reason, text);
  }
});
