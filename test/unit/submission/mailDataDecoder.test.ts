import assert from "node:assert/strict";
import { test } from "node:test";
import { MailDataDecoder } from "../../../src/submission/mailDataDecoder.ts";

type Result = { content: string; rest: string | undefined; fault: string | undefined; eightBit: boolean };

function decode(pieces: readonly Buffer[]): Result {
  const decoder = new MailDataDecoder();
  let content = "";
  for (const [index, piece] of pieces.entries()) {
    const decoded = decoder.decode(piece);
    content += decoded.content.toString("latin1");
    if (decoded.end === undefined) continue;
    const rest = Buffer.concat([piece.subarray(decoded.end), ...pieces.slice(index + 1)]).toString("latin1");
    return { content, rest, fault: describe(decoder), eightBit: decoder.eightBit };
  }
  return { content, rest: undefined, fault: describe(decoder), eightBit: decoder.eightBit };
}

function describe(decoder: MailDataDecoder): string | undefined {
  return decoder.fault === undefined ? undefined : `${decoder.fault.kind} ${decoder.fault.line}`;
}

/** In one piece, split in two at every place, and octet by octet. */
function everyWay(wire: string): readonly (readonly Buffer[])[] {
  const octets = Buffer.from(wire, "latin1");
  const splits = Array.from({ length: octets.length + 1 }, (_, at) => [octets.subarray(0, at), octets.subarray(at)]);
  return [[octets], [...octets].map((octet) => Buffer.of(octet)), ...splits];
}

function ends(wire: string, content: string, rest = "", eightBit = false): void {
  test(`${JSON.stringify(wire)} is ${JSON.stringify(content)}`, () => {
    for (const pieces of everyWay(wire)) assert.deepEqual(decode(pieces), { content, rest, fault: undefined, eightBit });
  });
}

function faulty(wire: string, fault: string, rest: string | undefined): void {
  test(`${JSON.stringify(wire)} has ${fault}, and ${rest === undefined ? "no end" : "its end at the real one"}`, () => {
    for (const pieces of everyWay(wire)) {
      const result = decode(pieces);
      assert.equal(result.fault, fault);
      assert.equal(result.rest, rest);
    }
  });
}

ends(".\r\n", "");
ends("\r\n.\r\n", "\r\n");
ends("a\r\n.\r\n", "a\r\n");
ends("a\r\nb\r\n.\r\nNOOP\r\n", "a\r\nb\r\n", "NOOP\r\n");
ends("..\r\n.\r\n", ".\r\n");
ends("..a\r\n...\r\n.\r\n", ".a\r\n..\r\n");
ends("a.\r\n.\r\n", "a.\r\n");
ends("a\r\n..\r\n..\r\n.\r\n.\r\n", "a\r\n.\r\n.\r\n", ".\r\n");
// RFC 5321 §4.5.2: the dot of any longer line goes, stuffed or not.
ends(".x\r\n.\r\n", "x\r\n");
ends("caf\xc3\xa9\r\n.\r\n", "caf\xc3\xa9\r\n", "", true);
ends(".\x80\r\n.\r\n", "\x80\r\n", "", true);
ends("\t\x7f\r\n.\r\n", "\t\x7f\r\n");

const END = "\r\n.\r\n";
const NEXT = "MAIL FROM:<smuggled@evil.example>\r\n";
// Every sequence that some server takes for the end and some does not.
for (const [smuggle, fault] of [
  ["a\n.\n", "bare-lf 1"],
  ["a\n.\r\n", "bare-lf 1"],
  ["a\r\n.\n", "bare-lf 2"],
  ["a\r\n.\r", "bare-cr 2"],
  ["a\r.\r\n", "bare-cr 1"],
  ["a\r.\r", "bare-cr 1"],
  ["a\n.\r", "bare-lf 1"],
  ["a\r\n.\r\r\n", "bare-cr 2"],
  ["a\r\r\n.\r\n", "bare-cr 1"],
  ["a\r\n\n.\n", "bare-lf 2"],
  ["a\r\n\r.\r\n", "bare-cr 2"],
  ["a\n\r\n.\n", "bare-lf 1"],
  ["\n.\n", "bare-lf 1"],
  [".\n", "bare-lf 1"],
  [".\r.\r\n", "bare-cr 1"],
  ["\r\n.\0\r\n", "nul 2"],
] as const) {
  if (smuggle === "a\r\r\n.\r\n") faulty(smuggle, fault, "");
  else faulty(`${smuggle}${NEXT}b${END}`, fault, "");
}
faulty("a\r\nb\0c\r\n.\r\n", "nul 2", "");
faulty("a\r\nb\nc", "bare-lf 2", undefined);

test("many stuffed dots are decoded in one pass", () => {
  const lines = 100_000;
  const { content, end } = new MailDataDecoder().decode(Buffer.from(`${"..\r\n".repeat(lines)}.\r\n`));
  assert.equal(end, 4 * lines + 3);
  assert.ok(content.equals(Buffer.from(".\r\n".repeat(lines))));
});
