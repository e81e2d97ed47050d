import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MAX_REPLY_LINES, MAX_REPLY_OCTETS, type Reply, ReplyParser, replyText } from "../../src/smtp/reply.ts";

function parse(chunks: readonly Uint8Array[]): { replies: Reply[]; error: string | undefined } {
  const parser = new ReplyParser();
  let error: string | undefined;
  for (const chunk of chunks) error = parser.feed(Buffer.from(chunk))?.reason;
  const replies: Reply[] = [];
  for (let reply = parser.take(); reply !== undefined; reply = parser.take()) replies.push(reply);
  return { replies, error };
}

const code = fc.integer({ min: 200, max: 599 });
const line = fc.string({ unit: "grapheme-ascii", maxLength: 200 });
const replies = fc.array(fc.tuple(code, fc.array(line, { minLength: 1, maxLength: 20 })), { maxLength: 10 });

test("any octets: replies within bounds, or an error that stays; never an exception", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), (chunks) => {
      const { replies } = parse(chunks);
      for (const reply of replies) {
        assert.ok(reply.code >= 200 && reply.code <= 599);
        assert.ok(reply.lines.length >= 1 && reply.lines.length <= MAX_REPLY_LINES);
        assert.ok(reply.lines.every((text) => !/\p{Cc}/u.test(text)));
        assert.ok(!replyText(reply).includes("\n"));
      }
    }),
    { numRuns: 500 },
  );
});

test("octets that look like replies: cutting them changes nothing", () => {
  const octets = fc.array(fc.constantFrom("250", "550", "-", " ", "5.1.1", "\r", "\n", "\r\n", "x", "\0", "ü"), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(octets, fc.nat({ max: 100 }), (words, at) => {
      const whole = Buffer.from(words.join(""));
      const cut = Math.min(at, whole.length);
      assert.deepEqual(parse([whole.subarray(0, cut), whole.subarray(cut)]), parse([whole]));
    }),
    { numRuns: 1000 },
  );
});

test("what was written is read: codes, lines and their number", () => {
  fc.assert(
    fc.property(replies, (written) => {
      const text = written.map(([digits, lines]) =>
        lines.map((words, index) => `${digits}${index === lines.length - 1 ? " " : "-"}x${words}\r\n`).join(""),
      );
      const read = parse([Buffer.from(text.join(""))]);
      assert.equal(read.error, undefined);
      assert.deepEqual(
        read.replies,
        written.map(([digits, lines]) => ({ code: digits, lines: lines.map((words) => `x${words}`) })),
      );
    }),
    { numRuns: 500 },
  );
});

test("a stream without end is cut off, in linear time, at the bound", () => {
  for (const piece of ["2", "250-x\r\n", "250 x\r\n", "250-\r\n250-", "\n"]) {
    const parser = new ReplyParser();
    const chunk = Buffer.from(piece.repeat(100));
    let fed = 0;
    while (parser.feed(chunk) === undefined) {
      fed += chunk.length;
      assert.ok(fed < 4 * MAX_REPLY_OCTETS, `${JSON.stringify(piece)} is never refused`);
    }
  }
});
