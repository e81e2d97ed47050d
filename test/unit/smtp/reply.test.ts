import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  MAX_REPLY_LINE_OCTETS,
  MAX_REPLY_LINES,
  MAX_REPLY_OCTETS,
  type Reply,
  ReplyParser,
  replyText,
} from "../../../src/smtp/reply.ts";

function parse(text: string): { replies: Reply[]; error?: string; untaken: boolean } {
  const parser = new ReplyParser();
  const error = parser.feed(Buffer.from(text));
  const replies: Reply[] = [];
  for (let reply = parser.take(); reply !== undefined; reply = parser.take()) replies.push(reply);
  return { replies, untaken: parser.hasUntaken, ...(error === undefined ? {} : { error: error.reason }) };
}

function good(name: string, text: string, ...expected: Reply[]): void {
  test(`good: ${name}`, () => {
    assert.deepEqual(parse(text), { replies: expected, untaken: false });
    const parser = new ReplyParser();
    const replies: Reply[] = [];
    for (const octet of Buffer.from(text)) {
      assert.equal(parser.feed(Buffer.of(octet)), undefined);
      for (let reply = parser.take(); reply !== undefined; reply = parser.take()) replies.push(reply);
    }
    assert.deepEqual(replies, expected, "the same octet by octet");
  });
}

function bad(name: string, text: string, reason: RegExp): void {
  test(`bad: ${name}`, () => {
    assert.match(parse(text).error ?? "accepted", reason);
  });
}

describe("RFC 5321 §4.2.1 replies", () => {
  good("one line", "250 ok\r\n", { code: 250, lines: ["ok"] });
  good("code alone", "250\r\n", { code: 250, lines: [""] });
  good("code and space", "354 \r\n", { code: 354, lines: [""] });
  good("bare LF ends a line", "220 old.example\n", { code: 220, lines: ["old.example"] });
  good("several lines", "250-mx.example\r\n250-PIPELINING\r\n250 SIZE 1000\r\n", {
    code: 250,
    lines: ["mx.example", "PIPELINING", "SIZE 1000"],
  });
  good("two replies in one segment", "250 a\r\n550 b\r\n", { code: 250, lines: ["a"] }, { code: 550, lines: ["b"] });
  good("code outside the RFC's second digit", "571 no\r\n", { code: 571, lines: ["no"] });
  good("control characters cannot forge a line", "550 a\rb\0c\u001bd\te\r\n", { code: 550, lines: ["a?b?c?d e"] });
  good("UTF-8 text", "550 nicht möglich\r\n", { code: 550, lines: ["nicht möglich"] });

  bad("letters", "HTTP/1.1 400 Bad Request\r\n", /not an SMTP reply: "HTTP/);
  bad("empty line", "\r\n", /not an SMTP reply/);
  bad("code of two digits", "25 ok\r\n", /not an SMTP reply/);
  bad("code of four digits", "2500 ok\r\n", /not an SMTP reply/);
  bad("code 1yz", "150 ok\r\n", /not an SMTP reply/);
  bad("code 6yz", "650 ok\r\n", /not an SMTP reply/);
  bad("separator", "250+ok\r\n", /not an SMTP reply/);
  bad("codes differ", "250-a\r\n550 b\r\n", /different codes: 250 and 550/);
  bad("line without code inside", "250-a\r\nb\r\n250 c\r\n", /not an SMTP reply/);
  bad("line too long", `250 ${"x".repeat(MAX_REPLY_LINE_OCTETS)}\r\n`, /longer than 2048/);
  bad("line too long, not ended", "2".repeat(MAX_REPLY_LINE_OCTETS + 1), /longer than 2048/);
  bad("too many lines", "250-a\r\n".repeat(MAX_REPLY_LINES + 1), /more than 128 lines/);
  bad("reply too long", `250-${"x".repeat(1000)}\r\n`.repeat(Math.ceil(MAX_REPLY_OCTETS / 1000)), /longer than 32768/);
  bad("flood", "250 a\r\n".repeat(5000), /replies without commands/);

  test("the line limit counts neither CR nor LF away", () => {
    assert.equal(parse(`250 ${"x".repeat(MAX_REPLY_LINE_OCTETS - 6)}\r\n`).error, undefined);
    assert.match(parse(`250 ${"x".repeat(MAX_REPLY_LINE_OCTETS - 5)}\r\n`).error ?? "", /longer/);
  });

  test("an error is final", () => {
    const parser = new ReplyParser();
    assert.ok(parser.feed(Buffer.from("nonsense\r\n")));
    assert.ok(parser.feed(Buffer.from("250 ok\r\n")));
    assert.equal(parser.take(), undefined);
  });

  test("a part of a reply is untaken", () => {
    assert.equal(parse("250-a\r\n").untaken, true);
    assert.equal(parse("2").untaken, true);
    assert.equal(parse("").untaken, false);
  });
});

describe("RFC 2034 §4 enhanced status", () => {
  good("given", "250 2.0.0 ok\r\n", { code: 250, enhanced: "2.0.0", lines: ["ok"] });
  good("without text", "250 2.1.5\r\n", { code: 250, enhanced: "2.1.5", lines: [""] });
  good("on every line", "550-5.7.1 a\r\n550 5.7.1 b\r\n", { code: 550, enhanced: "5.7.1", lines: ["a", "b"] });
  good("on the last line only", "550-a\r\n550 5.7.1 b\r\n", { code: 550, enhanced: "5.7.1", lines: ["a", "b"] });
  good("two different ones", "550-5.7.1 a\r\n550 5.1.1 b\r\n", { code: 550, enhanced: "5.7.1", lines: ["a", "5.1.1 b"] });
  good("class is not the code's", "550 4.7.1 a\r\n", { code: 550, lines: ["4.7.1 a"] });
  good("none in 3yz", "354 2.0.0 go\r\n", { code: 354, lines: ["2.0.0 go"] });
  good("leading zeros", "250 2.00.05 ok\r\n", { code: 250, enhanced: "2.0.5", lines: ["ok"] });
  good("an address is no status", "250 2.0.0.1 ok\r\n", { code: 250, lines: ["2.0.0.1 ok"] });
});

test("replyText is one line and bounded", () => {
  assert.equal(replyText({ code: 550, enhanced: "5.1.1", lines: ["no", "such user"] }), "550 5.1.1 no such user");
  assert.equal(replyText({ code: 250, lines: [""] }), "250");
  assert.equal(replyText({ code: 250, lines: ["x".repeat(50)] }, 20), `250 ${"x".repeat(13)}...`);
});
