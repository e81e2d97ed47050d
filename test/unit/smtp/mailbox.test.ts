import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { destinationOf, parseMailbox, parseMailDomain } from "../../../src/smtp/mailbox.ts";

type Good = { text?: string; localPart?: string; destination: string; utf8?: boolean };

function good(input: string, expected: Good): void {
  test(`good: ${input}`, () => {
    const mailbox = parseMailbox(input);
    if ("kind" in mailbox) assert.fail(mailbox.reason);
    assert.equal(mailbox.text, expected.text ?? input);
    if (expected.localPart !== undefined) assert.equal(mailbox.localPart, expected.localPart);
    assert.equal(destinationOf(mailbox), expected.destination);
    assert.equal(mailbox.needsSmtpUtf8, expected.utf8 ?? false);
    assert.deepEqual(parseMailbox(mailbox.text), mailbox, "what is sent parses to the same mailbox");
  });
}

function bad(input: string, reason: RegExp): void {
  test(`bad: ${JSON.stringify(input.slice(0, 60))}`, () => {
    const result = parseMailbox(input);
    assert.ok("kind" in result, "must be refused");
    assert.match(result.reason, reason);
  });
}

describe("RFC 5321 §4.1.2 mailboxes", () => {
  good("user@example.org", { localPart: "user", destination: "example.org" });
  good("User.Name+tag@Example.ORG", { localPart: "User.Name+tag", destination: "example.org" });
  good("!#$%&'*+-/=?^_`{|}~@example.org", { destination: "example.org" });
  good("root@localhost", { destination: "localhost" });
  good("a@1.example", { destination: "1.example" });
  good("a@xn--bcher-kva.example", { destination: "xn--bcher-kva.example" });
  good("@hop.example,@other.example:user@example.org", { text: "user@example.org", destination: "example.org" });
  good(`${"l".repeat(64)}@example.org`, { destination: "example.org" });

  bad("", /no @/);
  bad("user", /no @/);
  bad("@example.org", /source route is malformed, or the local part is empty/);
  bad("@hop.example:", /no @/);
  bad("@a..b:user@example.org", /source route/);
  bad("user@", /domain is empty/);
  bad("a@b@example.org", /character @ is not allowed in a domain/);
  bad(".a@example.org", /dot at its start/);
  bad("a.@example.org", /dot at its start or end/);
  bad("a..b@example.org", /two in a row/);
  bad("a b@example.org", /U\+0020 in the local part needs quoting/);
  bad("a,b@example.org", /character , in the local part needs quoting/);
  bad("a\r\nRCPT TO:<x@y>@example.org", /U\+000D/);
  bad("a\0@example.org", /U\+0000/);
  bad(`${"l".repeat(65)}@example.org`, /local part is longer than 64/);
  bad(`u@${"d".repeat(60)}.${"d".repeat(60)}.${"d".repeat(60)}.${"d".repeat(60)}.${"d".repeat(20)}`, /longer than 254/);
  bad(`user@${"d".repeat(64)}.example`, /63 allowed/);
});

describe("quoted local parts", () => {
  good('"joe smith"@example.org', { localPart: "joe smith", destination: "example.org" });
  good('"a@b"@example.org', { localPart: "a@b", destination: "example.org" });
  good('"joe"@example.org', { text: "joe@example.org", localPart: "joe", destination: "example.org" });
  good('"Joe\\,Smith"@example.org', { text: '"Joe,Smith"@example.org', localPart: "Joe,Smith", destination: "example.org" });
  good('"q\\"\\\\"@example.org', { localPart: 'q"\\', destination: "example.org" });
  good('""@example.org', { localPart: "", destination: "example.org" });
  good('"a..b"@example.org', { localPart: "a..b", destination: "example.org" });
  good('"<>"@example.org', { localPart: "<>", destination: "example.org" });

  bad('"joe@example.org', /not closed/);
  bad('"joe\\', /backslash/);
  bad('"joe\\ü"@example.org', /backslash/);
  bad('"joe"smith@example.org', /not followed by @/);
  bad('"joe\tsmith"@example.org', /U\+0009/);
  bad('joe."smith"@example.org', /character " in the local part needs quoting/);
});

describe("RFC 6531 §3.3 internationalized", () => {
  good("jürgen@example.org", { localPart: "jürgen", destination: "example.org", utf8: true });
  good("用户@例え.example", { text: "用户@xn--r8jz45g.example", destination: "xn--r8jz45g.example", utf8: true });
  good("user@Bücher.example", { text: "user@xn--bcher-kva.example", destination: "xn--bcher-kva.example" });
  good("user@straße.example", { text: "user@xn--strae-oqa.example", destination: "xn--strae-oqa.example" });
  good("user@bücher。example", { text: "user@xn--bcher-kva.example", destination: "xn--bcher-kva.example" });
  good('"ü ü"@example.org', { localPart: "ü ü", destination: "example.org", utf8: true });

  bad("a\u0085b@example.org", /U\+0085/);
  bad("a\ud800b@example.org", /U\+D800/);
  bad("user@bü/cher.example", /character \/ is not allowed/);
  bad("user@bü%63her.example", /character % is not allowed/);
  bad("user@bü_cher.example", /character _ is not allowed/);
  bad("user@１２７.0.0.1", /IP address is written in brackets/);
  bad("user@xn--ü.example", /not a valid internationalized/);
  bad("user@\u00ad.example", /empty label/);
  bad(`${"ü".repeat(33)}@example.org`, /local part is longer than 64/);
  bad(`${"l".repeat(60)}@${"ü.".repeat(25)}example`, /address is longer than 254/);
  bad(`u@${"ü.".repeat(40)}example`, /domain: name of 3\d\d octets/);
});

describe("RFC 5321 §4.1.3 address literals", () => {
  good("user@[192.0.2.1]", { destination: "[192.0.2.1]" });
  good("user@[192.000.002.001]", { text: "user@[192.0.2.1]", destination: "[192.0.2.1]" });
  good("user@[IPv6:2001:DB8:0:0:0:0:0:1]", { text: "user@[IPv6:2001:db8::1]", destination: "[IPv6:2001:db8::1]" });
  good("user@[ipv6:::1]", { text: "user@[IPv6:::1]", destination: "[IPv6:::1]" });
  good("user@[IPv6:::]", { destination: "[IPv6:::]" });
  good("user@[IPv6:1:0:0:2:0:0:0:3]", { text: "user@[IPv6:1:0:0:2::3]", destination: "[IPv6:1:0:0:2::3]" });
  good("user@[IPv6:1:2:3:4:5:6:0:8]", { destination: "[IPv6:1:2:3:4:5:6:0:8]" });
  good("user@[IPv6:::ffff:192.0.2.1]", { text: "user@[IPv6:::ffff:c000:201]", destination: "[IPv6:::ffff:c000:201]" });

  bad("user@[192.0.2.256]", /not an IPv4 address/);
  bad("user@[192.0.2]", /not an IPv4 address/);
  bad("user@[192.0.2.1", /closing bracket/);
  bad("user@[2001:db8::1]", /unknown tag/);
  bad("user@[IPv6:1:2:3]", /not an IPv6 address/);
  bad("user@[IPv6:1::2::3]", /not an IPv6 address/);
  bad("user@[IPv6:1:2:3:4:5:6:7:8:9]", /not an IPv6 address/);
  bad("user@[IPv6:1:2:3:4:5:6:7::8]x", /closing bracket/);
  bad("user@[IPv6:1.2.3.4::]", /not an IPv6 address/);
  bad("user@[IPv6:fe80::1%eth0]", /not an IPv6 address/);
  bad("user@[x400:c=us]", /unknown tag/);
  bad("user@192.0.2.1", /in brackets/);
});

describe("domains by the book", () => {
  for (const [domain, reason] of [
    ["example.org.", /empty label/],
    ["-a.example", /hyphen/],
    ["a-.example", /hyphen/],
    ["a_b.example", /character _/],
    ["a b.example", /U\+0020/],
    ["a\\.b.example", /character \\/],
  ] as const) {
    test(`refused: ${domain}`, () => {
      const result = parseMailDomain(domain);
      assert.ok(result.kind === "error");
      assert.match(result.reason, reason);
    });
  }
});
