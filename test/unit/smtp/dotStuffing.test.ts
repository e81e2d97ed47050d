import assert from "node:assert/strict";
import { test } from "node:test";
import { DotStuffing } from "../../../src/smtp/dotStuffing.ts";

function stuffed(...chunks: readonly string[]): string {
  const stuffing = new DotStuffing();
  return [...chunks.map((chunk) => stuffing.push(Buffer.from(chunk)).toString()), stuffing.end().toString()].join("");
}

const rows: readonly [string, string, string][] = [
  ["nothing to do", "a\r\nb.c\r\n", "a\r\nb.c\r\n.\r\n"],
  ["empty content", "", ".\r\n"],
  ["dot at the very start", ".a\r\n", "..a\r\n.\r\n"],
  ["a lone dot", ".\r\n", "..\r\n.\r\n"],
  ["dots on lines of their own", "a\r\n.\r\n..\r\n...b\r\n", "a\r\n..\r\n...\r\n....b\r\n.\r\n"],
  ["empty lines", "\r\n\r\n.\r\n", "\r\n\r\n..\r\n.\r\n"],
  ["no line end", "a", "a\r\n.\r\n"],
  ["ends in CR", "a\r", "a\r\r\n.\r\n"],
  ["ends in a dot", "a\r\n.", "a\r\n..\r\n.\r\n"],
  // SMTP smuggling: whatever a receiver takes for a line end, it never sees a lone dot before the real one.
  ["smuggling with bare LF", "a\n.\nMAIL", "a\n..\nMAIL\r\n.\r\n"],
  ["smuggling with LF and CRLF", "a\n.\r\nMAIL\r\n", "a\n..\r\nMAIL\r\n.\r\n"],
  ["ends in a bare LF", "a\n", "a\n\r\n.\r\n"],
];

for (const [name, content, expected] of rows) {
  test(`${name}, cut at every place`, () => {
    for (let cut = 0; cut <= content.length; cut += 1) {
      for (let second = cut; second <= content.length; second += 1) {
        assert.equal(stuffed(content.slice(0, cut), content.slice(cut, second), content.slice(second)), expected);
      }
    }
  });
}

test("a chunk with nothing to double is passed on, not copied", () => {
  const chunk = Buffer.from("plain\r\n");
  assert.equal(new DotStuffing().push(chunk), chunk);
});

test("linear time: two million lines that begin with a dot", () => {
  const content = Buffer.alloc(6_000_000, "\r\n.");
  const out = new DotStuffing().push(content);
  assert.equal(out.length, 8_000_000);
});
