import assert from "node:assert/strict";
import { test } from "node:test";
import { isTransient, type SmtpPhase, statusOf } from "../../../src/smtp/enhancedStatus.ts";

const rows: readonly [SmtpPhase, number, string | undefined, string][] = [
  ["CONTENT", 250, undefined, "2.0.0"],
  ["RCPT", 250, "2.1.5", "2.1.5"],
  ["CONNECT", 421, undefined, "4.3.2"],
  ["CONNECT", 554, undefined, "5.3.2"],
  ["CONNECT", 521, undefined, "5.3.2"],
  ["STARTTLS", 454, undefined, "4.7.0"],
  ["AUTH", 535, undefined, "5.7.8"],
  ["MAIL", 550, undefined, "5.7.1"],
  ["MAIL", 553, undefined, "5.1.7"],
  ["MAIL", 452, undefined, "4.3.1"],
  ["MAIL", 552, undefined, "5.3.4"],
  ["RCPT", 450, undefined, "4.2.0"],
  ["RCPT", 451, "4.7.1", "4.7.1"],
  ["RCPT", 550, undefined, "5.1.1"],
  ["RCPT", 550, "5.7.1", "5.7.1"],
  ["RCPT", 556, undefined, "5.1.10"],
  ["RCPT", 571, undefined, "5.0.0"],
  ["CONTENT", 552, undefined, "5.3.4"],
  ["CONTENT", 554, undefined, "5.6.0"],
  ["DATA", 503, undefined, "5.5.1"],
  // RFC 5321 §4.5.3.1.10: too many recipients is temporary, whichever of the two codes says it.
  ["RCPT", 452, undefined, "4.5.3"],
  ["RCPT", 552, undefined, "4.5.3"],
  ["RCPT", 552, "5.5.3", "4.5.3"],
  ["RCPT", 552, "5.2.2", "5.2.2"],
  // A reply that has no meaning in its place is neither success nor final.
  ["MAIL", 354, undefined, "4.5.0"],
];

for (const [phase, code, enhanced, expected] of rows) {
  test(`${phase} ${code} ${enhanced ?? "without status"} is ${expected}`, () => {
    const reply = enhanced === undefined ? { code, lines: [""] } : { code, enhanced, lines: [""] };
    assert.equal(statusOf(phase, reply), expected);
    assert.equal(isTransient(statusOf(phase, reply)), expected.startsWith("4"));
  });
}
