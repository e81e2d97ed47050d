import assert from "node:assert/strict";
import { test } from "node:test";
import { type HeaderFacts, HeaderSection, type HeaderState } from "../../../src/submission/headerSection.ts";

const NOTHING: HeaderFacts = { received: 0, hasDate: false, hasMessageId: false, tlsRequiredNo: false, absent: false };

function read(pieces: readonly string[], limit = 1000): { state: HeaderState; facts: HeaderFacts; bytes: string } {
  const section = new HeaderSection(limit);
  let state: HeaderState = "open";
  for (const piece of pieces) if (state === "open") state = section.push(Buffer.from(piece, "latin1"));
  return { state, facts: section.facts, bytes: section.bytes.toString("latin1") };
}

function good(name: string, content: string, facts: Partial<HeaderFacts>, state: HeaderState = "complete"): void {
  test(name, () => {
    const expected = { state, facts: { ...NOTHING, ...facts } };
    const whole = read([content]);
    assert.deepEqual({ state: whole.state, facts: whole.facts }, expected);
    assert.equal(whole.bytes, content);
    const octets = read([...content]);
    assert.deepEqual({ state: octets.state, facts: octets.facts }, expected);
    assert.ok(content.startsWith(octets.bytes));
  });
}

good("an empty line ends the section", "Subject: x\r\n\r\nDate: in the body\r\n", {});
good("a section that has not ended", "Subject: x\r\n", {}, "open");
good("Date and Message-ID, in any case", "dAtE: x\r\nMESSAGE-ID: <x@y>\r\n\r\n", { hasDate: true, hasMessageId: true });
good("white space before the colon (RFC 5322 §4.5)", "Date : x\r\nReceived\t: y\r\n\r\n", { hasDate: true, received: 1 });
good("names that only begin alike", "Dates: x\r\nX-Date: x\r\nMessage-IDs: x\r\nReceived-SPF: x\r\n\r\n", {});
good("Received fields, folded ones once", "Received: a\r\n\tb\r\nReceived: c\r\n\r\n", { received: 2 });
good("a folded line that looks like a field", "Subject: x\r\n Date: y\r\n\r\n", {});
good("no header: the first line is text", "Hello world\r\nDate: x\r\n\r\n", { absent: true });
good("no header: the first line is folded", " folded\r\n\r\n", { absent: true });
good("no header: no name before the colon", ": x\r\n\r\n", { absent: true });
good("an empty section is no absent one", "\r\nHello\r\n", {});
good("a line that is no field ends the section", "Subject: x\r\nHello world\r\nDate: x\r\n\r\n", {});
good("TLS-Required: No", "TLS-Required: No\r\n\r\n", { tlsRequiredNo: true });
good("TLS-Required folded", "tls-required:\r\n no \r\n\r\n", { tlsRequiredNo: true });
good("TLS-Required with another value", "TLS-Required: Yes\r\n\r\n", {});
good("TLS-Required with more than No", "TLS-Required: No, really\r\n\r\n", {});
good("TLS-Required twice (RFC 8689 §3)", "TLS-Required: No\r\nTLS-Required: No\r\n\r\n", {});
good("8-bit names are no names", "D\xe4te: x\r\n\r\n", { absent: true });

test("a section larger than its limit is too big, complete or not", () => {
  assert.equal(read([`Subject: ${"x".repeat(2000)}`]).state, "too-big");
  assert.equal(read(["Subject: x\r\n", `X: ${"x".repeat(2000)}\r\n`]).state, "too-big");
  assert.equal(read([`Subject: x\r\n\r\n${"x".repeat(2000)}`]).state, "complete");
});

test("a large section arriving in single octets is read in linear time", () => {
  const content = `${"X-Filler: some text that is here\r\n".repeat(6000)}\r\n`;
  const { state, bytes } = read([...content], 256 * 1024);
  assert.equal(state, "complete");
  assert.equal(bytes.length, content.length);
});
