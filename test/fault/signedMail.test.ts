import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { systemClock, systemRandom } from "../../src/clock.ts";
import { type LoadResult, loadConfig } from "../../src/config/load.ts";
import { createLog } from "../../src/log.ts";
import { startRelay } from "../../src/relay.ts";
import { checkDkim } from "../fake/dkimVerifier.ts";
import { SmtpClient } from "../fake/smtpClient.ts";
import { type Peer, startPeer } from "../fake/smtpPeer.ts";

/** `dkim.sign` in a whole relay: submitted by SMTP, delivered by DATA and by BDAT, tried again, with keys that are renewed and that break. */
const NETWORK = "127.127.1";
/** Below what the kernel gives to clients, and another one in each run. */
const PORT = 20_000 + 2 * (process.pid % 6000);
const SUBMISSION = `${NETWORK}.1:${PORT}`;
const ADMIN = `${NETWORK}.1:${PORT + 1}`;
const FOLDER = mkdtempSync(join(tmpdir(), "dane-relay-dkim-"));
after(() => rmSync(FOLDER, { recursive: true, force: true }));

const RSA_FILE = join(FOLDER, "rsa.pem");
const ED25519_FILE = join(FOLDER, "ed25519.pem");

function writeKey(file: string, key: KeyObject): KeyObject {
  writeFileSync(file, key.export({ type: "pkcs8", format: "pem" }));
  return createPublicKey(key);
}

const publicKeys = {
  rsa: writeKey(RSA_FILE, generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey),
  ed: writeKey(ED25519_FILE, generateKeyPairSync("ed25519").privateKey),
};

function load(peers: readonly Peer[]): Extract<LoadResult, { kind: "config" }> {
  const routes = peers.map(({ address, port }, i) => ({ domain: `d${i}.example`, nextHop: `[${address}]:${port}` }));
  const sign = [
    { domain: "example.org", selector: "rsa", keyFile: RSA_FILE },
    { domain: "example.org", selector: "ed", keyFile: ED25519_FILE },
    { domain: "relay.example", selector: "ed", keyFile: ED25519_FILE },
  ];
  const yaml = {
    hostname: "relay.example",
    submission: { listen: [SUBMISSION], trustedNetworks: ["127.0.0.0/8"] },
    spool: `file:${join(FOLDER, "spool")}`,
    resolver: { mode: "forward", upstreams: [`${NETWORK}.254`] },
    delivery: { routes, retry: { initialSeconds: 1, maximumSeconds: 1 } },
    mtaSts: { enabled: false },
    dkim: { sign },
    admin: { listen: ADMIN },
    log: { level: "error" },
  };
  const loaded = loadConfig({
    file: "relay.yaml",
    environment: {},
    hostname: "relay.example",
    readFile: (path) => ({ kind: "text", text: path === "relay.yaml" ? JSON.stringify(yaml) : "" }),
  });
  assert.ok(loaded.kind === "config", JSON.stringify(loaded));
  return loaded;
}

async function submit(content: string, recipients: readonly string[]): Promise<void> {
  const client = await SmtpClient.open(SUBMISSION);
  await client.command("MAIL FROM:<a@example.org> BODY=8BITMIME");
  for (const recipient of recipients) await client.command(`RCPT TO:<${recipient}>`);
  await client.command("DATA");
  client.write(Buffer.from(content.replace(/^\./gm, ".."), "latin1"));
  const reply = await client.command(".");
  assert.match(reply, /^250/);
  client.destroy();
}

/** What stands in front of the relay's own Received field, and what is behind it. */
function parts(content: Buffer): { signatures: string; submitted: string; words: string[] } {
  const text = content.toString("latin1");
  const signatures = /^(?:DKIM-Signature:[^\r]*(?:\r\n[ \t][^\r]*)*\r\n)*/.exec(text)?.[0] ?? "";
  const received = /^Received:[^\r]*(?:\r\n[ \t][^\r]*)*\r\n/.exec(text.slice(signatures.length))?.[0] ?? "";
  const keyOf = (_: string, selector: string): KeyObject | undefined => (selector === "rsa" ? publicKeys.rsa : publicKeys.ed);
  const words = checkDkim(content, keyOf).map(
    ({ tags, bodyHash, signature }) => `${tags.get("d")} ${tags.get("s")} ${bodyHash} ${signature}`,
  );
  return { signatures, submitted: text.slice(signatures.length + received.length), words };
}

const HOLDS = ["example.org rsa holds holds", "example.org ed holds holds"];
const HEADER =
  "From: =?utf-8?q?=C3=A0?= <a@example.org>\r\nTo: b@d0.example,\r\n\tb@d1.example\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n";

// A message that can never be sent would be tried again without end.
const TIMEOUT = { timeout: 120_000 };

test("mail is signed as it goes out: by DATA and BDAT, to several destinations, at each attempt the same", TIMEOUT, async (t) => {
  const extensions = ["PIPELINING", "8BITMIME", "SIZE 52428800"];
  let refusals = 2;
  const flaky = await startPeer({
    address: `${NETWORK}.2`,
    extensions,
    replies: { CONTENT: () => (refusals-- > 0 ? "451 4.3.0 later" : "250 2.0.0 ok") },
  });
  const chunking = await startPeer({ address: `${NETWORK}.3`, extensions: [...extensions, "CHUNKING"] });
  const refusing = await startPeer({ address: `${NETWORK}.4`, extensions, replies: { RCPT: "550 5.1.1 no such user" } });
  t.after(() => Promise.all([flaky.close(), chunking.close(), refusing.close()]));
  const { config } = load([flaky, chunking, refusing]);
  const log = createLog({ ...config.log, now: systemClock.now });
  const relay = await startRelay({ config, clock: systemClock, random: systemRandom, log });
  t.after(() => relay.stop());

  const body = `.dot\r\n8 bit: \xc3\xa0\xff  \t\r\n${"line of a large body \t\r\n".repeat(20_000)}\r\n\r\n`;
  const message = `${HEADER}Subject: voil\xc3\xa0\r\n\r\n${body}`;
  await submit(message, ["b@d0.example", "c@d0.example", "b@d1.example"]);
  await chunking.received(1);
  // The two recipients may be due again at different times.
  for (let count = 1; flaky.messages.flatMap(({ recipients }) => recipients).length < 2; count += 1) await flaky.received(count);
  const [byData] = flaky.messages;
  const [byBdat] = chunking.messages;
  assert.ok(byData !== undefined && byBdat !== undefined);
  assert.deepEqual([byData.via, byBdat.via], ["DATA", "BDAT"]);
  for (const { content, mail } of [byData, byBdat]) {
    const { submitted, words } = parts(content);
    assert.deepEqual(words, HOLDS);
    assert.ok(submitted === message, "as it was submitted");
    assert.equal(/SIZE=(\d+)/.exec(mail)?.[1], String(content.length));
  }
  const attempts = flaky.sessions.flatMap(({ contents }) => contents);
  assert.ok(attempts.length >= 3, `${attempts.length} attempts`);
  for (const content of [...attempts, byBdat.content]) assert.ok(content.equals(byData.content), "every time the same");

  // Whoever else writes, or nobody in particular, goes out as it came.
  await submit("From: a@example.com\r\nDate: x\r\nMessage-ID: <2@x>\r\n\r\nx\r\n", ["b@d1.example"]);
  await submit(`${HEADER}From: a@example.org\r\n\r\nx\r\n`, ["b@d1.example"]);
  await chunking.received(3);
  for (const { content } of chunking.messages.slice(1)) assert.equal(parts(content).signatures, "");

  // A notification of our own: to the sender, whose domain has no mail here; it is signed for the relay's own domain at the route's peer.
  const client = await SmtpClient.open(SUBMISSION);
  await client.command("MAIL FROM:<sender@d1.example>");
  await client.command("RCPT TO:<nobody@d2.example>");
  await client.command("DATA");
  client.write(Buffer.from(`${HEADER}\r\nx\r\n`, "latin1"));
  await client.command(".");
  client.destroy();
  await chunking.received(4);
  const notification = chunking.messages.at(-1);
  assert.ok(notification !== undefined);
  assert.match(notification.mail, /FROM:<>/);
  assert.deepEqual(parts(notification.content).words[0], "relay.example ed holds holds");

  // The keys are renewed at a reload, and stay when a file breaks.
  publicKeys.rsa = writeKey(RSA_FILE, generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey);
  assert.deepEqual(await relay.reload(config), { kind: "reloaded" });
  writeFileSync(ED25519_FILE, "not a key");
  const refused = await relay.reload(config);
  assert.ok(refused.kind === "refused");
  assert.equal(refused.key, "dkim.sign");
  assert.match(refused.reason, /entry 1: .*ed25519\.pem: it holds no private key/);
  const metrics = await (await fetch(`http://${ADMIN}/metrics`)).text();
  assert.match(metrics, /^dane_relay_file_unreadable\{file="dkim"\} 1$/m);
  assert.match(
    await (await fetch(`http://${ADMIN}/readyz`)).text(),
    /file of dkim.*the one from before still signs.*ed25519\.pem/,
  );
  await submit(message, ["b@d1.example"]);
  await chunking.received(5);
  const last = chunking.messages.at(-1);
  assert.ok(last !== undefined);
  assert.deepEqual(parts(last.content).words, HOLDS);
});

test("a relay whose key cannot be used does not start", async () => {
  writeFileSync(ED25519_FILE, "not a key");
  const { config } = load([]);
  const log = createLog({ ...config.log, now: systemClock.now });
  await assert.rejects(
    startRelay({ config, clock: systemClock, random: systemRandom, log }),
    /^Error: dkim\.sign: entry 1: .*ed25519\.pem: it holds no private key in PEM/,
  );
});
