import assert from "node:assert/strict";
import { test } from "node:test";
import { name } from "../../../src/dns/name.ts";
import { allowsHost, MAX_AGE_SECONDS, MAX_POLICY_OCTETS, parsePolicy, policyLines } from "../../../src/mtasts/policy.ts";

/** RFC 8461 §3.2. */
const EXAMPLE = [
  "version: STSv1",
  "mode: enforce",
  "mx: mail.example.com",
  "mx: *.example.net",
  "mx: backupmx.example.com",
  "max_age: 604800",
];

function parsed(text: string | Buffer): string {
  const result = parsePolicy(Buffer.from(text));
  if (result.kind === "invalid") return "invalid";
  const { mode, maxAgeSeconds, mx } = result.policy;
  return [mode, maxAgeSeconds, ...mx].join(" ");
}

/** A sound policy with one line put in place of that with the same key. */
function withLine(line: string): string {
  const key = line.slice(0, line.indexOf(":"));
  const sound = ["version: STSv1", "mode: enforce", "mx: a.example", "max_age: 1"];
  return [...sound.filter((other) => !other.startsWith(`${key}:`)), line].join("\n");
}

const EXAMPLE_READ = "enforce 604800 mail.example.com *.example.net backupmx.example.com";
const A = "enforce 1 a.example";

const ROWS: readonly [shows: string, text: string | Buffer, expected: string][] = [
  ["the RFC's example, CRLF", `${EXAMPLE.join("\r\n")}\r\n`, EXAMPLE_READ],
  ["LF", `${EXAMPLE.join("\n")}\n`, EXAMPLE_READ],
  ["no line end at the end", EXAMPLE.join("\r\n"), EXAMPLE_READ],
  ["any order", EXAMPLE.toReversed().join("\n"), "enforce 604800 backupmx.example.com *.example.net mail.example.com"],
  ["no white space, or tabs and spaces, around values", "version:STSv1\nmode:\t enforce \t\nmx:a.example\t\nmax_age:   1", A],
  ["unknown fields are ignored", withLine("x-new.field_1: anything at all \u2713"), A],
  ["of two versions the first counts", `${withLine("version: STSv1")}\nversion: STSv2`, A],
  ["of two modes the first counts", `${withLine("mode: testing")}\nmode: enforce`, "testing 1 a.example"],
  ["of two ages the first counts, even before nonsense", `${withLine("max_age: 7")}\nmax_age: many`, "enforce 7 a.example"],
  ["testing", withLine("mode: testing"), "testing 1 a.example"],
  ["none, without mx", "version: STSv1\nmode: none\nmax_age: 86400", "none 86400"],
  ["none, with mx", withLine("mode: none"), "none 1 a.example"],
  ["the same mx twice", `${withLine("mx: a.example")}\nmx: A.Example`, A],
  ["names are compared in lower case", withLine("mx: *.EXAMPLE.Net"), "enforce 1 *.example.net"],
  ["an A-label", withLine("mx: mx.xn--bcher-kva.example"), "enforce 1 mx.xn--bcher-kva.example"],
  ["max_age 0", withLine("max_age: 0"), "enforce 0 a.example"],
  ["the largest max_age", withLine("max_age: 31557600"), "enforce 31557600 a.example"],
  ["a larger max_age is cut", withLine("max_age: 9999999999"), `enforce ${MAX_AGE_SECONDS} a.example`],
  ["leading zeros", withLine("max_age: 0000000060"), "enforce 60 a.example"],

  ["nothing", "", "invalid"],
  ["a web page", "<html><body>404</body></html>", "invalid"],
  ["no version", "mode: enforce\nmx: a.example\nmax_age: 1", "invalid"],
  ["no mode", "version: STSv1\nmx: a.example\nmax_age: 1", "invalid"],
  ["no max_age", "version: STSv1\nmx: a.example\nmode: enforce", "invalid"],
  ["no mx under enforce", "version: STSv1\nmode: enforce\nmax_age: 1", "invalid"],
  ["no mx under testing", "version: STSv1\nmode: testing\nmax_age: 1", "invalid"],
  ["version 2", withLine("version: STSv2"), "invalid"],
  ["version 2 before version 1", `version: STSv2\n${withLine("version: STSv1")}`, "invalid"],
  ["the version in lower case", withLine("version: stsv1"), "invalid"],
  ["a key in upper case is another field", withLine("mode: enforce").replace("mode", "Mode"), "invalid"],
  ["the mode in upper case", withLine("mode: Enforce"), "invalid"],
  ["an unknown mode", withLine("mode: report"), "invalid"],
  ["an unknown mode before a known one", `mode: strict\n${withLine("mode: enforce")}`, "invalid"],
  ["a negative max_age", withLine("max_age: -1"), "invalid"],
  ["a max_age with a unit", withLine("max_age: 7d"), "invalid"],
  ["a max_age of eleven digits", withLine("max_age: 00000000001"), "invalid"],
  ["a decimal max_age", withLine("max_age: 1.0"), "invalid"],
  ["an empty value", withLine("mx:"), "invalid"],
  ["an empty value of an unknown field", withLine("x: "), "invalid"],
  ["a space before the colon", withLine("mode : enforce"), "invalid"],
  ["a space before the key", ` ${withLine("mode: enforce")}`, "invalid"],
  ["an empty line between", EXAMPLE.join("\n\n"), "invalid"],
  ["an empty line before", `\n${EXAMPLE.join("\n")}`, "invalid"],
  ["two empty lines at the end", `${EXAMPLE.join("\n")}\n\n`, "invalid"],
  ["carriage returns only", EXAMPLE.join("\r"), "invalid"],
  ["a byte order mark", `\ufeff${EXAMPLE.join("\n")}`, "invalid"],
  ["a tab inside a value", withLine("x: a\tb"), "invalid"],
  ["a control character", withLine("x: a\u0007b"), "invalid"],
  ["a DEL", withLine("x: a\u007fb"), "invalid"],
  ["octets that are no UTF-8", Buffer.concat([Buffer.from(withLine("x: a")), Buffer.from([0xe9])]), "invalid"],
  ["a key of 33 characters", withLine(`${"k".repeat(33)}: 1`), "invalid"],
  ["no colon", withLine("enforce"), "invalid"],
  ["two patterns in one line", withLine("mx: a.example b.example"), "invalid"],
  ["two patterns with a comma", withLine("mx: a.example, b.example"), "invalid"],
  ["a trailing dot", withLine("mx: a.example."), "invalid"],
  ["a leading dot", withLine("mx: .a.example"), "invalid"],
  ["a wildcard alone", withLine("mx: *"), "invalid"],
  ["a wildcard with nothing behind it", withLine("mx: *."), "invalid"],
  ["a wildcard inside a label", withLine("mx: mx*.a.example"), "invalid"],
  ["a wildcard in the middle", withLine("mx: mx.*.example"), "invalid"],
  ["two wildcards", withLine("mx: *.*.example"), "invalid"],
  ["an underscore", withLine("mx: my_host.example"), "invalid"],
  ["a label that begins with a hyphen", withLine("mx: -a.example"), "invalid"],
  ["a label that ends with a hyphen", withLine("mx: a-.example"), "invalid"],
  ["a label of 64 characters", withLine(`mx: ${"a".repeat(64)}.example`), "invalid"],
  ["a name of 254 characters", withLine(`mx: ${`${"a".repeat(49)}.`.repeat(5)}abcd`), "invalid"],
  ["a U-label", withLine("mx: b\u00fccher.example"), "invalid"],
  ["a bracketed address", withLine("mx: [192.0.2.1]"), "invalid"],
  ["more than 64 KiB", `${withLine("mode: enforce")}\nx: ${"a".repeat(MAX_POLICY_OCTETS)}`, "invalid"],
];

for (const [shows, text, expected] of ROWS) test(`${shows}: ${expected}`, () => assert.equal(parsed(text), expected));

test("what an attacker may send is read in linear time", () => {
  const spaces = " ".repeat(60_000);
  for (const text of [withLine(`x: a${spaces}b`), withLine(`x:${spaces}`), "\n".repeat(60_000), "a:".repeat(30_000)])
    assert.ok(["invalid", A].includes(parsed(text)));
});

/** RFC 8461 §4.1; the first three are its own. */
const HOSTS: readonly [pattern: string, host: string, expected: boolean][] = [
  ["*.example.com", "mail.example.com", true],
  ["*.example.com", "example.com", false],
  ["*.example.com", "foo.bar.example.com", false],
  ["mail.example.com", "mail.example.com", true],
  ["mail.example.com", "MAIL.Example.COM", true],
  ["MAIL.example.com", "mail.example.com", true],
  ["mail.example.com", "mail.example.com.evil.example", false],
  ["mail.example.com", "evil-mail.example.com", false],
  ["mail.example.com", "a.mail.example.com", false],
  ["example.com", "mail.example.com", false],
  ["*.example.com", "mail.evilexample.com", false],
  ["*.example.com", "mail.example.com.evil.example", false],
  ["*.com", "example.com", true],
  // One label that holds a dot is one label; it is no way around the suffix either.
  ["*.example.com", "a\\.b.example.com", false],
  ["b.example.com", "a\\.b.example.com", false],
];

for (const [pattern, host, expected] of HOSTS) {
  test(`mx ${pattern} ${expected ? "allows" : "does not allow"} ${host}`, () => {
    const result = parsePolicy(Buffer.from(withLine(`mx: ${pattern}`)));
    assert.ok(result.kind === "policy");
    assert.equal(allowsHost(result.policy, name(host)), expected);
  });
}

test("any one of the patterns is enough, and without one no host is", () => {
  const result = parsePolicy(Buffer.from(EXAMPLE.join("\n")));
  assert.ok(result.kind === "policy");
  for (const host of ["mail.example.com", "x.example.net", "backupmx.example.com"])
    assert.ok(allowsHost(result.policy, name(host)));
  assert.ok(!allowsHost({ ...result.policy, mx: [] }, name("mail.example.com")));
});

test("a policy written as lines reads as the same policy", () => {
  const result = parsePolicy(Buffer.from(EXAMPLE.join("\n")));
  assert.ok(result.kind === "policy");
  assert.deepEqual(policyLines(result.policy), EXAMPLE);
  assert.deepEqual(parsePolicy(Buffer.from(policyLines(result.policy).join("\n"))), result);
});
