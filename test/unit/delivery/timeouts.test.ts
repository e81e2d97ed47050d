import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import {
  type ConnectionRequest,
  type ConnectionResult,
  openConnection,
  type SmtpSession,
} from "../../../src/delivery/connection.ts";
import { heldTimers } from "../../fake/heldTimers.ts";
import { type Peer, type PeerScript, startPeer } from "../../fake/smtpPeer.ts";

/** RFC 5321 §4.5.3.2, one by one: a server that falls silent at each point of the dialogue, and how long it is waited for. */
const ADDRESS = "127.123.1.1";

type Row = {
  at: string;
  script: Omit<PeerScript, "address">;
  seconds: number;
  /** The peer has heard this when the wait begins. */
  heard: (peer: Peer) => boolean;
  expect: RegExp;
};

const HANG = { afterwards: "hang" } as const;
const hasHeard = (verb: string) => (peer: Peer) => (peer.sessions[0]?.commands ?? []).some(({ line }) => line.startsWith(verb));
const isConnected = (peer: Peer): boolean => peer.sessions.length > 0;
/** Does not fit into the buffers of a connection whose other side reads nothing. */
const PIECES = 64;
const PIECE = Buffer.alloc(1 << 20, "x");

const OPENING: readonly Row[] = [
  { at: "the greeting", script: { greeting: HANG }, seconds: 300, heard: isConnected, expect: /"greeting".*no greeting within/ },
  { at: "EHLO", script: { replies: { EHLO: HANG } }, seconds: 300, heard: hasHeard("EHLO"), expect: /"ehlo".*no reply within/ },
  {
    at: "HELO",
    script: { replies: { EHLO: "502 no", HELO: HANG } },
    seconds: 300,
    heard: hasHeard("HELO"),
    expect: /"ehlo".*no reply within/,
  },
  {
    at: "the handshake",
    script: { starttls: { broken: "hang" } },
    seconds: 60,
    heard: hasHeard("STARTTLS"),
    expect: /"handshake".*not done within/,
  },
];

const lost = (phase: string, ambiguous: "yes" | "no", text: string): RegExp =>
  new RegExp(`"lost","phase":"${phase}","ambiguous":"${ambiguous}","text":"${text} within`);
const TRANSACTION: readonly Row[] = [
  {
    at: "MAIL",
    script: { replies: { MAIL: HANG } },
    seconds: 300,
    heard: hasHeard("MAIL"),
    expect: lost("MAIL", "no", "no reply to MAIL"),
  },
  {
    at: "RCPT",
    script: { replies: { RCPT: HANG } },
    seconds: 300,
    heard: hasHeard("RCPT"),
    expect: lost("RCPT", "no", "no reply to RCPT"),
  },
  {
    at: "DATA",
    script: { replies: { DATA: HANG } },
    seconds: 120,
    heard: hasHeard("DATA"),
    expect: lost("DATA", "no", "no reply to DATA"),
  },
  {
    at: "a block of the content",
    script: { contentLimit: { octets: 100_000, afterwards: "freeze" } },
    seconds: 180,
    heard: hasHeard("DATA"),
    expect: lost("CONTENT", "no", "the server took no more of the content"),
  },
  {
    at: "the end of the content",
    script: { replies: { CONTENT: HANG } },
    seconds: 600,
    heard: hasHeard("DATA"),
    expect: lost("CONTENT", "yes", "no reply to the end of the message"),
  },
];

async function peerFor(t: TestContext, script: Row["script"]): Promise<Peer> {
  // Without PIPELINING, so that each command is waited for on its own.
  const peer = await startPeer({ address: ADDRESS, extensions: ["8BITMIME"], ...script });
  t.after(() => peer.close());
  return peer;
}

function open({ port }: Peer, timeouts: ConnectionRequest["timeouts"], need: "none" | "encrypt"): Promise<ConnectionResult> {
  const tls = { need } as const;
  return openConnection({ address: ADDRESS, port, hostname: "relay.example", tls, implicitTls: false, timeouts });
}

/** `taken`: pieces that the network took, or may take. */
async function transact(session: SmtpSession, pieces: number): Promise<{ results: string; taken: number }> {
  let taken = 0;
  const content = async function* (): AsyncIterable<Buffer> {
    for (; taken < pieces; taken += 1) {
      await Promise.resolve();
      yield PIECE;
    }
  };
  const envelope = {
    sender: "s@example.net",
    smtpUtf8: false,
    eightBitMime: false,
    requireTls: false,
    size: pieces * PIECE.length,
  };
  const results = await session.transact({ envelope, recipients: [{ address: "u@example.org" }], content });
  return { results: JSON.stringify(results), taken };
}

/** With a ceiling all waits are alike: only where the server has heard what is waited for. */
const CEILINGS = [
  { whose: "the RFC's", rows: { opening: OPENING, transaction: TRANSACTION }, timeouts: { connectSeconds: 30 } },
  {
    whose: "the operator's ceiling",
    rows: {
      opening: OPENING.filter(({ at }) => at === "EHLO").map((row) => ({ ...row, seconds: 45 })),
      transaction: TRANSACTION.filter(({ at }) => at === "MAIL" || at === "RCPT").map((row) => ({ ...row, seconds: 45 })),
    },
    timeouts: { connectSeconds: 30, commandSeconds: 45 },
  },
];

for (const { whose, rows, timeouts } of CEILINGS) {
  for (const { at, script, seconds, heard, expect } of rows.opening) {
    test(`silence at ${at}: ${seconds} s, ${whose}`, async (t) => {
      const peer = await peerFor(t, script);
      const timers = heldTimers(t);
      const opening = open(peer, timeouts, script.starttls === undefined ? "none" : "encrypt");
      await timers.pass(seconds * 1000, () => heard(peer));
      const result = await opening;
      assert.ok(result.kind === "failed");
      const { stage, text } = result.failure;
      assert.match(`"${stage}" ${text}`, new RegExp(`${expect.source} ${seconds} s`));
      assert.ok(!hasHeard("MAIL")(peer));
    });
  }
  for (const { at, script, seconds, heard, expect } of rows.transaction) {
    test(`silence at ${at}: ${seconds} s, ${whose}`, async (t) => {
      const peer = await peerFor(t, script);
      const opened = await open(peer, timeouts, "none");
      assert.ok(opened.kind === "ready");
      t.after(() => opened.session.destroy());
      const timers = heldTimers(t);
      const done = transact(opened.session, script.contentLimit === undefined ? 1 : PIECES);
      await timers.pass(seconds * 1000, () => heard(peer));
      const { results, taken } = await done;
      assert.match(results, new RegExp(`${expect.source} ${seconds} s`));
      assert.equal(opened.session.state, "closed");
      // Back-pressure: what the network does not take is not read from the spool either.
      assert.ok(taken < PIECES / 2, `${taken} MiB were read`);
      assert.equal(peer.messages.length, 0);
    });
  }
}

test("silence at QUIT: 5 s, which is politeness", async (t) => {
  const peer = await peerFor(t, { replies: { QUIT: HANG } });
  const opened = await open(peer, { connectSeconds: 30 }, "none");
  assert.ok(opened.kind === "ready");
  const timers = heldTimers(t);
  const quitting = opened.session.quit();
  await timers.pass(5000, () => hasHeard("QUIT")(peer));
  await quitting;
});
