import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { mock, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { systemClock, systemRandom } from "../../../src/clock.ts";
import { createListener, parseListenAddress } from "../../../src/submission/listener.ts";
import type { SubmissionEvent } from "../../../src/submission/submissionEvent.ts";
import { SmtpClient } from "../../fake/smtpClient.ts";
import { startSubmission, withoutTrace } from "../../fake/submissionServer.ts";

const HOST = "127.16.1.1";

function reasons(events: readonly SubmissionEvent[]): string[] {
  return events.flatMap((event) =>
    event.kind === "rejected" ? [`${event.rejection.reason} ${event.rejection.code} ${event.rejection.status}`] : [],
  );
}

test("EHLO announces what is implemented and nothing else", async () => {
  await using server = await startSubmission(HOST);
  const client = await SmtpClient.connect(server.address);
  assert.equal(await client.reply(), "220 relay.example ESMTP");
  const lines = (await client.command("EHLO client.example")).split("\n");
  assert.deepEqual(lines.map((line) => line.slice(4)).sort(), [
    "8BITMIME",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "PIPELINING",
    "SIZE 1000000",
    "SMTPUTF8",
    "relay.example",
  ]);
});

test("the greeting waits for no timer (smtp-server's private API)", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    await using server = await startSubmission(HOST);
    const client = await SmtpClient.connect(server.address);
    assert.equal(await client.reply(), "220 relay.example ESMTP");
  } finally {
    mock.timers.reset();
  }
});

test("what smtp-server would offer by itself is not there: its certificate, its jokes", async () => {
  await using server = await startSubmission(HOST);
  const client = await server.open();
  for (const command of ["STARTTLS", "AUTH PLAIN AGEAYg==", "XCLIENT ADDR=127.0.0.1", "WIZ x"]) {
    assert.match(await client.command(command), /^50[02] 5\.5\.[12] /, command);
  }
  const port = Number(server.address.split(":").at(-1));
  await assert.rejects(
    new Promise((resolve, reject) => {
      const socket = connectTls({ host: HOST, port, rejectUnauthorized: false }, () => resolve(socket.getPeerCertificate()));
      socket.on("error", reject);
    }),
  );
});

test("250 names the id under which the message is stored, byte for byte behind the trace headers", async () => {
  await using server = await startSubmission(HOST);
  const client = await server.open();
  const content = "Subject: x\r\nDate: d\r\nMessage-ID: <m>\r\n\r\n.dots\r\n..\r\n\r\nlast\r\n";
  const reply = await client.send(content.replace(/^\./gm, ".."));
  const id = /^250 2\.0\.0 queued as ([0-9A-Z]+)$/.exec(reply)?.[1];
  assert.ok(id !== undefined, reply);
  const [stored] = await server.queued();
  assert.equal(stored?.work.envelope.id, id);
  assert.equal(stored?.work.envelope.size, stored?.content.length);
  assert.equal(withoutTrace(stored?.content ?? Buffer.alloc(0)), content);
  assert.match(
    String(stored?.content),
    /^Received: from client\.example \(\[127\.0\.0\.1\]\)\r\n\tby relay\.example with ESMTP id [0-9A-Z]+\r\n\tfor <u@dest\.example>;\r\n\t/,
  );
  const accepted = server.events.find((event) => event.kind === "accepted");
  assert.deepEqual(accepted?.kind === "accepted" && { ...accepted, envelope: accepted.envelope }, {
    kind: "accepted",
    envelope: stored?.work.envelope,
    recipients: ["u@dest.example"],
    client: "127.0.0.1",
    helo: "client.example",
  });
});

test("the whole session may come in one segment", async () => {
  await using server = await startSubmission(HOST);
  const client = await SmtpClient.connect(server.address);
  assert.match(await client.reply(), /^220/);
  const transaction = "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@dest.example>\r\nDATA\r\n";
  client.write(`EHLO x.example\r\n${transaction}one\r\n.\r\n${transaction}two\r\n.\r\nQUIT\r\n`);
  const codes: string[] = [];
  for (let i = 0; i < 10; i += 1) codes.push((await client.reply()).slice(0, 3));
  assert.deepEqual(codes, ["250", "250", "250", "354", "250", "250", "250", "354", "250", "221"]);
  assert.deepEqual(
    (await server.queued()).map(({ content }) => String(content).split("\r\n").at(-2)),
    ["one", "two"],
  );
});

test("replies to commands that came together leave together (RFC 2920 §3.2)", async () => {
  await using server = await startSubmission(HOST);
  const socket = connect({ host: HOST, port: Number(server.address.split(":").at(-1)) });
  const chunk = async (send: string): Promise<string> => {
    socket.write(send);
    const [received] = (await once(socket, "data")) as [Buffer];
    return String(received);
  };
  await once(socket, "data");
  assert.match(await chunk("HELO x.example\r\n"), /^250 .*\r\n$/);
  const group = "MAIL FROM:<a@b.example>\r\nRCPT TO:<u@dest.example>\r\nDATA\r\n";
  assert.match(await chunk(group), /^250 2.1.0 .*\r\n250 2.1.5 .*\r\n354 .*\r\n$/);
  // Behind the end of the message there is more: its reply waits for the others.
  assert.match(await chunk(`x: y\r\n\r\n.\r\n${group}`), /^250 2.0.0 .*\r\n250 2.1.0 .*\r\n250 2.1.5 .*\r\n354 .*\r\n$/);
  assert.match(await chunk("x: y\r\n\r\n.\r\n"), /^250 2.0.0 .*\r\n$/);
  socket.destroy();
});

test("HELO gives SMTP, and no extensions are needed", async () => {
  await using server = await startSubmission(HOST);
  const client = await SmtpClient.connect(server.address);
  await client.reply();
  assert.equal(await client.command("HELO old.example"), "250 relay.example");
  assert.match(await client.send("x: y\r\n\r\n"), /^250 /);
  const [stored] = await server.queued();
  assert.match(String(stored?.content), /^Received: from old\.example .*\r\n\tby relay\.example with SMTP id /);
});

test("who is not in trustedNetworks may not relay, whatever the address", async () => {
  await using server = await startSubmission(HOST, { trustedNetworks: ["127.0.0.1/32"] });
  const stranger = await SmtpClient.open(server.address, "127.16.1.9");
  assert.match(await stranger.command("MAIL FROM:<a@relay.example>"), /^250/);
  for (const recipient of ["u@dest.example", "u@relay.example", "postmaster", "u@[127.0.0.1]"]) {
    assert.equal(
      await stranger.command(`RCPT TO:<${recipient}>`),
      "550 5.7.1 relaying denied: 127.16.1.9 is not in submission.trustedNetworks",
    );
  }
  assert.match(await stranger.command("DATA"), /^554 5\.5\.1 /);
  const friend = await SmtpClient.open(server.address, "127.0.0.1");
  assert.match(await friend.send("x\r\n"), /^250 /);
  assert.equal((await server.queued()).length, 1);
});

test("a dual-stack socket knows its IPv4 friends", async () => {
  await using server = await startSubmission(HOST, { listen: ["[::]:0"], trustedNetworks: ["127.16.1.2/32"] });
  const port = server.address.split(":").at(-1);
  const friend = await SmtpClient.open(`${HOST}:${port}`, "127.16.1.2");
  assert.match(await friend.send("x\r\n"), /^250 /);
  const stranger = await SmtpClient.open(`[::1]:${port}`);
  await stranger.command("MAIL FROM:<>");
  assert.match(await stranger.command("RCPT TO:<u@dest.example>"), /^550 5\.7\.1 /);
});

test("sizes: by SIZE at MAIL, by what came, exactly at the limit", async () => {
  await using server = await startSubmission(HOST, { maxMessageBytes: 1000 });
  const client = await server.open();
  assert.match(await client.command("MAIL FROM:<a@b.example> SIZE=1001"), /^552 5\.3\.4 /);
  assert.match(await client.command("MAIL FROM:<a@b.example> SIZE=99999999999999999999"), /^552 5\.3\.4 /);
  assert.match(await client.command("MAIL FROM:<a@b.example> SIZE=x"), /^501 5\.5\.4 /);
  assert.match(await client.command("MAIL FROM:<a@b.example> SIZE=1000"), /^250 /);
  assert.match(await client.command("RSET"), /^250 /);
  assert.match(await client.send(`${"x".repeat(999)}\r\n`), /^552 5\.3\.4 /);
  assert.match(await client.send(`${"x".repeat(998)}\r\n`), /^250 /);
  // Dots that are taken out do not count.
  assert.match(await client.send(`${"..\r\n".repeat(333)}`), /^250 /);
  assert.equal((await server.queued()).length, 2);
  assert.equal(reasons(server.events).filter((reason) => reason === "too-big 552 5.3.4").length, 3);
});

test("a client that goes on and on behind the limit is cut off with the same reply", async () => {
  await using server = await startSubmission(HOST, { maxMessageBytes: 1000 });
  const client = await server.open();
  await client.begin();
  client.write(`${"x".repeat(78)}\r\n`.repeat(100));
  assert.match(await client.reply(), /^552 5\.3\.4 /);
  await client.closed();
});

test("too many recipients: 452, and those before stay", async () => {
  await using server = await startSubmission(HOST, { maxRecipients: 2 });
  const client = await server.open();
  await client.command("MAIL FROM:<a@b.example>");
  for (const [recipient, code] of [
    ["u@dest.example", "250 2.1.5"],
    ["v@dest.example", "250 2.1.5"],
    ["w@dest.example", "452 4.5.3"],
    ["u@DEST.example", "250 2.1.5"],
    ["U@dest.example", "452 4.5.3"],
  ] as const) {
    assert.ok((await client.command(`RCPT TO:<${recipient}>`)).startsWith(code), recipient);
  }
  assert.equal(await client.command("DATA"), "354 end data with <CR><LF>.<CR><LF>");
  assert.match(await client.command("x\r\n."), /^250 /);
  const [stored] = await server.queued();
  assert.deepEqual(
    stored?.work.recipients.map(({ address }) => address),
    ["u@DEST.example", "v@dest.example"],
  );
});

test("too many connections: 421, and room again when one leaves", async () => {
  await using server = await startSubmission(HOST, { maxConnections: 2 });
  const first = await server.open();
  await server.open();
  const third = await SmtpClient.connect(server.address);
  assert.equal(await third.reply(), "421 4.7.0 relay.example too many connections, try again later");
  await third.closed();
  assert.match(await first.command("QUIT"), /^221/);
  while (server.listener.connections() > 1) await new Promise((resolve) => setImmediate(resolve));
  const fourth = await SmtpClient.connect(server.address);
  assert.match(await fourth.reply(), /^220 /);
  assert.deepEqual(reasons(server.events), ["too-many-connections 421 4.7.0"]);
});

test("hops: 50 Received fields pass, 51 are a loop", async () => {
  await using server = await startSubmission(HOST);
  const client = await server.open();
  const hops = (count: number): string => `${"Received: from a\r\n\tby b\r\n".repeat(count)}Subject: x\r\n\r\n`;
  assert.match(await client.send(hops(50)), /^250 /);
  assert.match(await client.send(hops(51)), /^554 5\.4\.6 /);
  assert.match(await client.send(`Subject: x\r\n\r\n${hops(60)}`), /^250 /);
  assert.equal((await server.queued()).length, 2);
});

test("header sections without end are refused", async () => {
  await using server = await startSubmission(HOST);
  const client = await server.open();
  assert.match(await client.send("X-Filler: abcdefghijklmnop\r\n".repeat(12_000)), /^552 5\.3\.4 the header section/);
  assert.match(await client.send("Subject: still there\r\n\r\n"), /^250 /);
});

test("Date and Message-ID are added only when missing", async () => {
  await using server = await startSubmission(HOST);
  const client = await server.open();
  for (const content of [
    "Subject: x\r\n\r\nDate: no\r\n",
    "date: y\r\n\r\n",
    "Date: y\r\nMessage-Id: <z>\r\n\r\n",
    "no header\r\n",
  ]) {
    assert.match(await client.send(content), /^250 /);
  }
  const added = (await server.queued()).map(({ content }) => {
    const head = String(content).slice(0, String(content).indexOf("\r\n\r\n"));
    return [/^Date: .*\+0000$/m.test(head), /^Message-ID: <[0-9A-Z]+@relay\.example>$/m.test(head)];
  });
  assert.deepEqual(added, [
    [true, true],
    [false, true],
    [false, false],
    [true, true],
  ]);
});

test("what the content is decides 8BITMIME and SMTPUTF8; TLS-Required is recorded", async () => {
  await using server = await startSubmission(HOST);
  const client = await server.open();
  const send = async (parameters: string, sender: string, content: string): Promise<void> => {
    assert.match(await client.command(`MAIL FROM:<${sender}>${parameters}`), /^250 /);
    assert.match(await client.command("RCPT TO:<u@dest.example>"), /^250 /);
    assert.match(await client.command("DATA"), /^354 /);
    assert.match(await client.command(`${content}\r\n.`), /^250 /);
  };
  await send(" BODY=8BITMIME", "a@b.example", "ascii");
  await send("", "a@b.example", "Subject: x\r\n\r\ncafé");
  await send(" SMTPUTF8", "a@b.example", "ascii");
  await send(" SMTPUTF8", "jürgen@b.example", "ascii");
  await send(" SMTPUTF8 BODY=8BITMIME", "a@b.example", "Subject: café\r\n\r\n");
  await send("", "a@b.example", "TLS-Required: No\r\n\r\n");
  const flags = (await server.queued()).map(({ work: { envelope } }) => [
    envelope.eightBitMime,
    envelope.smtpUtf8,
    envelope.tlsRequiredNo,
  ]);
  assert.deepEqual(flags, [
    [false, false, false],
    [true, false, false],
    [false, false, false],
    [false, true, false],
    [true, true, false],
    [false, false, true],
  ]);
});

test("addresses by the book", async () => {
  await using server = await startSubmission(HOST);
  const client = await server.open();
  for (const [command, reply] of [
    ["RCPT TO:<u@dest.example>", /^503 5\.5\.1 /],
    ["MAIL FROM:<a@b@c.example>", /^501 5\.1\.7 /],
    ["MAIL FROM:<a..b@c.example>", /^501 5\.1\.7 /],
    ["MAIL FROM:a@c.example", /^501 5\.5\.2 /],
    ["MAIL FROM:<jürgen@b.example>", /^553 5\.6\.7 /],
    ["MAIL FROM:<a@b.example> SMTPUTF8=yes", /^501 5\.5\.4 /],
    ["MAIL FROM:<a@b.example> BODY=BINARYMIME", /^501 5\.5\.4 /],
    ["MAIL FROM:<a@b.example> REQUIRETLS", /^555 5\.5\.4 /],
    ["MAIL FROM:<a@b.example> AUTH=<>", /^555 5\.5\.4 /],
    ["MAIL FROM:<a@b.example> RET=SOME", /^501 5\.5\.4 /],
    ["MAIL FROM:<>", /^250 2\.1\.0 /],
    ["MAIL FROM:<>", /^503 5\.5\.1 /],
    ["DATA", /^554 5\.5\.1 /],
    ["RCPT TO:<>", /^501 5\.1\.3 /],
    ["RCPT TO:<u>", /^501 5\.1\.3 /],
    ["RCPT TO:<u@>", /^501 5\.1\.3 /],
    ["RCPT TO:<u@-x.example>", /^501 5\.1\.3 /],
    ["RCPT TO:<u@[192.0.2.256]>", /^501 5\.1\.3 /],
    ["RCPT TO:<u@münchen.example>", /^553 5\.6\.7 /],
    ["RCPT TO:<u@dest.example> NOTIFY=NEVER,DELAY", /^501 5\.5\.4 /],
    ["RCPT TO:<u@dest.example> SIZE=1", /^555 5\.5\.4 /],
    ['RCPT TO:<"a \\" b"@dest.example>', /^250 2\.1\.5 /],
    ["RCPT TO:<u@[192.0.2.1]>", /^250 2\.1\.5 /],
    ["RCPT TO:<u@[IPv6:2001:DB8::1]>", /^250 2\.1\.5 /],
    ["RCPT TO:<@hop.example:u@Dest.Example>", /^250 2\.1\.5 /],
    ["RCPT TO:<Postmaster>", /^250 2\.1\.5 /],
  ] as const) {
    assert.match(await client.command(command), reply, command);
  }
  await client.command("DATA");
  await client.command("x\r\n.");
  const seen = (await server.queued()).flatMap(({ work }) =>
    work.recipients.map(({ address, destination }) => [address, destination]),
  );
  assert.deepEqual(
    new Map(seen as [string, string][]),
    new Map([
      ['"a \\" b"@dest.example', "dest.example"],
      ["u@[192.0.2.1]", "[192.0.2.1]"],
      ["u@[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"],
      ["u@Dest.Example", "dest.example"],
      ["Postmaster@relay.example", "relay.example"],
    ]),
  );
});

test("internationalized addresses, and DSN parameters per recipient", async () => {
  await using server = await startSubmission(HOST);
  const client = await server.open();
  assert.match(await client.command("MAIL FROM:<jürgen@münchen.example> SMTPUTF8 RET=HDRS ENVID=a+2Bb"), /^250/);
  assert.match(await client.command("RCPT TO:<用户@münchen.example> NOTIFY=SUCCESS,DELAY ORCPT=utf-8;\\x{7528}@x"), /^250/);
  assert.match(await client.command("RCPT TO:<u@dest.example> NOTIFY=NEVER ORCPT=rfc822;o+2Bp@q.example"), /^250/);
  assert.match(await client.command("RCPT TO:<v@dest.example>"), /^250/);
  await client.command("DATA");
  await client.command("x\r\n.");
  const works = (await server.queued()).map(({ work }) => work);
  assert.equal(works[0]?.envelope.sender, "jürgen@xn--mnchen-3ya.example");
  assert.equal(works[0]?.envelope.envelopeId, "a+b");
  assert.equal(works[0]?.envelope.returnContent, "HDRS");
  const recipients = works.flatMap((work) => work.recipients).sort((a, b) => a.index - b.index);
  assert.deepEqual(
    recipients.map(({ address, destination, notify, originalRecipient }) => ({
      address,
      destination,
      notify,
      originalRecipient,
    })),
    [
      {
        address: "用户@xn--mnchen-3ya.example",
        destination: "xn--mnchen-3ya.example",
        notify: ["SUCCESS", "DELAY"],
        originalRecipient: "utf-8;用@x",
      },
      { address: "u@dest.example", destination: "dest.example", notify: ["NEVER"], originalRecipient: "rfc822;o+p@q.example" },
      { address: "v@dest.example", destination: "dest.example", notify: undefined, originalRecipient: undefined },
    ],
  );
});

test("a client that leaves in the middle leaves nothing behind", async () => {
  await using server = await startSubmission(HOST);
  const client = await server.open();
  await client.begin();
  const bodies = (): number => readdirSync(join(server.directory, "bodies")).length;
  client.write(`Subject: x\r\n\r\n${"half a message\r\n".repeat(10_000)}`);
  while (bodies() === 0) await new Promise((resolve) => setImmediate(resolve));
  client.destroy();
  while (server.listener.connections() > 0 || bodies() > 0) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(await server.queued(), []);
  const next = await server.open();
  assert.match(await next.send("whole\r\n"), /^250 /);
  assert.equal((await server.queued()).length, 1);
});

test("stop: nothing new, open transactions finish, then 421", async () => {
  await using server = await startSubmission(HOST);
  const idle = await server.open();
  const busy = await server.open();
  await busy.begin();
  busy.write("first line\r\n");
  const stopped = server.listener.stop(60_000);
  assert.match(await idle.reply(), /^421 4\.3\.2 relay\.example /);
  await assert.rejects(SmtpClient.connect(server.address));
  assert.match(await busy.command("."), /^250 2\.0\.0 queued as /);
  assert.match(await busy.reply(), /^421 4\.3\.2 /);
  await stopped;
  assert.equal((await server.queued()).length, 1);
});

test("stop: at the deadline open transactions are cut, and nothing of them is queued", async () => {
  await using server = await startSubmission(HOST);
  const client = await server.open();
  await client.begin();
  client.write("half\r\n");
  await server.listener.stop(0);
  assert.match(await client.reply(), /^421 4\.3\.2 /);
  assert.deepEqual(await server.queued(), []);
});

test("connections are reported with how many are open", async () => {
  await using server = await startSubmission(HOST);
  const client = await server.open();
  await client.command("QUIT");
  while (server.listener.connections() > 0) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(server.events, [
    { kind: "connection", change: "opened", open: 1 },
    { kind: "connection", change: "closed", open: 0 },
  ]);
});

test("an address that is taken is named, and none is kept", async () => {
  await using server = await startSubmission(HOST);
  const second = createListener({
    listen: [`${HOST}:0`, server.address],
    hostname: "other.example",
    trustedNetworks: [],
    maxMessageBytes: 1000,
    maxRecipients: 1,
    maxConnections: 1,
    store: server.store,
    clock: systemClock,
    random: systemRandom,
    onEvent: () => undefined,
  });
  await assert.rejects(
    second.start(),
    new RegExp(`cannot accept mail on ${server.address.replaceAll(".", "\\.")}: .*EADDRINUSE`),
  );
  assert.deepEqual(second.addresses(), []);
});

test("listen addresses", () => {
  assert.deepEqual(parseListenAddress("127.0.0.1:25"), { host: "127.0.0.1", port: 25 });
  assert.deepEqual(parseListenAddress("[::1]:2525"), { host: "::1", port: 2525 });
  for (const text of ["127.0.0.1", "::1:25", "127.0.0.1:", "127.0.0.1:65536", ":25", "[::1]"]) {
    assert.throws(() => parseListenAddress(text), /address:port/, text);
  }
});
