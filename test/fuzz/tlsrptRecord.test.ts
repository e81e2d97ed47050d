import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MAX_REPORT_URIS, readTlsrptRecords, readUri } from "../../src/tlsrpt/record.ts";

/** Whatever is published: an answer, never an exception; and what is taken from it can be nothing but a place to send to. */
function checked(...records: readonly Buffer[]): void {
  const record = readTlsrptRecords(records.map((octets) => [octets]));
  if (record.kind !== "record") return;
  assert.ok(record.uris.length <= MAX_REPORT_URIS);
  for (const uri of record.uris) {
    assert.match(uri.text, /^[\x21-\x7e]+$/);
    assert.deepEqual(readUri(uri.text), uri);
    if (uri.scheme === "https") assert.ok(uri.url.protocol === "https:" && uri.url.hostname !== "" && uri.url.username === "");
    else assert.match(uri.address, /^[\x20-\x7e]+@[A-Za-z0-9.-]+$/);
  }
}

test("any octets", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), (records) =>
      checked(...records.map((octets) => Buffer.from(octets))),
    ),
    { numRuns: 500 },
  );
});

test("texts of the pieces that matter", () => {
  const piece = fc.constantFrom(
    ...[
      "v=TLSRPTv1",
      ";",
      "; ",
      "rua=",
      "mailto:",
      "https://",
      "a",
      "@",
      "b.example",
      ",",
      "%40",
      "%",
      "%0d%0a",
      "!",
      " ",
      "\t",
      "=",
      ":",
      "/",
    ],
    ...["?", "#", "[", "]", "127.0.0.1", "\\", '"', "\xff", "x.y=1"],
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      checked(Buffer.from(pieces.join(""), "latin1"));
      checked(Buffer.from(`v=TLSRPTv1;rua=${pieces.join("")}`, "latin1"));
    }),
    { numRuns: 2000 },
  );
});
