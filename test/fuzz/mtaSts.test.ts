import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isName, parseName } from "../../src/dns/name.ts";
import { allowsHost, MAX_AGE_SECONDS, parsePolicy, policyLines } from "../../src/mtasts/policy.ts";
import { readStsRecords } from "../../src/mtasts/stsRecord.ts";

/** A policy that was read is within its bounds, its lines read as the same policy, and it allows the hosts that it lists. */
function checkPolicy(body: Buffer): "policy" | "invalid" {
  const parsed = parsePolicy(body);
  if (parsed.kind === "invalid") {
    assert.ok(parsed.reason.length > 0 && parsed.reason.length < 200);
    return "invalid";
  }
  const { policy } = parsed;
  assert.ok(policy.maxAgeSeconds >= 0 && policy.maxAgeSeconds <= MAX_AGE_SECONDS);
  assert.ok(policy.mode === "none" || policy.mx.length > 0);
  assert.deepEqual(parsePolicy(Buffer.from(policyLines(policy).join("\r\n"))), parsed);
  for (const pattern of policy.mx) {
    const host = parseName(pattern.replace(/^\*/, "x"));
    assert.ok(!isName(host) || allowsHost(policy, host), pattern);
  }
  return "policy";
}

test("any octets: a policy, or a reason why not", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (octets) => void checkPolicy(Buffer.from(octets))),
    { numRuns: 1000 },
  );
});

const LINE = fc.constantFrom(
  "version: STSv1",
  "version:STSv1",
  "version: STSv2",
  "mode: enforce",
  "mode: testing ",
  "mode: none",
  "mode: x",
  "max_age: 86400",
  "max_age: 99999999999",
  "max_age: 9999999999",
  "mx: mail.example.com",
  "mx: *.example.net",
  "mx: *.*.example",
  "mx: ",
  "x-y: \u00e9\u2713",
  "x: a\tb",
  "",
  " ",
  "no colon",
);

test("lines of policies in any order, number and mixture", () => {
  let sound = 0;
  fc.assert(
    fc.property(fc.array(LINE, { maxLength: 8 }), fc.constantFrom("\n", "\r\n", "\r"), (lines, end) => {
      if (checkPolicy(Buffer.from(lines.join(end))) === "policy") sound += 1;
    }),
    { numRuns: 3000 },
  );
  assert.ok(sound > 0, "none of them was sound: the test tests nothing");
});

test("a sound policy with one octet changed, added or taken away", () => {
  const sound = Buffer.from(
    "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n",
  );
  fc.assert(
    fc.property(fc.nat(sound.length - 1), fc.integer({ min: -1, max: 255 }), fc.boolean(), (at, octet, replace) => {
      const middle = octet === -1 ? [] : [octet];
      const after = replace || octet === -1 ? at + 1 : at;
      checkPolicy(Buffer.concat([sound.subarray(0, at), Buffer.from(middle), sound.subarray(after)]));
    }),
    { numRuns: 3000 },
  );
});

/** RFC 8461 §3.1's ABNF in one expression, as the judge. */
const RECORD = /^v=STSv1(?:[ \t]*;[ \t]*(?:[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[\x21-\x3a\x3c\x3e-\x7e]+))+(?:[ \t]*;[ \t]*)?$/;
const FIELD = fc.constantFrom(
  "id=1",
  "id=20160831085700Z",
  "id=a-b",
  "id=",
  "ID=2",
  "x=1",
  "x=1=2",
  "v=STSv1",
  "",
  " ",
  "\t",
  "id=1 ",
);
const DELIMITER = fc.constantFrom(";", "; ", " ;", "\t;\t", ";;", ",");

test("records of any fields: exactly those that the ABNF has, with the first id", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(DELIMITER, FIELD), { maxLength: 5 }), (pieces) => {
      const text = `v=STSv1${pieces.flat().join("")}`;
      const read = readStsRecords([[Buffer.from(text)]]);
      const ids = [...text.matchAll(/[;\t ]id=([^;\t ]*)/g)].map(([, id]) => id ?? "");
      const valid = RECORD.test(text) && ids.length > 0 && ids.every((id) => /^[A-Za-z0-9]{1,32}$/.test(id));
      assert.equal(read.kind === "record" ? read.id : "none", valid ? ids[0] : "none", text);
    }),
    { numRuns: 5000 },
  );
});

test("any octets as records", () => {
  const strings = fc.array(fc.uint8Array({ maxLength: 255 }), { maxLength: 4 });
  fc.assert(
    fc.property(fc.array(strings, { maxLength: 4 }), (records) => {
      const read = readStsRecords(records.map((record) => record.map((octets) => Buffer.from(octets))));
      if (read.kind === "record") assert.match(read.id, /^[A-Za-z0-9]{1,32}$/);
    }),
    { numRuns: 500 },
  );
});
