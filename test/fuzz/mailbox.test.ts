import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { destinationOf, MAX_PATH_OCTETS, type Mailbox, parseMailbox, parseMailDomain } from "../../src/smtp/mailbox.ts";

function checked(text: string): Mailbox | undefined {
  const mailbox = parseMailbox(text);
  if ("kind" in mailbox) {
    assert.ok(mailbox.reason.length > 0);
    return undefined;
  }
  // What is written into a command can be nothing but one path.
  assert.doesNotMatch(mailbox.text, /\p{Cc}/u);
  assert.ok(Buffer.byteLength(mailbox.text) <= MAX_PATH_OCTETS - 2);
  assert.deepEqual(parseMailbox(mailbox.text), mailbox);
  const domain = parseMailDomain(destinationOf(mailbox));
  assert.deepEqual(domain, mailbox.domain);
  assert.match(destinationOf(mailbox), /^[\u0021-\u007e]+$/);
  assert.equal(destinationOf(mailbox).toLowerCase().replace("[ipv6:", "[IPv6:"), destinationOf(mailbox));
  return mailbox;
}

test("any text: an error, or a mailbox that is its own normal form", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => void checked(text)),
    { numRuns: 1000 },
  );
});

test("text made of the characters that matter", () => {
  const piece = fc.constantFrom(
    "a",
    "B",
    ".",
    "@",
    '"',
    "\\",
    " ",
    "[",
    "]",
    ":",
    "IPv6:",
    "1",
    "::",
    "ü",
    "例",
    "-",
    "xn--",
    "<",
    ">",
    ",",
    "\r\n",
    "\ud800",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => void checked(pieces.join(""))),
    { numRuns: 5000 },
  );
});

test("every local part can be written, quoted where it has to be", () => {
  const character = fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code));
  fc.assert(
    fc.property(fc.string({ unit: character, maxLength: 30 }), (localPart) => {
      const quoted = `"${localPart.replace(/["\\]/g, "\\$&")}"@example.org`;
      assert.equal(checked(quoted)?.localPart, localPart);
    }),
    { numRuns: 1000 },
  );
});

test("IPv6 literals: one text for each address, as URL writes it", () => {
  fc.assert(
    fc.property(fc.ipV6(), (address) => {
      const domain = parseMailDomain(`[IPv6:${address}]`);
      assert.ok(domain.kind === "literal", address);
      assert.equal(domain.address, new URL(`http://[${address}]/`).hostname.slice(1, -1));
    }),
    { numRuns: 1000 },
  );
});

test("long input is refused in linear time", () => {
  for (const text of ["a".repeat(1e6), `"${"\\a".repeat(1e6)}"@x`, `a@${"b.".repeat(1e6)}`, `${"@a,".repeat(1e6)}:b@c`]) {
    assert.match((parseMailbox(text) as { reason: string }).reason, /longer than 254/);
  }
});
