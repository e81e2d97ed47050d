import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { makeCertificate } from "../../fake/certificates.ts";
import { SmtpClient } from "../../fake/smtpClient.ts";
import { startSubmission } from "../../fake/submissionServer.ts";
import { makeUser, openUsers, writeUsers } from "../../fake/submissionUsers.ts";

/** AUTH at a real listener (RFC 4954). */
const HOST = "127.116.1.1";
const FOLDER = mkdtempSync(join(tmpdir(), "dane-relay-auth-"));
after(() => rmSync(FOLDER, { recursive: true, force: true }));
const MADE = makeCertificate({ commonName: "relay.example", names: ["relay.example"] });
const CERTIFICATE = { cert: MADE.certificatePem, key: MADE.keyPem };
const SHOP = await makeUser("shop", "correct horse", ["orders@shop.example", "@news.example", "<>"]);
const ANY = await makeUser("any", "päss wörd");

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

function plain(user: string, password: string, authorization = ""): string {
  return `AUTH PLAIN ${base64(`${authorization}\0${user}\0${password}`)}`;
}

let files = 0;
/** Nobody is trusted by address. */
async function start(changes: object = {}) {
  files += 1;
  const file = join(FOLDER, `users${files}`);
  const users = await openUsers(file, [SHOP, ANY]);
  const { authenticator } = users;
  const server = await startSubmission(HOST, { trustedNetworks: [], certificate: CERTIFICATE, authenticator, ...changes });
  return {
    server,
    users,
    file,
    /** In TLS, EHLO said. */
    async secured(): Promise<SmtpClient> {
      const client = await server.open();
      await client.starttls();
      return client;
    },
    async [Symbol.asyncDispose]() {
      users[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

test("AUTH is announced inside TLS only, and refused outside with 538; MAIL says what comes first", async () => {
  await using relay = await start();
  const client = await SmtpClient.connect(relay.server.address);
  await client.reply();
  assert.doesNotMatch(await client.command("EHLO client.example"), /AUTH/);
  assert.match(await client.command(plain("shop", "correct horse")), /^538 5\.7\.11 /);
  assert.match(await client.command("MAIL FROM:<a@b.example>"), /^530 5\.7\.0 .*STARTTLS/);
  assert.match(await client.starttls(), /^250[- ]AUTH PLAIN LOGIN$/m);
  assert.match(await client.command("MAIL FROM:<a@b.example>"), /^530 5\.7\.0 authentication required$/);
  assert.match(await client.command("RCPT TO:<u@dest.example>"), /^503 /);
  assert.match(await client.command(plain("shop", "correct horse")), /^235 2\.7\.0 /);
  assert.doesNotMatch(await client.command("EHLO client.example"), /AUTH/);
  assert.match(await client.send("x\r\n", "orders@shop.example"), /^250 /);
  const [stored] = await relay.server.queued();
  assert.match(String(stored?.content), /\r\n\tby relay\.example with ESMTPSA id /);
  const accepted = relay.server.events.find((event) => event.kind === "accepted");
  assert.equal(accepted?.kind === "accepted" ? accepted.user : undefined, "shop");
});

test("outside TLS only with authWithoutTls: loopback, and only for clients on this machine", async () => {
  await using relay = await start({ authWithoutTls: "loopback" });
  const client = await SmtpClient.connect(relay.server.address);
  await client.reply();
  assert.match(await client.command("EHLO client.example"), /^250[- ]AUTH PLAIN LOGIN$/m);
  assert.match(await client.command(plain("any", "päss wörd")), /^235 /);
});

test("no users: AUTH is no command, and MAIL knows no AUTH parameter", async () => {
  await using server = await startSubmission(HOST, { certificate: CERTIFICATE });
  const client = await server.open();
  assert.doesNotMatch(await client.starttls(), /AUTH/);
  assert.match(await client.command("AUTH PLAIN AGEAYg=="), /^500 5\.5\.2 /);
  assert.match(await client.command("MAIL FROM:<a@b.example> AUTH=<>"), /^555 5\.5\.4 /);
});

/** Lines that a client says, and what each is answered; the last one's reply is followed by a successful AUTH. */
const DIALOGUES: readonly { name: string; lines: readonly (readonly [string, RegExp])[] }[] = [
  {
    name: "PLAIN without initial response",
    lines: [
      ["AUTH PLAIN", /^334$/],
      [base64("\0shop\0wrong"), /^535 5\.7\.8 /],
    ],
  },
  {
    name: "LOGIN",
    lines: [
      ["auth login", /^334 VXNlcm5hbWU6$/],
      [base64("shop"), /^334 UGFzc3dvcmQ6$/],
      [base64("wrong"), /^535 5\.7\.8 /],
    ],
  },
  {
    name: "LOGIN with the user at once",
    lines: [
      [`AUTH LOGIN ${base64("shop")}`, /^334 UGFzc3dvcmQ6$/],
      [base64("wrong"), /^535 /],
    ],
  },
  {
    name: "cancelled",
    lines: [
      ["AUTH PLAIN", /^334$/],
      ["*", /^501 5\.7\.0 /],
    ],
  },
  {
    name: "cancelled in the middle of LOGIN",
    lines: [
      ["AUTH LOGIN", /^334 /],
      [base64("shop"), /^334 /],
      ["*", /^501 5\.7\.0 /],
    ],
  },
  { name: "unknown mechanism", lines: [["AUTH CRAM-MD5", /^504 5\.5\.4 /]] },
  { name: "no mechanism", lines: [["AUTH", /^501 5\.5\.4 /]] },
  { name: "a third argument", lines: [["AUTH PLAIN AA== AA==", /^501 5\.5\.4 /]] },
  { name: "not base64: a character", lines: [["AUTH PLAIN AGEA!g==", /^501 5\.5\.2 /]] },
  { name: "not base64: padding within", lines: [["AUTH PLAIN AAA=BBBB", /^501 5\.5\.2 /]] },
  { name: "not base64: no padding", lines: [["AUTH PLAIN AGEAYg", /^501 5\.5\.2 /]] },
  { name: "an empty initial response is none of PLAIN", lines: [["AUTH PLAIN =", /^501 5\.5\.2 /]] },
  {
    name: "an empty line is a response",
    lines: [
      ["AUTH PLAIN", /^334$/],
      ["", /^501 5\.5\.2 /],
    ],
  },
  {
    name: "a command within the exchange is a response",
    lines: [
      ["AUTH PLAIN", /^334$/],
      ["MAIL FROM:<a@b.example>", /^501 5\.5\.2 /],
    ],
  },
  { name: "one NUL", lines: [[`AUTH PLAIN ${base64("shop\0correct horse")}`, /^501 5\.5\.2 /]] },
  { name: "three NULs", lines: [[`AUTH PLAIN ${base64("\0shop\0correct horse\0")}`, /^501 5\.5\.2 /]] },
  { name: "not UTF-8", lines: [[`AUTH PLAIN ${Buffer.from([0, 0xff, 0, 0x61]).toString("base64")}`, /^501 5\.5\.2 /]] },
  { name: "empty password", lines: [[plain("shop", ""), /^535 5\.7\.8 /]] },
  { name: "empty user", lines: [[plain("", "correct horse"), /^535 5\.7\.8 /]] },
  { name: "as somebody else", lines: [[plain("shop", "correct horse", "any"), /^535 5\.7\.8 /]] },
  { name: "unknown user", lines: [[plain("nobody", "correct horse"), /^535 5\.7\.8 /]] },
  { name: "user names differ by case", lines: [[plain("Shop", "correct horse"), /^535 5\.7\.8 /]] },
  {
    name: "a response that is too long",
    lines: [
      ["AUTH PLAIN", /^334$/],
      ["A".repeat(12_289), /^500 5\.5\.6 /],
    ],
  },
  { name: "a command that is too long", lines: [[`AUTH PLAIN ${"A".repeat(12_284)}`, /^500 5\.5\.6 /]] },
  {
    name: "the longest response",
    lines: [
      ["AUTH PLAIN", /^334$/],
      ["A".repeat(12_288), /^501 5\.5\.2 /],
    ],
  },
];

for (const { name, lines } of DIALOGUES) {
  test(`AUTH: ${name}`, async () => {
    await using relay = await start();
    const client = await relay.secured();
    for (const [line, expected] of lines) assert.match(await client.command(line), expected, line.slice(0, 60));
    assert.match(await client.command("MAIL FROM:<orders@shop.example>"), /^530 5\.7\.0 /);
    assert.match(await client.command(plain("shop", "correct horse", "shop")), /^235 2\.7\.0 /);
    assert.match(await client.command("MAIL FROM:<orders@shop.example>"), /^250 /);
  });
}

test("an empty challenge is 334 and a space (RFC 4954 §4)", async () => {
  await using relay = await start({ authWithoutTls: "loopback" });
  const socket = connect({ host: HOST, port: Number(relay.server.address.split(":")[1]) });
  let received = "";
  const ended = new Promise((resolve) => socket.on("close", resolve));
  socket.on("data", (chunk) => {
    received += chunk;
  });
  socket.write("EHLO x.example\r\nAUTH PLAIN\r\n*\r\nQUIT\r\n");
  await ended;
  assert.match(received, /\r\n334 \r\n501 5\.7\.0 [^\r]*\r\n221 /);
});

test("names and passwords are compared as SASLprep makes them", async () => {
  await using relay = await start();
  const client = await relay.secured();
  // The umlauts decomposed, a no-break space, a soft hyphen.
  assert.match(await client.command(plain("a\u00adny", "pa\u0308ss\u00a0wo\u0308rd")), /^235 /);
});

test("AUTH not twice, not before EHLO, not within a transaction; RSET keeps who is logged in, STARTTLS does not", async () => {
  await using relay = await start({ authWithoutTls: "loopback" });
  const early = await SmtpClient.connect(relay.server.address);
  await early.reply();
  assert.match(await early.command(plain("shop", "correct horse")), /^503 5\.5\.1 /);
  const client = await relay.server.open();
  assert.match(await client.command(plain("any", "päss wörd")), /^235 /);
  assert.match(await client.command(plain("any", "päss wörd")), /^503 5\.5\.1 /);
  assert.match(await client.command("RSET"), /^250 /);
  assert.match(await client.command("MAIL FROM:<a@b.example>"), /^250 /);
  await client.command("RSET");
  await client.starttls();
  assert.match(await client.command("MAIL FROM:<a@b.example>"), /^530 5\.7\.0 /);
  await using open = await start({ trustedNetworks: ["127.0.0.0/8"] });
  const trusted = await open.secured();
  assert.match(await trusted.command("MAIL FROM:<a@b.example>"), /^250 /);
  assert.match(await trusted.command(plain("shop", "correct horse")), /^503 5\.5\.1 /);
});

test("the AUTH parameter of MAIL is parsed and discarded, whether or not the client is authenticated (RFC 4954 §5)", async () => {
  await using relay = await start({ trustedNetworks: ["127.0.0.0/8"] });
  const client = await relay.server.open();
  for (const [value, expected] of [
    ["<>", /^250 /],
    ["e+3Dmc2@example.com", /^250 /],
    ["nobody", /^501 5\.5\.4 /],
    ["a@b+3d", /^501 5\.5\.4 /],
    ["", /^501 /],
  ] as const) {
    assert.match(await client.command(`MAIL FROM:<a@b.example> AUTH=${value}`), expected, value);
    await client.command("RSET");
  }
});

test("a user with senders may use these and no others, whatever the network", async () => {
  await using relay = await start({ trustedNetworks: ["127.0.0.0/8"] });
  const client = await relay.secured();
  assert.match(await client.command(plain("shop", "correct horse")), /^235 /);
  for (const [sender, expected] of [
    ["orders@shop.example", /^250 /],
    ["Orders@SHOP.example", /^250 /],
    ["anybody@news.example", /^250 /],
    ["", /^250 /],
    ["sales@shop.example", /^553 5\.7\.1 user shop may not send as <sales@shop\.example>/],
    ["orders@shop.example.org", /^553 5\.7\.1 /],
    ["a@sub.news.example", /^553 5\.7\.1 /],
  ] as const) {
    assert.match(await client.command(`MAIL FROM:<${sender}>`), expected, sender);
    await client.command("RSET");
  }
});

test("a third failure ends the connection; further ones of this address wait, with the right password too, and are told apart in the events", async () => {
  await using relay = await start();
  const client = await relay.secured();
  assert.match(await client.command(plain("shop", "one")), /^535 /);
  assert.match(await client.command(plain("a password perhaps", "two")), /^535 /);
  assert.match(await client.command(plain("shop", "three")), /^421 4\.7\.0 /);
  await client.closed();
  const again = await relay.secured();
  assert.match(await again.command(plain("shop", "four")), /^535 /);
  assert.match(await again.command(plain("shop", "five")), /^535 /);
  assert.match(await again.command(plain("shop", "correct horse")), /^421 4\.7\.0 /);
  const failures = relay.server.events.flatMap((event) => (event.kind === "authentication-failed" ? [event] : []));
  assert.deepEqual(
    failures.map(({ reason, user }) => [reason, user]),
    [
      ["auth-failed", "shop"],
      ["auth-failed", undefined],
      ...Array.from({ length: 3 }, () => ["auth-failed", "shop"]),
      ["auth-throttled", "shop"],
    ],
  );
});

test("who is deleted from the file may send no more, on an open connection too; a broken file changes nothing", async () => {
  await using relay = await start();
  const client = await relay.secured();
  assert.match(await client.command(plain("any", "päss wörd")), /^235 /);
  assert.match(await client.command("MAIL FROM:<a@b.example>"), /^250 /);
  await client.command("RSET");
  writeUsers(relay.file, [SHOP]);
  await relay.users.directory.check();
  assert.match(await client.command("MAIL FROM:<a@b.example>"), /^530 5\.7\.0 /);
  assert.deepEqual(relay.users.told, ["read 1"]);
  rmSync(relay.file);
  await relay.users.directory.check();
  await relay.users.directory.check();
  assert.match(relay.users.told.slice(1).join("|"), /^trouble [^|]*ENOENT[^|]*$/);
  assert.match(relay.users.directory.trouble ?? "", /ENOENT/);
  const other = await relay.secured();
  assert.match(await other.command(plain("shop", "correct horse")), /^235 /);
  writeUsers(relay.file, [SHOP, ANY]);
  await relay.users.directory.check();
  assert.equal(relay.users.directory.trouble, undefined);
});

test("a password that is replaced ends what was begun with the one before", async () => {
  await using relay = await start();
  const client = await relay.secured();
  assert.match(await client.command(plain("shop", "correct horse")), /^235 /);
  writeUsers(relay.file, [await makeUser("shop", "another horse"), ANY]);
  await relay.users.directory.check();
  assert.match(await client.command("MAIL FROM:<orders@shop.example>"), /^530 5\.7\.0 /);
});

test("envelope senders are rewritten, the null reverse-path never", async () => {
  const senderRewrites = [
    { from: "root@in.example", to: "ops@example.org" },
    { from: "@in.example", to: "@example.org" },
  ];
  await using server = await startSubmission(HOST, { senderRewrites });
  const client = await server.open();
  for (const sender of ["Root@IN.example", "Joe@in.example", "joe@other.example", "joe@sub.in.example", ""]) {
    await client.command(`MAIL FROM:<${sender}>`);
    await client.command("RCPT TO:<u@dest.example>");
    await client.command("DATA");
    assert.match(await client.command("x\r\n."), /^250 /);
  }
  const senders = (await server.queued()).map(({ work }) => work.envelope.sender);
  assert.deepEqual(senders, ["ops@example.org", "Joe@example.org", "joe@other.example", "joe@sub.in.example", ""]);
});

test("a sender whose rewritten address would have more than 254 octets is refused at MAIL", async () => {
  const long = `${"d".repeat(60)}.${"e".repeat(60)}.${"f".repeat(60)}.example`;
  await using server = await startSubmission(HOST, { senderRewrites: [{ from: "@in.example", to: `@${long}` }] });
  const client = await server.open();
  const fits = 254 - `@${long}`.length;
  assert.ok(fits < 64);
  assert.match(await client.command(`MAIL FROM:<${"x".repeat(fits + 1)}@in.example>`), /^553 5\.1\.7 .*too long/);
  assert.match(await client.command(`MAIL FROM:<${"x".repeat(fits)}@in.example>`), /^250 /);
});

test("rates: messages and recipients of one client, who gets them back with time; connections of one client", async () => {
  let milliseconds = 0;
  const clock = { now: () => Date.now(), monotonic: () => milliseconds };
  const limits = { messagesPerMinute: 2, recipientsPerMinute: 3, maxConnectionsPerClient: 2 };
  await using server = await startSubmission(HOST, { ...limits, clock });
  const client = await server.open();
  assert.match(await client.command("MAIL FROM:<a@b.example>"), /^250 /);
  for (const [name, expected] of [
    ["u", /^250 /],
    ["v", /^250 /],
    ["w", /^250 /],
    ["x", /^451 4\.7\.1 /],
  ] as const) {
    assert.match(await client.command(`RCPT TO:<${name}@dest.example>`), expected);
  }
  await client.command("RSET");
  assert.match(await client.command("MAIL FROM:<a@b.example>"), /^250 /);
  await client.command("RSET");
  assert.match(await client.command("MAIL FROM:<a@b.example>"), /^451 4\.7\.1 /);
  const second = await server.open();
  assert.match(await second.command("MAIL FROM:<a@b.example>"), /^451 4\.7\.1 /);
  const third = await SmtpClient.connect(server.address);
  assert.match(await third.reply(), /^421 4\.7\.0 relay\.example too many connections from you/);
  const elsewhere = await SmtpClient.open(server.address, "127.116.1.9");
  assert.match(await elsewhere.command("MAIL FROM:<a@b.example>"), /^250 /);
  milliseconds += 30_000;
  assert.match(await second.command("MAIL FROM:<a@b.example>"), /^250 /);
  await second.command("RSET");
  assert.match(await second.command("MAIL FROM:<a@b.example>"), /^451 4\.7\.1 /);
});
