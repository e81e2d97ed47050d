import assert from "node:assert/strict";
import { test } from "node:test";
import { parseEnvelopeId, parseNotify, parseOriginalRecipient, parseReturn } from "../../../src/submission/dsnParameters.ts";

const PARSERS = { NOTIFY: parseNotify, ORCPT: parseOriginalRecipient, ENVID: parseEnvelopeId, RET: parseReturn } as const;
type Keyword = keyof typeof PARSERS;

function good(keyword: Keyword, text: string, value: unknown): void {
  test(`good: ${keyword}=${text}`, () => assert.deepEqual(PARSERS[keyword](text), { kind: "value", value }));
}

function bad(keyword: Keyword, text: string, reason: RegExp): void {
  test(`bad: ${keyword}=${text.slice(0, 40)}`, () => {
    const parsed = PARSERS[keyword](text);
    assert.ok(parsed.kind === "error", JSON.stringify(parsed));
    assert.match(parsed.reason, reason);
  });
}

good("NOTIFY", "never", ["NEVER"]);
good("NOTIFY", "SUCCESS,FAILURE,DELAY", ["SUCCESS", "FAILURE", "DELAY"]);
good("NOTIFY", "failure,FAILURE", ["FAILURE"]);
bad("NOTIFY", "NEVER,SUCCESS", /alone/);
bad("NOTIFY", "SOMETIMES", /NEVER, or/);
bad("NOTIFY", "SUCCESS,", /NEVER, or/);
bad("NOTIFY", "", /NEVER, or/);

good("ORCPT", "rfc822;a+2Bb@c.example", "rfc822;a+b@c.example");
good("ORCPT", "RFC822;a@c", "RFC822;a@c");
good("ORCPT", "utf-8;\\x{E9}@c.example", "utf-8;é@c.example");
good("ORCPT", "utf-8;用户@c.example", "utf-8;用户@c.example");
good("ORCPT", "utf-8;a\\x{2B}b@c", "utf-8;a+b@c");
bad("ORCPT", "a@c.example", /addr-type/);
bad("ORCPT", ";a@c.example", /addr-type/);
bad("ORCPT", "rfc822;", /encoded/);
bad("ORCPT", "rfc822;a+b", /encoded/);
bad("ORCPT", "rfc822;a+2b", /encoded/);
bad("ORCPT", "rfc822;a+0D+0Ab", /encoded/);
bad("ORCPT", "rfc822;a+FFb", /encoded/);
bad("ORCPT", "utf-8;a\\x{0A}b", /encoded/);
bad("ORCPT", "utf-8;a\\x{110000}b", /encoded/);
bad("ORCPT", "utf-8;a\\x{D800}b", /encoded/);
bad("ORCPT", `rfc822;${"a".repeat(500)}`, /longer/);

good("ENVID", "QQ314159", "QQ314159");
good("ENVID", "a+20b+3Dc", "a b=c");
bad("ENVID", "a+0Ab", /printable/);
bad("ENVID", "a+E9b", /printable/);
bad("ENVID", "", /printable/);
bad("ENVID", "a".repeat(101), /longer/);

good("RET", "full", "FULL");
good("RET", "HDRS", "HDRS");
bad("RET", "SOME", /FULL or HDRS/);
