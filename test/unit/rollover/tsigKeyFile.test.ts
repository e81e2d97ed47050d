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
