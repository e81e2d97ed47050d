import assert from "node:assert/strict";
import { test } from "node:test";
import type { Envelope } from "../../../src/spool/message.ts";
import { playOnce } from "./deliveryWorld.ts";

/** What a client declared, against what the content needs and the server has (RFC 6531 §3.2, RFC 6152 §3). */
const DNS = `example.org MX insecure 10 mx1.example.org
  mx1.example.org A insecure mx1`;
const ASCII = "Subject: x\r\n\r\nbody\r\n";
const EIGHT_BIT = "Subject: x\r\n\r\ngrüße\r\n";
const UTF8_HEADER = "Subject: grüße\r\n\r\nbody\r\n";

type Row = { flags: Partial<Envelope>; recipient?: string; content: string; has: readonly string[]; result: string };

const rows: readonly Row[] = [
  { flags: { smtpUtf8: true }, content: ASCII, has: [], result: "delivered: MAIL FROM:<sender@relay.test>" },
  {
    flags: { smtpUtf8: true },
    content: ASCII,
    has: ["SMTPUTF8", "8BITMIME"],
    result: "delivered: MAIL FROM:<sender@relay.test> SMTPUTF8",
  },
  {
    flags: { smtpUtf8: true },
    content: EIGHT_BIT,
    has: ["8BITMIME"],
    result: "delivered: MAIL FROM:<sender@relay.test> BODY=8BITMIME",
  },
  {
    flags: { smtpUtf8: true, eightBitMime: true },
    content: EIGHT_BIT,
    has: ["8BITMIME"],
    result: "delivered: MAIL FROM:<sender@relay.test> BODY=8BITMIME",
  },
  { flags: { smtpUtf8: true, eightBitMime: true }, content: EIGHT_BIT, has: [], result: "failed 5.6.3" },
  { flags: { smtpUtf8: true }, content: UTF8_HEADER, has: ["8BITMIME"], result: "failed 5.6.7" },
  { flags: { smtpUtf8: true }, recipient: "grüße", content: ASCII, has: ["8BITMIME"], result: "failed 5.6.7" },
  { flags: { smtpUtf8: true, sender: "grüße@relay.test" }, content: ASCII, has: ["8BITMIME"], result: "failed 5.6.7" },
  { flags: { eightBitMime: true }, content: ASCII, has: [], result: "delivered: MAIL FROM:<sender@relay.test>" },
  { flags: { eightBitMime: true }, content: EIGHT_BIT, has: [], result: "failed 5.6.3" },
];

for (const { flags, recipient = "user", content, has, result } of rows) {
  const declared = Object.entries(flags).map(([flag, value]) => `${flag}=${value}`);
  test(`${declared.join(" ")}, ${JSON.stringify(content)} to ${recipient}, server has ${has.join(" ") || "neither"}: ${result}`, async () => {
    const octets = Buffer.from(content);
    const { results, peers } = await playOnce({
      dns: DNS,
      receivers: { mx1: { more: { extensions: [...has] } } },
      recipients: [recipient],
      envelope: { ...flags, size: octets.length },
      content: async function* () {
        yield octets;
      },
    });
    const outcome = results[0]?.outcome;
    assert.ok(outcome !== undefined);
    if (outcome.kind !== "delivered") assert.equal(`${outcome.kind} ${outcome.status}`, result);
    else {
      const commands = peers.get("mx1")?.sessions.flatMap((session) => session.commands.map(({ line }) => line)) ?? [];
      const mail = commands.find((command) => command.startsWith("MAIL"))?.replace(/ SIZE=\d+/, "");
      assert.equal(`delivered: ${mail}`, result);
    }
  });
}
