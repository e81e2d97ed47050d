import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { buildDsn, type Dsn, type DsnRequest } from "../../../src/delivery/bounce.ts";
import type { Outcome } from "../../../src/policy/disposition.ts";
import type { Notify, QueuedRecipient } from "../../../src/spool/message.ts";

const ACCEPTED_AT = Date.UTC(2026, 10, 20, 8, 0, 0);
const NOW = Date.UTC(2026, 10, 21, 9, 30, 5);

const refused: Outcome = {
  kind: "failed",
  status: "5.1.1",
  cause: {
    kind: "reply",
    text: "mx.example.org said to RCPT: 550 5.1.1 no such user",
    host: "mx.example.org",
    address: "192.0.2.1",
    reply: { code: 550, enhanced: "5.1.1", lines: ["no such user"] },
  },
};
const mismatch: Outcome = {
  kind: "deferred",
  status: "4.7.5",
  cause: {
    kind: "tls-policy",
    text: "mx.example.org presented a certificate that none of its TLSA records matches",
    host: "mx.example.org",
  },
};
const delivered: Outcome = {
  kind: "delivered",
  reply: { code: 250, enhanced: "2.0.0", lines: ["queued"] },
  security: { tls: "dane", dane: "authenticated" },
};

function recipient(more: Partial<QueuedRecipient> = {}): QueuedRecipient {
  return { address: "user@example.org", destination: "example.org", index: 0, attempts: 1, delayWarned: false, ...more };
}

const ORIGINAL = Buffer.from(
  "Received: from x\r\n\tby y\r\nFrom: s@example.net\r\nMessage-ID: <orig-1@example.net>\r\nSubject: hello\r\n\r\nsecret body\r\n",
);

type Overrides = Partial<Omit<DsnRequest, "envelope">> & { envelope?: Partial<DsnRequest["envelope"]> };

function dsn(overrides: Overrides = {}): Dsn {
  const original = overrides.original ?? ORIGINAL;
  return buildDsn({
    kind: "failed",
    recipients: [{ request: recipient(), outcome: refused }],
    hostname: "relay.example.net.",
    now: NOW,
    newId: () => "NEWID",
    ...overrides,
    original,
    envelope: {
      id: "OLDID",
      sender: "s@example.net",
      acceptedAt: ACCEPTED_AT,
      smtpUtf8: false,
      eightBitMime: false,
      requireTls: false,
      tlsRequiredNo: false,
      size: original.length,
      ...overrides.envelope,
    },
  });
}

function built(overrides: Overrides = {}): { message: Extract<Dsn, { kind: "dsn" }>["message"]; text: string; parts: string[] } {
  const result = dsn(overrides);
  if (result.kind === "none") assert.fail(result.because);
  const text = result.content.toString();
  assert.equal(result.message.envelope.size, result.content.length);
  const boundary = /boundary="([^"]+)"/.exec(text)?.[1];
  return { message: result.message, text, parts: text.split(`--${boundary}`).map((part) => part.replace(/^\r\n/, "")) };
}

/** The body of a part, its transfer encoding undone. */
function body(part: string | undefined): string {
  const [head = "", ...rest] = (part ?? "").split("\r\n\r\n");
  const content = rest.join("\r\n\r\n");
  return /base64/.test(head) ? Buffer.from(content, "base64").toString() : content;
}

test("a failed notification, whole", () => {
  const { message, text } = built();
  assert.deepEqual(message, {
    envelope: {
      id: "NEWID",
      sender: "",
      acceptedAt: NOW,
      smtpUtf8: false,
      eightBitMime: false,
      requireTls: false,
      tlsRequiredNo: false,
      size: message.envelope.size,
    },
    recipients: [{ address: "s@example.net", destination: "example.net", notify: ["NEVER"] }],
  });
  assert.equal(
    text,
    [
      "Date: Sat, 21 Nov 2026 09:30:05 +0000",
      "From: Mail Delivery System <MAILER-DAEMON@relay.example.net>",
      "To: <s@example.net>",
      "Subject: Undelivered mail",
      "Message-ID: <NEWID@relay.example.net>",
      "In-Reply-To: <orig-1@example.net>",
      "Auto-Submitted: auto-replied",
      "MIME-Version: 1.0",
      "Content-Type: multipart/report; report-type=delivery-status;",
      ' boundary="dsn-NEWID"',
      "",
      "--dsn-NEWID",
      "Content-Type: text/plain; charset=utf-8",
      "Content-Transfer-Encoding: 7bit",
      "",
      "This is the mail server relay.example.net.",
      "",
      "Your message could not be delivered to the recipients below. It will not be tried again.",
      "",
      "<user@example.org>",
      "    mx.example.org said to RCPT: 550 5.1.1 no such user",
      "    Check the address for typing errors; if it is right, ask the recipient",
      "    for the current one.",
      "    Status code: 5.1.1",
      "",
      "The details for mail software, and your message or its headers, are attached.",
      "",
      "--dsn-NEWID",
      "Content-Type: message/delivery-status",
      "Content-Transfer-Encoding: 7bit",
      "",
      "Reporting-MTA: dns; relay.example.net",
      "Arrival-Date: Fri, 20 Nov 2026 08:00:00 +0000",
      "",
      "Final-Recipient: rfc822; user@example.org",
      "Action: failed",
      "Status: 5.1.1",
      "Remote-MTA: dns; mx.example.org",
      "Diagnostic-Code: smtp; 550 5.1.1 no such user",
      "Last-Attempt-Date: Sat, 21 Nov 2026 09:30:05 +0000",
      "",
      "--dsn-NEWID",
      "Content-Type: message/rfc822",
      "Content-Transfer-Encoding: 7bit",
      "",
      ...ORIGINAL.toString().split("\r\n"),
      "--dsn-NEWID--",
      "",
    ].join("\r\n"),
  );
});

describe("who gets none (RFC 3461 §5.2, RFC 5321 §6.1)", () => {
  const notifies: readonly (readonly Notify[] | undefined)[] = [
    undefined,
    ["NEVER"],
    ["FAILURE"],
    ["DELAY"],
    ["SUCCESS"],
    ["SUCCESS", "FAILURE", "DELAY"],
  ];
  const wanted: Record<DsnRequest["kind"], readonly boolean[]> = {
    failed: [true, false, true, false, false, true],
    delayed: [true, false, false, true, false, true],
    relayed: [false, false, false, false, true, true],
    delivered: [false, false, false, false, true, true],
  };
  for (const kind of ["failed", "delayed", "relayed", "delivered"] as const) {
    for (const [index, notify] of notifies.entries()) {
      test(`${kind} with NOTIFY ${notify?.join(",") ?? "unset"}: ${wanted[kind][index] ? "sent" : "none"}`, () => {
        const request = notify === undefined ? recipient() : recipient({ notify });
        const result = dsn({
          kind,
          recipients: [{ request, outcome: kind === "failed" ? refused : kind === "delayed" ? mismatch : delivered }],
        });
        assert.equal(result.kind, wanted[kind][index] ? "dsn" : "none");
      });
    }
  }
  test("nothing about a message with the null sender", () => {
    assert.deepEqual(dsn({ envelope: { sender: "" } }), { kind: "none", because: "the message has the null sender" });
  });
  test("nothing to a sender that is no address", () => {
    assert.equal(dsn({ envelope: { sender: "nobody" } }).kind, "none");
  });
  test("only those recipients who want it are named", () => {
    const { text } = built({
      recipients: [
        { request: recipient({ address: "never@example.org", notify: ["NEVER"] }), outcome: refused },
        { request: recipient(), outcome: refused },
      ],
    });
    assert.ok(!text.includes("never@example.org"));
    assert.ok(text.includes("user@example.org"));
  });
});

describe("what is returned of the message", () => {
  const full = /^Content-Type: message\/rfc822\r\n/;
  const header = /^Content-Type: text\/rfc822-headers\r\n/;
  const rows: readonly [string, Overrides, RegExp][] = [
    ["a failure, RET unset: all", {}, full],
    ["a failure, RET=FULL: all", { envelope: { returnContent: "FULL" } }, full],
    ["a failure, RET=HDRS", { envelope: { returnContent: "HDRS" } }, header],
    ["a failure of a message that is not at hand as a whole", { envelope: { size: ORIGINAL.length + 1 } }, header],
    ["a failure of a REQUIRETLS message (RFC 8689 §5)", { envelope: { requireTls: true, returnContent: "FULL" } }, header],
    ["a delay (RFC 3461 §6.2)", { kind: "delayed", envelope: { returnContent: "FULL" } }, header],
  ];
  for (const [name, overrides, type] of rows) {
    test(name, () => {
      const { parts, message } = built(overrides);
      assert.match(parts[3] ?? "", type);
      assert.equal(/secret body/.test(parts[3] ?? ""), type === full);
      assert.match(parts[3] ?? "", /Subject: hello/);
      assert.equal(message.envelope.requireTls, overrides.envelope?.requireTls ?? false);
    });
  }
  test("a huge header is cut at a line's end", () => {
    const original = Buffer.from(`${"X-Filler: 0123456789\r\n".repeat(5000)}\r\nbody\r\n`);
    const { parts } = built({ original, envelope: { returnContent: "HDRS" } });
    const returned = body(parts[3]);
    assert.ok(returned.length > 16_000 && returned.length <= 16_386);
    assert.match(returned, /0123456789\r\n\r\n$/);
  });
  test("8-bit headers are encoded", () => {
    const original = Buffer.from("Subject: grüße\r\n\r\nbody\r\n");
    const headers = built({ original, envelope: { returnContent: "HDRS" } });
    assert.equal(headers.message.envelope.eightBitMime, false);
    assert.match(headers.parts[3] ?? "", /^Content-Type: message\/global-headers\r\nContent-Transfer-Encoding: base64/);
    assert.equal(body(headers.parts[3]), "Subject: grüße\r\n");
  });
});

describe("nothing is lost on a way without 8BITMIME", () => {
  const latin = Buffer.from("Subject: x\r\n\r\nb\xf6dy\r\n", "latin1");
  const body8 = Buffer.from("Subject: x\r\n\r\nbödy\r\n");
  const header8 = Buffer.from("Subject: grüße\r\n\r\nbody\r\n");
  const modern = { smtpUtf8: true, sender: "jürgen@example.net" };
  const user = { request: recipient({ address: "用户@example.org" }), outcome: refused };
  const german = { code: 550, lines: ["kein Empfänger"] };
  const said: Outcome = { ...refused, cause: { kind: "reply", text: "it said: kein Empfänger", reply: german } };
  const rows: readonly { title: string; overrides: Overrides; encodings: readonly string[]; whole?: Buffer }[] = [
    { title: "ASCII", overrides: {}, encodings: ["7bit", "7bit", "message/rfc822 7bit"], whole: ORIGINAL },
    {
      title: "8-bit content",
      overrides: { original: body8 },
      encodings: ["7bit", "7bit", "message/global base64"],
      whole: body8,
    },
    {
      title: "8-bit content, RET=FULL",
      overrides: { original: latin, envelope: { returnContent: "FULL" } },
      encodings: ["7bit", "7bit", "message/global base64"],
      whole: latin,
    },
    {
      title: "8-bit content, RET=HDRS",
      overrides: { original: body8, envelope: { returnContent: "HDRS" } },
      encodings: ["7bit", "7bit", "text/rfc822-headers 7bit"],
    },
    {
      title: "8-bit header",
      overrides: { original: header8 },
      encodings: ["7bit", "7bit", "message/global base64"],
      whole: header8,
    },
    {
      title: "8-bit words of a server",
      overrides: { recipients: [{ request: recipient(), outcome: said }] },
      encodings: ["base64", "7bit", "message/rfc822 7bit"],
      whole: ORIGINAL,
    },
    {
      title: "internationalized recipient, ASCII sender with SMTPUTF8",
      overrides: { recipients: [user], envelope: { smtpUtf8: true } },
      encodings: ["base64", "base64", "message/rfc822 7bit"],
      whole: ORIGINAL,
    },
    {
      title: "internationalized sender: only SMTPUTF8 leads there, which includes 8BITMIME",
      overrides: { recipients: [user], original: header8, envelope: modern },
      encodings: ["8bit", "8bit", "message/global 8bit"],
    },
    {
      title: "internationalized sender, content that is no UTF-8",
      overrides: { original: latin, envelope: modern },
      encodings: ["7bit", "7bit", "message/global base64"],
      whole: latin,
    },
  ];
  for (const { title, overrides, encodings, whole } of rows) {
    test(title, () => {
      const { message, text, parts } = built(overrides);
      const [, ...seen] = parts.slice(0, 4).map((part) => {
        const [, type = "", encoding = ""] =
          /^Content-Type: ([^;\r]+)[^\r]*\r\nContent-Transfer-Encoding: (\w+)\r\n/.exec(part) ?? [];
        return part === parts[3] ? `${type} ${encoding}` : encoding;
      });
      assert.deepEqual(seen, encodings);
      const needs8bit = encodings.some((encoding) => encoding.endsWith("8bit"));
      assert.deepEqual([message.envelope.eightBitMime, message.envelope.smtpUtf8 || !needs8bit], [needs8bit, true]);
      // The header names the sender.
      assert.equal(/[^\0-\x7f]/.test(text), message.envelope.smtpUtf8);
      assert.equal(/^Content-Transfer-Encoding: 8bit\r\n\r\n--dsn/m.test(text), needs8bit);
      if (whole !== undefined && /base64/.test(seen[2] ?? "")) {
        assert.deepEqual(Buffer.from((parts[3] ?? "").split("\r\n\r\n")[1] ?? "", "base64"), whole);
      }
    });
  }
});

describe("fields for software (RFC 3464 §2)", () => {
  const fields = (overrides: Overrides): string => body(built(overrides).parts[2]);

  test("ENVID and ORCPT come back as they were given", () => {
    const request = recipient({ originalRecipient: "rfc822;Old+User=x@Example.ORG" });
    const text = fields({ envelope: { envelopeId: "QQ314159 +" }, recipients: [{ request, outcome: refused }] });
    assert.match(text, /^Original-Envelope-Id: QQ314159 \+\r\n/);
    assert.match(
      text,
      /\r\nOriginal-Recipient: rfc822; Old\+User=x@Example\.ORG\r\nFinal-Recipient: rfc822; user@example\.org\r\n/,
    );
  });

  test("what no server said is ours: no Remote-MTA", () => {
    const text = fields({
      kind: "delayed",
      recipients: [{ request: recipient(), outcome: mismatch }],
      retryUntil: NOW + 3_600_000,
    });
    assert.doesNotMatch(text, /Remote-MTA/);
    assert.match(text, /Action: delayed\r\nStatus: 4\.7\.5\r\nDiagnostic-Code: X-Dane-Relay; mx\.example\.org presented/);
    assert.match(text, /Will-Retry-Until: Sat, 21 Nov 2026 10:30:05 \+0000/);
  });

  test("relayed: the server that took it and what it said", () => {
    const request = recipient({ notify: ["SUCCESS"] });
    const text = fields({ kind: "relayed", recipients: [{ request, outcome: delivered, host: "mx.example.org" }] });
    assert.match(
      text,
      /Action: relayed\r\nStatus: 2\.0\.0\r\nRemote-MTA: dns; mx\.example\.org\r\nDiagnostic-Code: smtp; 250 2\.0\.0 queued/,
    );
  });

  test("nothing that a server said can make a field or a line of its own", () => {
    const reply = { code: 550, lines: [`x\r\nAction: delivered\r\n\r\nStatus: 2.0.0 ${"y".repeat(3000)}`, "z".repeat(2000)] };
    const outcome: Outcome = { ...refused, cause: { kind: "reply", text: `it said\r\n.\r\n${"w".repeat(5000)}`, reply } };
    const { text, parts } = built({ recipients: [{ request: recipient(), outcome }] });
    assert.equal(body(parts[2]).match(/^Action:/gm)?.length, 1);
    for (const line of text.split("\r\n")) assert.ok(line.length < 998 && !/^\.$/.test(line));
  });

  test("internationalized: UTF-8 for senders with SMTPUTF8, ASCII for others (RFC 6533 §3, §4)", () => {
    const request = recipient({ address: "用户@example.org", originalRecipient: "utf-8;\\x{7528}x@example.org" });
    const recipients = [{ request, outcome: refused }];
    const modern = built({ recipients, envelope: { smtpUtf8: true, sender: "jürgen@example.net" } });
    assert.match(modern.parts[2] ?? "", /^Content-Type: message\/global-delivery-status\r\n/);
    assert.match(
      body(modern.parts[2]),
      /Original-Recipient: utf-8; 用x@example\.org\r\nFinal-Recipient: utf-8; 用户@example\.org/,
    );
    assert.equal(modern.message.envelope.smtpUtf8, true);
    assert.match(modern.text, /^To: <jürgen@example\.net>\r$/m);
    const old = built({ recipients });
    assert.match(old.parts[2] ?? "", /^Content-Type: message\/delivery-status\r\nContent-Transfer-Encoding: 7bit/);
    assert.match(body(old.parts[2]), /Final-Recipient: utf-8; \\x\{7528\}\\x\{6237\}@example\.org/);
    assert.equal(old.message.envelope.smtpUtf8, false);
  });
});

test("a sender who asked for REQUIRETLS is told that this was the demand", () => {
  for (const [kind, status] of [
    ["tls-policy", "5.7.10"],
    ["tls-handshake", "5.7.10"],
    ["capability", "5.7.30"],
  ] as const) {
    const outcome: Outcome = { kind: "failed", status, cause: { kind, text: "what happened" } };
    const text = body(built({ recipients: [{ request: recipient(), outcome }] }).parts[1]).replace(/\s+/g, " ");
    assert.match(text, /what happened You asked .*REQUIRETLS/, kind);
  }
});

test("every kind of trouble says who has to do something", () => {
  const kinds = [
    "dns",
    "dnssec",
    "no-such-domain",
    "null-mx",
    "no-address",
    "loop",
    "connect",
    "tls-policy",
    "tls-handshake",
    "reply",
    "capability",
    "lifetime",
    "local",
  ] as const;
  for (const kind of kinds) {
    const outcome: Outcome = { kind: "failed", status: "5.4.4", cause: { kind, text: "what happened" } };
    const text = body(built({ recipients: [{ request: recipient(), outcome }] }).parts[1]).replace(/\s+/g, " ");
    assert.match(text, /what happened .*(operator|postmaster|Check|ask|administrator|send it|tell the recipient)/i, kind);
  }
});
