import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAddressCommand } from "../../../src/submission/addressCommand.ts";

function good(verb: "MAIL" | "RCPT", line: string | Buffer, path: string, parameters: Record<string, string> = {}): void {
  test(`good: ${line}`, () => {
    const parsed = parseAddressCommand(verb, Buffer.from(line));
    assert.ok(parsed.kind === "parsed", JSON.stringify(parsed));
    assert.equal(parsed.path, path);
    assert.deepEqual(Object.fromEntries(parsed.parameters), parameters);
  });
}

function bad(verb: "MAIL" | "RCPT", line: string | Buffer, reason: RegExp): void {
  test(`bad: ${typeof line === "string" ? line : line.toString("latin1")}`, () => {
    const parsed = parseAddressCommand(verb, Buffer.from(line));
    assert.ok(parsed.kind === "error", JSON.stringify(parsed));
    assert.match(parsed.reason, reason);
  });
}

good("MAIL", "MAIL FROM:<a@b.example>", "a@b.example");
good("MAIL", "mail from:<>", "");
good("MAIL", "MAIL FROM: <a@b.example> ", "a@b.example");
good("MAIL", "MAIL FROM:<a@b.example>  size=10 Body=8BITMIME SMTPUTF8", "a@b.example", {
  SIZE: "10",
  BODY: "8BITMIME",
  SMTPUTF8: "",
});
good("RCPT", 'RCPT TO:<"a b> \\" <c"@d.example> NOTIFY=NEVER', '"a b> \\" <c"@d.example', { NOTIFY: "NEVER" });
good("RCPT", "RCPT TO:<@x.example,@y.example:a@b.example>", "@x.example,@y.example:a@b.example");
good("RCPT", "RCPT TO:<用户@例子.example>", "用户@例子.example");
good("RCPT", "RCPT TO:<a@b.example> ORCPT=rfc822;a+2Bb@c", "a@b.example", { ORCPT: "rfc822;a+2Bb@c" });

bad("MAIL", "MAIL a@b.example", /MAIL FROM:<address>/);
bad("RCPT", "RCPT FROM:<a@b.example>", /RCPT TO:<address>/);
bad("MAIL", "MAIL FROM:a@b.example", /angle brackets/);
bad("MAIL", "MAIL FROM:<a@b.example", /closing/);
bad("MAIL", 'MAIL FROM:<"a@b.example>', /closing/);
bad("MAIL", "MAIL FROM:<a@b.example>SIZE=1", /space/);
bad("MAIL", "MAIL FROM:<a@b.example>> SIZE=1", /space/);
bad("MAIL", "MAIL FROM:<a@b.example> SIZE=1 size=2", /SIZE is given twice/);
bad("MAIL", "MAIL FROM:<a@b.example> SIZE=", /malformed/);
bad("MAIL", "MAIL FROM:<a@b.example> X=a=b", /malformed/);
bad("MAIL", "MAIL FROM:<a@b.example> =x", /malformed/);
bad("MAIL", "MAIL FROM:<a@b.example> X=a\tb", /malformed/);
bad("MAIL", Buffer.from("MAIL FROM:<caf\xe9@b.example>", "latin1"), /UTF-8/);
