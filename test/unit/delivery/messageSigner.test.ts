import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { describe, test } from "node:test";
import fc from "fast-check";
import { MessageSigner } from "../../../src/delivery/messageSigner.ts";
import type { SigningKey } from "../../../src/dkim/author.ts";
import { dkimRecord, readDkimKey } from "../../../src/dkim/signingKey.ts";
import type { Envelope } from "../../../src/spool/message.ts";
import { dkimpyVerdicts } from "../../fake/dkimpy.ts";
import { checkDkim } from "../../fake/dkimVerifier.ts";

const RSA = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
const ED25519 = generateKeyPairSync("ed25519").privateKey;
const ACCEPTED_AT = 1_700_000_000_999;

function signingKey(domain: string, selector: string, key = selector.startsWith("ed") ? ED25519 : RSA): SigningKey {
  const pem = key.export({ type: "pkcs8", format: "pem" }).toString();
  const read = readDkimKey(pem, { domain: domain.replace(/^\./, ""), selector });
  assert.ok(read.kind === "key");
  return { domain, key: read.key };
}

const KEYS = [signingKey("example.org", "rsa"), signingKey("example.org", "ed"), signingKey(".example.org", "sub-ed", ED25519)];
const INTERNATIONAL = signingKey("xn--bcher-kva.example", "ed");

function keyOf(_: string, selector: string) {
  return createPublicKey(selector === "rsa" ? RSA : ED25519);
}

function envelope(id: string, more: Partial<Envelope> = {}): Envelope {
  return {
    ...{ id, sender: "a@example.org", acceptedAt: ACCEPTED_AT, smtpUtf8: false, eightBitMime: false },
    ...{ requireTls: false, tlsRequiredNo: false, size: 0 },
    ...more,
  };
}

/** A content in pieces of `octets`, and how often it was read. */
function contentOf(message: string | Buffer, octets = 65_536) {
  const whole = Buffer.isBuffer(message) ? message : Buffer.from(message, "latin1");
  const seen = { opened: 0, octets: 0, closed: 0 };
  const open = async function* (): AsyncGenerator<Buffer> {
    seen.opened += 1;
    try {
      for (let at = 0; at < whole.length; at += octets) {
        const piece = whole.subarray(at, at + octets);
        seen.octets += piece.length;
        yield piece;
      }
    } finally {
      seen.closed += 1;
    }
  };
  return { open, seen };
}

function signerOf(keys: readonly SigningKey[] = KEYS) {
  const unsigned: string[] = [];
  const state = { keys };
  const signer = new MessageSigner({ keys: () => state.keys, onUnsigned: (_, reason) => unsigned.push(reason) });
  return { signer, unsigned, state };
}

async function signedBy(message: string, keys: readonly SigningKey[] = KEYS) {
  const { signer, unsigned } = signerOf(keys);
  const fields = await signer.fieldsFor(envelope("M1"), contentOf(message).open);
  return { whole: Buffer.concat([fields, Buffer.from(message, "latin1")]), fields, unsigned };
}

const BODY = "Hello  \t world \r\n\r\n";
const HEADER = "Received: by relay\r\nFrom: A <a@example.org>\r\nSubject: hi\r\n";

describe("who signs, by the From field", () => {
  const cases: readonly {
    name: string;
    header: string;
    selectors?: readonly string[];
    unsigned?: RegExp;
    keys?: readonly SigningKey[];
  }[] = [
    { name: "its domain", header: "From: a@example.org", selectors: ["rsa", "ed"] },
    { name: "in other letters", header: "fROM : A <a@EXAMPLE.org>", selectors: ["rsa", "ed"] },
    { name: "below it", header: "From: a@x.y.example.org", selectors: ["sub-ed"] },
    { name: "nobody for others", header: "From: a@example.com", selectors: [] },
    { name: "nobody for what only ends so", header: "From: a@notexample.org", selectors: [] },
    {
      name: "the closest entry",
      header: "From: a@a.b.example.org",
      keys: [KEYS[2], signingKey(".b.example.org", "rsa")].filter((key) => key !== undefined),
      selectors: ["rsa"],
    },
    {
      name: "folded, with comments and a quoted name",
      header: 'From:\r\n\t"a@evil.example, b" (c@evil.example)\r\n <a@example.org>',
      selectors: ["rsa", "ed"],
    },
    { name: "two of one domain", header: "From: a@example.org, B <b@example.org>", selectors: ["rsa", "ed"] },
    { name: "a group", header: "From: us: a@example.org;", selectors: ["rsa", "ed"] },
    { name: "a U-label (RFC 8616)", header: "From: a@b\xc3\xbccher.example", keys: [INTERNATIONAL], selectors: ["ed"] },
    { name: "its A-label", header: "From: a@xn--bcher-kva.example", keys: [INTERNATIONAL], selectors: ["ed"] },
    { name: "a UTF-8 local part and name", header: "From: \xc3\xa0 <b\xc3\xbc@example.org>", selectors: ["rsa", "ed"] },
    { name: "two domains", header: "From: a@example.org, b@example.com", unsigned: /addresses of 2 domains/ },
    { name: "a domain and one below", header: "From: a@example.org, b@x.example.org", unsigned: /addresses of 2 domains/ },
    { name: "two From fields", header: "From: a@example.org\r\nFrom: a@example.org", unsigned: /2 From fields/ },
    { name: "none", header: "Subject: x", unsigned: /no From field/ },
    { name: "an empty one", header: "From: ", unsigned: /names no address/ },
    { name: "no domain", header: "From: root", unsigned: /malformed: address has no @/ },
    { name: "a domain too much", header: "From: a@example.org@example.com", unsigned: /malformed/ },
    { name: "not closed", header: "From: <a@example.org", unsigned: /not closed/ },
    { name: "a line that is no field", header: "From: a@example.org\r\nno field", unsigned: /line 2 of its header/ },
    { name: "a line of mbox", header: "From a@example.org\r\nFrom: a@example.org", unsigned: /line 1 of its header/ },
    { name: "a CR within the header", header: "From: a@example.org\rFrom: b@example.com", unsigned: /CR or LF/ },
    {
      name: "more fields than a signature should name",
      header: `From: a@example.org\r\n${"List-Post: x\r\n".repeat(250)}X: y`,
      unsigned: /of its header fields/,
    },
  ];
  for (const { name, header, selectors = [], unsigned: reason, keys } of cases) {
    test(name, async () => {
      const { whole, fields, unsigned } = await signedBy(`${header}\r\n\r\n${BODY}`, keys);
      const found = checkDkim(whole, keyOf);
      assert.deepEqual(
        found.map(({ tags, bodyHash, signature }) => [tags.get("s"), bodyHash, signature]),
        selectors.map((selector) => [selector, "holds", "holds"]),
      );
      if (selectors.length === 0) assert.equal(fields.length, 0);
      if (reason === undefined) assert.deepEqual(unsigned, []);
      else assert.match(unsigned.join("\n"), reason);
    });
  }

  test("a domain signs for those below it as itself (RFC 7489 §3.1.1), and in A-labels", async () => {
    const [below] = checkDkim((await signedBy(`From: a@x.example.org\r\n\r\n${BODY}`)).whole, keyOf);
    assert.equal(below?.tags.get("d"), "example.org");
    const [ulabel] = checkDkim((await signedBy("From: a@b\xc3\xbccher.example\r\n\r\n", [INTERNATIONAL])).whole, keyOf);
    assert.equal(ulabel?.tags.get("d"), "xn--bcher-kva.example");
  });
});

describe("what is signed", () => {
  test("fields that readers see, sealed against further ones; trace fields and older signatures are left alone", async () => {
    const header = [
      "DKIM-Signature: v=1; a=rsa-sha256; d=other.example; s=x; h=from; bh=; b=",
      "Return-Path: <a@example.org>",
      "Received: one",
      "From: a@example.org",
      "To: b@example.com",
      "References: <1>",
      "MIME-Version: 1.0",
      "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
      "X-Other: y",
    ];
    const { fields } = await signedBy(`${header.join("\r\n")}\r\n\r\n${BODY}`);
    const [tags] = checkDkim(Buffer.concat([fields, Buffer.from("\r\n")]), keyOf);
    assert.equal(tags?.tags.get("h"), "From:From:To:To:Subject:Date:MIME-Version:MIME-Version:References:List-Unsubscribe-Post");
    assert.equal(tags?.tags.get("t"), "1700000000");
    assert.deepEqual([...(tags?.tags.keys() ?? [])].sort().join(" "), "a b bh c d h s t v");
    for (const line of fields.toString("latin1").split("\r\n")) assert.ok(line.length <= 78, line);
  });

  const contents: readonly { name: string; message: string }[] = [
    { name: "no body, no empty line", message: HEADER },
    { name: "no line end at the end of the header", message: HEADER.slice(0, -2) },
    { name: "an empty body", message: `${HEADER}\r\n` },
    { name: "a body of line ends", message: `${HEADER}\r\n\r\n\r\n\r\n` },
    { name: "a body without line end", message: `${HEADER}\r\nx` },
    { name: "dots and octets above 127", message: `${HEADER}\r\n.\r\n..\xff\xa0\r\n\xc3\xa0 \r\n` },
    { name: "a folded header with tabs", message: `${HEADER}To: b@example.com,\r\n\tc@example.com\r\n \t \r\n\r\n${BODY}` },
    { name: "a UTF-8 header that ends in 0xA0", message: `From: a@example.org\r\nSubject: voil\xc3\xa0\r\n\r\n${BODY}` },
  ];
  for (const { name, message } of contents) {
    test(`${name}: holds however it is cut`, async () => {
      const whole = await signedBy(message);
      const empty = message.includes("\r\n\r\n") ? "" : message.endsWith("\r\n") ? "\r\n" : "\r\n\r\n";
      const checked = checkDkim(Buffer.concat([whole.whole, Buffer.from(empty)]), keyOf);
      assert.deepEqual(
        checked.map(({ bodyHash, signature }) => `${bodyHash} ${signature}`),
        ["holds holds", "holds holds"],
      );
      for (const octets of [1, 2, 3, 7]) {
        const fields = await signerOf().signer.fieldsFor(envelope("M1"), contentOf(message, octets).open);
        assert.deepEqual(fields, whole.fields, `in pieces of ${octets}`);
      }
    });
  }

  test("what is changed, added or doubled on the way breaks it", async () => {
    const { whole } = await signedBy(`${HEADER}Content-Type: text/plain\r\n\r\n${BODY}`);
    const after = (from: string, to: string): string => {
      const text = whole.toString("latin1");
      assert.ok(text.includes(from));
      return checkDkim(Buffer.from(text.replace(from, to), "latin1"), keyOf)
        .map(({ bodyHash, signature }) => `${bodyHash} ${signature}`)
        .join(", ");
    };
    const header = "holds broken, holds broken";
    assert.equal(after("Subject: hi", "Subject: ho"), header);
    assert.equal(after("Received:", "From: evil@example.com\r\nReceived:"), header);
    assert.equal(after("Received:", "To: b@example.com\r\nReceived:"), header);
    assert.equal(after("Received:", "Content-Type: text/html\r\nReceived:"), header);
    assert.equal(after("t=1700000000", "t=1700000001"), "holds broken, holds holds");
    assert.equal(after("Hello", "Hallo"), "broken holds, broken holds");
    assert.equal(after("Received:", "Message-ID: <added@example.net>\r\nReceived:"), "holds holds, holds holds");
  });

  test("dkimpy agrees on any message, and sees any changed octet of it", async () => {
    const text = fc.array(fc.constantFrom("a", "B", "=", ".", " ", "  ", "\t", "\xc3\xa0", "\xff", "\xa0"), { maxLength: 12 });
    const line = text.map((words) => words.join(""));
    const name = fc.constantFrom(
      "To",
      "Subject",
      "Date",
      "Cc",
      "Reply-To",
      "subject",
      "X-Other",
      "List-Id",
      "References",
      "MIME-Version",
    );
    const field = fc
      .tuple(name, fc.array(line, { maxLength: 3 }))
      .map(([of, lines]) => `${of}: v${lines.map((part) => `\r\n\tw${part}`).join("")}`);
    const message = fc
      .tuple(fc.array(field, { maxLength: 6 }), fc.array(line, { maxLength: 8 }), fc.constantFrom("\r\n", "\r\n \r\n\r\n"))
      .map(
        ([fields, lines, end]) =>
          `Received: x\r\nFrom: a@example.org\r\n${fields.map((of) => `${of}\r\n`).join("")}\r\n${lines.join("\r\n")}${end}`,
      );
    const records = Object.fromEntries(
      KEYS.map(({ key }) => [
        `${key.selector}._domainkey.${key.domain}`,
        [...dkimRecord(key).matchAll(/"([^"]*)"/g)].map(([, string]) => string).join(""),
      ]),
    );
    const messages = fc.sample(message, { numRuns: 300, seed: 6376 });
    const signed = await Promise.all(messages.map(async (of) => (await signedBy(of)).whole));
    const changed = signed.map((whole) => Buffer.from(whole.toString("latin1").replace("From: a@", "From: b@"), "latin1"));
    const verdicts = await dkimpyVerdicts([...signed, ...changed], records);
    verdicts.forEach((words, i) => {
      const expected = i < signed.length ? "ok" : "bad";
      const shown = JSON.stringify([...signed, ...changed][i]?.toString("latin1"));
      assert.deepEqual(words, [expected, expected], shown);
    });
  });
});

describe("what is remembered", () => {
  const message = `${HEADER}\r\n${"x".repeat(300_000)}`;

  test("one reading for all destinations and attempts; another key signs anew", async () => {
    const { signer, state } = signerOf();
    const content = contentOf(message);
    const [one, two] = await Promise.all([
      signer.fieldsFor(envelope("M1"), content.open),
      signer.fieldsFor(envelope("M1"), content.open),
    ]);
    assert.equal(content.seen.opened, 1);
    assert.deepEqual(one, two);
    // Deterministic: a relay that has forgotten them makes the same ones.
    assert.deepEqual(await signerOf().signer.fieldsFor(envelope("M1"), content.open), one);
    assert.equal(content.seen.opened, 2);
    state.keys = KEYS.slice(0, 1);
    const fresh = await signer.fieldsFor(envelope("M1"), content.open);
    assert.equal(content.seen.opened, 3);
    assert.ok(one.toString().startsWith(fresh.toString()) && fresh.length < one.length);
  });

  test("no more than a thousand", async () => {
    const { signer } = signerOf(KEYS.slice(1, 2));
    const content = contentOf(`${HEADER}\r\n`);
    for (let i = 0; i <= 1000; i += 1) await signer.fieldsFor(envelope(`M${i}`), content.open);
    assert.equal(content.seen.opened, 1001);
    await signer.fieldsFor(envelope("M1000"), content.open);
    assert.equal(content.seen.opened, 1001);
    await signer.fieldsFor(envelope("M0"), content.open);
    assert.equal(content.seen.opened, 1002);
  });

  test("content that cannot be read is no signature, and is read again", async () => {
    const { signer } = signerOf();
    const damaged = async function* (): AsyncGenerator<Buffer> {
      yield Buffer.from(`${HEADER}\r\n`);
      throw new Error("damaged");
    };
    await assert.rejects(signer.fieldsFor(envelope("M1"), damaged), /damaged/);
    assert.ok((await signer.fieldsFor(envelope("M1"), contentOf(message).open)).length > 0);
  });

  test("a key that cannot sign is no reason to send without a signature", async () => {
    const [one] = KEYS;
    assert.ok(one !== undefined);
    const { signer, unsigned } = signerOf([{ ...one, key: { ...one.key, key: createPublicKey(RSA) } }]);
    await assert.rejects(signer.fieldsFor(envelope("M1"), contentOf(message).open));
    await assert.rejects(signer.fieldsFor(envelope("M1"), contentOf(message).open), "nor is that remembered");
    assert.deepEqual(unsigned, []);
  });

  test("the body of mail that nobody signs is not read, nor anything where there are no keys, nor of reports", async () => {
    const others = contentOf(message.replace("example.org", "example.com"));
    await signerOf().signer.fieldsFor(envelope("M1"), others.open);
    assert.deepEqual(others.seen, { opened: 1, octets: 65_536, closed: 1 });
    const none = contentOf(message);
    assert.equal((await signerOf([]).signer.fieldsFor(envelope("M1"), none.open)).length, 0);
    assert.equal((await signerOf().signer.fieldsFor(envelope("M1", { purpose: "tls-report" }), none.open)).length, 0);
    assert.equal(none.seen.opened, 0);
  });

  test("100 MB are read in pieces, and none is kept", async () => {
    const piece = Buffer.alloc(65_536, "some text of a large attachment\r\n");
    let most = 0;
    const open = async function* (): AsyncGenerator<Buffer> {
      yield Buffer.from(`${HEADER}\r\n`);
      const before = process.memoryUsage().arrayBuffers;
      for (let i = 0; i < 1600; i += 1) {
        if (i % 100 === 0) most = Math.max(most, process.memoryUsage().arrayBuffers - before);
        yield piece;
      }
    };
    assert.ok((await signerOf().signer.fieldsFor(envelope("M1"), open)).length > 0);
    assert.ok(most < 8_000_000, `${most} octets more`);
  });
});
