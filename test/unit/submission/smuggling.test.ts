import assert from "node:assert/strict";
import { test } from "node:test";
import type { SmtpClient } from "../../fake/smtpClient.ts";
import { startSubmission } from "../../fake/submissionServer.ts";

/**
 * SMTP smuggling: an end of mail data that some servers see and others do not. Whatever stands where CRLF.CRLF should, it is never an end here,
 * and never passed on: the whole message is refused, at its real end, with one reply.
 */
const HOST = "127.16.2.1";
const LINE_ENDS = ["\n", "\r", "\r\n", "\r\r\n", "\n\r", "\r\n\r", "\0"];

const FALSE_ENDS = LINE_ENDS.flatMap((before) => LINE_ENDS.map((after) => `${before}.${after}`)).filter(
  (end) => !end.includes("\r\n.\r\n"),
);
const SMUGGLED = "MAIL FROM:<evil@sender.example>\r\nRCPT TO:<victim@dest.example>\r\nDATA\r\nSubject: smuggled\r\n\r\nboo\r\n";

async function inSingleOctets(client: SmtpClient, text: string): Promise<void> {
  for (const octet of Buffer.from(text, "latin1")) {
    client.write(Buffer.of(octet));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("no false end ends, none is passed on", async () => {
  await using server = await startSubmission(HOST);
  for (const falseEnd of FALSE_ENDS) {
    const name = JSON.stringify(falseEnd);
    const client = await server.open();
    await client.begin();
    client.write(Buffer.from(`Subject: x\r\n\r\nbody${falseEnd}${SMUGGLED}`, "latin1"));
    client.write(".\r\nNOOP\r\n");
    assert.match(await client.reply(), /^554 5\.6\.0 line \d+ of the message /, name);
    assert.match(await client.reply(), /^250 2\.0\.0 OK/, name);
    client.destroy();
  }
  assert.deepEqual(await server.queued(), []);
});

test("the same octet by octet, split wherever it may matter", async () => {
  await using server = await startSubmission(HOST);
  for (const falseEnd of FALSE_ENDS) {
    const name = JSON.stringify(falseEnd);
    const client = await server.open();
    await client.begin();
    client.write("Subject: x\r\n\r\nbody");
    await inSingleOctets(client, `${falseEnd}R`);
    client.write("SET\r\nmore\r\n");
    await inSingleOctets(client, ".\r\n");
    assert.match(await client.reply(), /^554 5\.6\.0 /, name);
    assert.match(await client.command("NOOP"), /^250 2\.0\.0 OK/, name);
    client.destroy();
  }
  assert.deepEqual(await server.queued(), []);
});

test("the true end in single octets, and a stuffed dot that came in a segment of its own", async () => {
  await using server = await startSubmission(HOST);
  const client = await server.open();
  await client.begin();
  await inSingleOctets(client, "x: y\r\n\r\n..\r\n...\r\n.\r\n");
  assert.match(await client.reply(), /^250 /);
  const [stored] = await server.queued();
  assert.ok(String(stored?.content).endsWith("x: y\r\n\r\n.\r\n..\r\n"));
});

test("commands behind a bare CR are not commands", async () => {
  await using server = await startSubmission(HOST);
  const client = await server.open();
  assert.match(await client.command("NOOP\rMAIL FROM:<a@b.example>"), /^5/);
  assert.match(await client.command("MAIL FROM:<a@b.example>\rRCPT TO:<u@dest.example>"), /^501 /);
  assert.match(await client.command("RCPT TO:<u@dest.example>"), /^503 /);
});
