import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import fc from "fast-check";
import { RelaxedBodyHash, relaxedField } from "../../../src/dkim/canonicalForm.ts";

function hashOf(text: string): string {
  return createHash("sha256").update(text, "latin1").digest("base64");
}

function bodyHash(pieces: readonly string[]): string {
  const hash = new RelaxedBodyHash();
  for (const piece of pieces) hash.update(Buffer.from(piece, "latin1"));
  return hash.digest();
}

/** RFC 6376 §3.4.4 in its own words, on the whole body. */
function relaxedBody(body: string): string {
  const lines = body.split("\r\n").map((line) => line.replace(/[ \t]+/g, " ").replace(/ $/, ""));
  while (lines.at(-1) === "") lines.pop();
  return lines.map((line) => `${line}\r\n`).join("");
}

describe("relaxed header fields (RFC 6376 §3.4.2)", () => {
  const cases: readonly { name: string; field: string; relaxed: string }[] = [
    { name: "§3.4.5", field: "A: X", relaxed: "a:X" },
    { name: "§3.4.5, folded", field: "B : Y\t\r\n\tZ  ", relaxed: "b:Y Z" },
    { name: "no value", field: "Subject:", relaxed: "subject:" },
    { name: "only white space", field: "Subject: \r\n \t", relaxed: "subject:" },
    { name: "folded at its beginning, with a tab", field: "SUBJECT:\r\n\tx", relaxed: "subject:x" },
    { name: "a colon in the value", field: "X: a:  b", relaxed: "x:a: b" },
    // The last octet of the UTF-8 of U+00E0 is 0xA0, which is a no-break space to JavaScript: not WSP.
    { name: "octets above 127", field: "Subject: voil\xc3\xa0", relaxed: "subject:voil\xc3\xa0" },
    { name: "a form feed", field: "Subject: \fx\f", relaxed: "subject:\fx\f" },
  ];
  for (const { name, field, relaxed } of cases) test(name, () => assert.equal(relaxedField(field), relaxed));
});

describe("bh= of relaxed bodies (RFC 6376 §3.4.4)", () => {
  const cases: readonly { name: string; body: string; relaxed: string }[] = [
    { name: "§3.4.5", body: " C \r\nD \t E\r\n\r\n\r\n", relaxed: " C\r\nD E\r\n" },
    { name: "empty", body: "", relaxed: "" },
    { name: "one CRLF", body: "\r\n", relaxed: "" },
    { name: "CRLFs", body: "\r\n\r\n", relaxed: "" },
    { name: "lines of white space", body: " \t\r\n\t", relaxed: "" },
    { name: "no line end at the end", body: "x", relaxed: "x\r\n" },
    { name: "white space at the end without a line end", body: "x\r\n \t", relaxed: "x\r\n" },
    { name: "an empty line at the beginning", body: "\r\n\r\nx\r\n", relaxed: "\r\n\r\nx\r\n" },
    { name: "a CR alone, a LF alone", body: "a\rb \r c\n d\r\n", relaxed: "a\rb \r c\n d\r\n" },
    { name: "a CR before a CRLF", body: "a\r\r\nb\r\n", relaxed: "a\r\r\nb\r\n" },
    { name: "a CR at the end", body: "a\r\n \r", relaxed: "a\r\n \r\r\n" },
    { name: "octets above 127, NUL", body: "\xa0\xc3\xa0 \0\xff\x85 \r\n", relaxed: "\xa0\xc3\xa0 \0\xff\x85\r\n" },
    { name: "a line that looks like the end", body: ".\r\n..\r\n", relaxed: ".\r\n..\r\n" },
  ];
  for (const { name, body, relaxed } of cases) {
    test(name, () => {
      assert.equal(relaxedBody(body), relaxed);
      assert.equal(bodyHash([body]), hashOf(relaxed));
      assert.equal(bodyHash(body.split("")), hashOf(relaxed), "octet by octet");
    });
  }

  test("known values: of the empty body, and of RFC 8463 Appendix A", () => {
    assert.equal(bodyHash([]), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    const body = "\r\nHi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n".slice(2);
    assert.equal(bodyHash([body]), "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
  });

  test("pieces cut anywhere give what the whole gives", () => {
    const word = fc.constantFrom("\r\n", "\r", "\n", " ", "\t", "a", "bc", "\xa0");
    fc.assert(
      fc.property(fc.array(word, { maxLength: 40 }), fc.array(fc.nat(80), { maxLength: 6 }), (words, cuts) => {
        const body = words.join("");
        const at = [0, ...cuts.filter((cut) => cut < body.length).sort((a, b) => a - b), body.length];
        const pieces = at.slice(1).map((end, i) => body.slice(at[i], end));
        assert.equal(bodyHash(pieces), hashOf(relaxedBody(body)));
      }),
      { numRuns: 2000 },
    );
  });

  test("line ends without end are held back as a number", () => {
    const many = "\r\n".repeat(10_000);
    assert.equal(bodyHash(["x", many, many, many]), hashOf("x\r\n"));
    assert.equal(bodyHash(["x", many, many, many, " y"]), hashOf(`x${many}${many}${many} y\r\n`));
  });
});
