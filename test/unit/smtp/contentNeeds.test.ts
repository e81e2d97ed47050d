import assert from "node:assert/strict";
import { test } from "node:test";
import { contentNeeds } from "../../../src/smtp/contentNeeds.ts";

async function* pieces(content: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size);
}

const rows: readonly [string, string, { smtpUtf8: "yes" | "no"; eightBitMime: "yes" | "no" }][] = [
  ["ASCII", "Subject: x\r\n\r\nbody\r\n", { smtpUtf8: "no", eightBitMime: "no" }],
  ["nothing", "", { smtpUtf8: "no", eightBitMime: "no" }],
  ["a UTF-8 header", "Subject: grüße\r\n\r\nbody\r\n", { smtpUtf8: "yes", eightBitMime: "yes" }],
  ["a UTF-8 header, and no body", "Subject: grüße\r\n", { smtpUtf8: "yes", eightBitMime: "yes" }],
  ["an 8-bit body", "Subject: x\r\n\r\ngrüße\r\n", { smtpUtf8: "no", eightBitMime: "yes" }],
  ["an 8-bit body of one part", "Content-Type: text/plain\r\n\r\ngrüße\r\n", { smtpUtf8: "no", eightBitMime: "yes" }],
  [
    "8 bits in parts, whose headers they may be",
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ngrüße\r\n",
    { smtpUtf8: "yes", eightBitMime: "yes" },
  ],
  [
    "the same, the type folded and commented",
    "content-TYPE :\r\n (x) MultiPart /mixed\r\n\r\ngrüße\r\n",
    { smtpUtf8: "yes", eightBitMime: "yes" },
  ],
  [
    "a type behind a comment that is not closed, or with comments in it, which may be any",
    "Content-Type: ((x) y) text/plain\r\n\r\ngrüße\r\n",
    { smtpUtf8: "yes", eightBitMime: "yes" },
  ],
  ["a message in it", "Content-Type: message/rfc822\r\n\r\nSubject: grüße\r\n\r\n", { smtpUtf8: "yes", eightBitMime: "yes" }],
  ["ASCII parts", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n", { smtpUtf8: "no", eightBitMime: "no" }],
  [
    "another header's multipart",
    "Subject: Content-Type: multipart/mixed\r\n\r\ngrüße\r\n",
    { smtpUtf8: "no", eightBitMime: "yes" },
  ],
  ["a header too long to look at", `X: ${"a".repeat(70_000)}\r\n\r\ngrüße\r\n`, { smtpUtf8: "yes", eightBitMime: "yes" }],
];

for (const [title, content, expected] of rows) {
  test(title, async () => {
    const octets = Buffer.from(content);
    for (const size of [1, 7, 4096, 1_000_000])
      if (octets.length / size < 10_000)
        assert.deepEqual(await contentNeeds(pieces(octets, size)), expected, `pieces of ${size}`);
  });
}

test("rejects when the content cannot be read", async () => {
  const broken = (async function* () {
    yield Buffer.from("Subject: x\r\n");
    throw new Error("disk");
  })();
  await assert.rejects(contentNeeds(broken), /disk/);
});
