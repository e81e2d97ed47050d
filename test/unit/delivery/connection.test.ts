import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { describe, type TestContext, test } from "node:test";
import {
  type ConnectionFailure,
  type ConnectionRequest,
  openConnection,
  type RecipientResult,
  type SmtpSession,
  type TlsNeed,
  type Transaction,
} from "../../../src/delivery/connection.ts";
import { chainPem, makeAuthority, makeLeaf } from "../../fake/certificates.ts";
import { heldTimers } from "../../fake/heldTimers.ts";
import { type Peer, type PeerScript, startPeer } from "../../fake/smtpPeer.ts";

const ADDRESS = "127.15.0.1";
const selfSigned = makeLeaf({ names: ["mx.example"] });
const accept = { key: selfSigned.keyPem, cert: selfSigned.certificatePem };

function request(port: number, tls: TlsNeed, more: Partial<ConnectionRequest> = {}): ConnectionRequest {
  return {
    address: ADDRESS,
    port,
    hostname: "relay.example",
    tls,
    serverName: "mx.example",
    implicitTls: false,
    // RFC 5321 §4.5.3.2's own for all that comes behind the connection.
    timeouts: { connectSeconds: 60 },
    ...more,
  };
}

const trusting: TlsNeed = { need: "authenticate", verify: () => ({ kind: "accepted" }) };
const refusing: TlsNeed = { need: "authenticate", verify: () => ({ kind: "refused", reason: "no record matches" }) };

async function peerFor(t: TestContext, script: Omit<PeerScript, "address">): Promise<Peer> {
  const peer = await startPeer({ address: ADDRESS, ...script });
  t.after(() => peer.close());
  return peer;
}

async function opened(t: TestContext, wanted: ConnectionRequest): Promise<SmtpSession> {
  const result = await openConnection(wanted);
  if (result.kind === "failed") assert.fail(`${result.failure.stage}: ${result.failure.text}`);
  t.after(() => result.session.destroy());
  return result.session;
}

async function refused(wanted: ConnectionRequest): Promise<ConnectionFailure> {
  const result = await openConnection(wanted);
  if (result.kind === "ready") result.session.destroy();
  assert.equal(result.kind, "failed");
  return result.failure;
}

async function* pieces(...chunks: readonly (string | Buffer)[]): AsyncIterable<Buffer> {
  for (const chunk of chunks) {
    await Promise.resolve();
    yield Buffer.from(chunk);
  }
}

function transaction(
  content: readonly (string | Buffer)[],
  more: Partial<Transaction["envelope"]> = {},
  ...to: string[]
): Transaction {
  const [first = "user@example.org", ...rest] = to;
  const size = content.reduce((total, chunk) => total + Buffer.byteLength(chunk), 0);
  return {
    envelope: { sender: "from@example.net", smtpUtf8: false, eightBitMime: false, requireTls: false, size, ...more },
    recipients: [{ address: first }, ...rest.map((address) => ({ address }))],
    content: () => pieces(...content),
  };
}

const kinds = (results: readonly RecipientResult[]): string[] => results.map((result) => result.kind);
const verbs = (peer: Peer, session = 0): string[] =>
  (peer.sessions[session]?.commands ?? []).map(({ line }) => line.split(" ")[0] ?? "");

describe("what TLS is reached", () => {
  test("need none: clear text although STARTTLS is offered", async (t) => {
    const peer = await peerFor(t, { starttls: { accept } });
    const session = await opened(t, request(peer.port, { need: "none" }));
    assert.deepEqual(session.security, { kind: "clear", starttlsOffered: true });
    assert.deepEqual(verbs(peer), ["EHLO"]);
  });

  test("opportunistic: TLS where it is offered, EHLO again inside", async (t) => {
    const peer = await peerFor(t, { starttls: { accept }, extensionsInTls: ["REQUIRETLS"] });
    const session = await opened(t, request(peer.port, { need: "opportunistic" }));
    assert.ok(session.security.kind === "tls");
    assert.equal(session.security.authenticated, "not-verified");
    assert.equal(session.security.protocol, "TLSv1.3");
    assert.match(session.security.cipher, /^TLS_/);
    assert.match(session.security.group ?? "none", /X25519/);
    assert.deepEqual(session.security.chain, [selfSigned.der]);
    // RFC 3207 §4.2: what was announced in clear text is forgotten.
    assert.deepEqual([...session.extensions], ["REQUIRETLS"]);
    assert.deepEqual(verbs(peer), ["EHLO", "STARTTLS", "EHLO"]);
    assert.equal(peer.sessions[0]?.handshake?.serverName, "mx.example");
  });

  test("opportunistic: clear text where STARTTLS is missing", async (t) => {
    const peer = await peerFor(t, { starttls: "stripped" });
    const session = await opened(t, request(peer.port, { need: "opportunistic" }));
    assert.deepEqual(session.security, { kind: "clear", starttlsOffered: false });
  });

  test("opportunistic: clear text on the same connection where STARTTLS is refused", async (t) => {
    const peer = await peerFor(t, { starttls: { refuse: "454 4.7.0 not now" } });
    const session = await opened(t, request(peer.port, { need: "opportunistic" }));
    assert.deepEqual(session.security, {
      kind: "clear",
      starttlsOffered: true,
      starttlsReply: { code: 454, enhanced: "4.7.0", lines: ["not now"] },
    });
    assert.deepEqual(kinds(await session.transact(transaction(["a\r\n"]))), ["accepted"]);
    assert.equal(peer.sessions.length, 1);
  });

  test("opportunistic: 421 to STARTTLS ends it", async (t) => {
    const peer = await peerFor(t, { starttls: { refuse: "421 4.3.2 closing" } });
    assert.equal((await refused(request(peer.port, { need: "opportunistic" }))).stage, "starttls-refused");
  });

  test("authenticate: verify sees the chain, and the session is verified", async (t) => {
    const peer = await peerFor(t, { starttls: { accept } });
    let seen: readonly Buffer[] = [];
    const verify = (chain: readonly Buffer[]): { kind: "accepted" } => {
      seen = chain;
      return { kind: "accepted" };
    };
    const session = await opened(t, request(peer.port, { need: "authenticate", verify }));
    assert.ok(session.security.kind === "tls" && session.security.authenticated === "verified");
    assert.deepEqual(seen, [selfSigned.der]);
  });

  test("no SNI is sent without a server name", async (t) => {
    const peer = await peerFor(t, { starttls: { accept } });
    const { serverName: _, ...rest } = request(peer.port, trusting);
    await opened(t, rest);
    assert.equal(peer.sessions[0]?.handshake?.serverName, undefined);
  });

  test("implicit TLS is verified before the EHLO", async (t) => {
    const peer = await peerFor(t, { implicitTls: accept });
    const session = await opened(t, request(peer.port, trusting, { implicitTls: true }));
    assert.ok(session.security.kind === "tls" && session.security.authenticated === "verified");
    assert.deepEqual(verbs(peer), ["EHLO"]);
    const denied = await refused(request(peer.port, refusing, { implicitTls: true }));
    assert.equal(denied.stage, "verify");
    assert.deepEqual(peer.sessions[1]?.insideTls, []);
  });
});

describe("the chain as the server sent it", () => {
  const root = makeAuthority({ commonName: "Root" });
  const intermediate = makeAuthority({ commonName: "Intermediate", issuer: root });
  const leaf = makeLeaf({ names: ["mx.example"], issuer: intermediate });
  const stranger = makeAuthority({ commonName: "Unrelated" });
  for (const [name, sent] of [
    ["in order, with the root", [leaf, intermediate, root]],
    ["without the root", [leaf, intermediate]],
    ["out of order", [leaf, root, intermediate]],
    ["with a superfluous certificate in between", [leaf, stranger, intermediate, root]],
    ["twice the same", [leaf, intermediate, intermediate]],
  ] as const) {
    test(name, async (t) => {
      const peer = await peerFor(t, { starttls: { accept: { key: leaf.keyPem, cert: chainPem(...sent) } } });
      const session = await opened(t, request(peer.port, trusting));
      assert.ok(session.security.kind === "tls");
      assert.deepEqual(
        session.security.chain.map((der) => der.toString("hex")),
        sent.map(({ der }) => der.toString("hex")),
      );
    });
  }
});

describe("what is demanded and not there is never replaced by less", () => {
  const demands: readonly TlsNeed[] = [{ need: "encrypt" }, trusting];
  const rows: readonly [string, Omit<PeerScript, "address">, ConnectionFailure["stage"], RegExp][] = [
    ["STARTTLS absent", { starttls: "absent" }, "starttls-missing", /does not offer STARTTLS/],
    ["STARTTLS stripped", { starttls: "stripped" }, "starttls-missing", /does not offer STARTTLS/],
    ["no EHLO", { replies: { EHLO: "502 no" } }, "starttls-missing", /no EHLO.*502 no/],
    ["STARTTLS refused, 454", { starttls: { refuse: "454 4.7.0 no" } }, "starttls-refused", /454 4\.7\.0 no/],
    ["STARTTLS refused, 250", { starttls: { refuse: "250 fine" } }, "starttls-refused", /250 fine/],
    ["garbage instead of TLS", { starttls: { broken: "garbage" } }, "handshake", /TLS handshake failed|plaintext/],
    ["closed instead of TLS", { starttls: { broken: "close" } }, "handshake", /TLS handshake failed/],
    [
      "TLS 1.1 only",
      { starttls: { accept: { ...accept, minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" } } },
      "handshake",
      /failed/,
    ],
    [
      "EHLO refused inside TLS",
      { starttls: { accept }, replies: { EHLO: (_, s) => (s.handshake ? "550 no" : "250 peer\nSTARTTLS") } },
      "ehlo",
      /550 no/,
    ],
  ];
  for (const [name, script, stage, text] of rows) {
    for (const tls of demands) {
      test(`${tls.need}: ${name}`, async (t) => {
        const peer = await peerFor(t, script);
        const failure = await refused(request(peer.port, tls));
        assert.equal(failure.stage, stage);
        assert.match(failure.text, text);
        assert.ok(!verbs(peer).includes("MAIL"));
      });
    }
  }
  for (const tls of demands) {
    test(`${tls.need}: silence instead of TLS`, async (t) => {
      const peer = await peerFor(t, { starttls: { broken: "hang" } });
      const timers = heldTimers(t);
      const refusal = refused(request(peer.port, tls));
      await timers.pass(60_000, () => verbs(peer).includes("STARTTLS"));
      assert.match(JSON.stringify(await refusal), /"handshake".*not done within 60 s/);
      assert.ok(!verbs(peer).includes("MAIL"));
    });
  }

  test("verify refused: not one octet of SMTP inside TLS, and what was presented is reported", async (t) => {
    const peer = await peerFor(t, { starttls: { accept } });
    const failure = await refused(request(peer.port, refusing));
    assert.equal(failure.stage, "verify");
    assert.equal(failure.text, "no record matches");
    assert.deepEqual(failure.chain, [selfSigned.der]);
    assert.deepEqual(verbs(peer), ["EHLO", "STARTTLS"]);
    assert.deepEqual(peer.sessions[0]?.insideTls, []);
  });

  test("a refusal is followed by QUIT", async (t) => {
    let quit = (): void => undefined;
    const seen = new Promise<void>((resolve) => {
      quit = resolve;
    });
    const farewell = (): string => {
      quit();
      return "221 bye";
    };
    const peer = await peerFor(t, { starttls: "absent", replies: { QUIT: farewell } });
    await refused(request(peer.port, trusting));
    await seen;
    assert.deepEqual(verbs(peer), ["EHLO", "QUIT"]);
  });

  test("opportunistic: a failed handshake is reported, not passed over", async (t) => {
    const peer = await peerFor(t, { starttls: { broken: "close" } });
    assert.equal((await refused(request(peer.port, { need: "opportunistic" }))).stage, "handshake");
  });

  test("opportunistic takes TLS 1.0 rather than clear text", async (t) => {
    const rsa = makeLeaf({ names: ["mx.example"], keyKind: "rsa1024" });
    const old = {
      key: rsa.keyPem,
      cert: rsa.certificatePem,
      minVersion: "TLSv1",
      maxVersion: "TLSv1",
      ciphers: "DEFAULT:@SECLEVEL=0",
    } as const;
    const peer = await peerFor(t, { starttls: { accept: old } });
    const session = await opened(t, request(peer.port, { need: "opportunistic" }));
    assert.equal(session.security.kind === "tls" && session.security.protocol, "TLSv1");
  });
});

describe("STARTTLS response injection (CVE-2011-0411, RFC 3207 §4.2)", () => {
  for (const [name, inject] of [
    ["a whole EHLO reply", "250-evil.example\r\n250 AUTH PLAIN\r\n"],
    ["a part of a reply", "250-evil"],
    ["one octet", "2"],
  ] as const) {
    for (const tls of [{ need: "opportunistic" }, { need: "encrypt" }, trusting] as const) {
      test(`${name} behind the 220, need ${tls.need}`, async (t) => {
        const peer = await peerFor(t, { starttls: { accept, inject } });
        const failure = await refused(request(peer.port, tls));
        assert.equal(failure.stage, "handshake");
        assert.match(failure.text, /plaintext came behind the server's 220/);
        assert.deepEqual(peer.sessions[0]?.insideTls, []);
      });
    }
  }
});

describe("fail closed", () => {
  test("a verify that throws has not accepted: nothing is said inside TLS, and the bug is not swallowed", async (t) => {
    const peer = await peerFor(t, { starttls: { accept } });
    const verify = (): never => {
      throw new Error("bug in the judge");
    };
    await assert.rejects(openConnection(request(peer.port, { need: "authenticate", verify })), /bug in the judge/);
    assert.deepEqual(peer.sessions[0]?.insideTls, []);
  });

  test("a host name is never looked up here", async () => {
    await assert.rejects(openConnection(request(25, trusting, { address: "localhost" })), /not an IP address/);
  });
});

describe("servers that do not greet", () => {
  test("nobody listens", async () => {
    const server = net.createServer().listen(0, ADDRESS);
    await once(server, "listening");
    const { port } = server.address() as net.AddressInfo;
    server.close();
    await once(server, "close");
    const failure = await refused(request(port, trusting));
    const text = `${ADDRESS} port ${port}: connection refused`;
    assert.deepEqual(failure, { stage: "connect", text, dialled: [{ address: ADDRESS, text }] });
  });

  const rows: readonly [string, PeerScript["greeting"], RegExp][] = [
    ["554", "554 5.7.1 go away", /554 5\.7\.1 go away/],
    ["421", "421 4.3.2 busy", /421 4\.3\.2 busy/],
    ["closed", { afterwards: "close" }, /closed the connection/],
    ["reset", { delayMs: 20, afterwards: "reset" }, /ECONNRESET|closed the connection/],
    ["not SMTP", "HTTP/1.1 400 Bad Request", /does not speak SMTP/],
  ];
  for (const [name, greeting, text] of rows) {
    test(name, async (t) => {
      const peer = await peerFor(t, greeting === undefined ? {} : { greeting });
      const failure = await refused(request(peer.port, { need: "none" }));
      assert.equal(failure.stage, "greeting");
      assert.match(failure.text, text);
    });
  }

  test("no EHLO: HELO, without extensions", async (t) => {
    const peer = await peerFor(t, { replies: { EHLO: "500 what" } });
    const session = await opened(t, request(peer.port, { need: "opportunistic" }));
    assert.equal(session.extensions.size, 0);
    assert.deepEqual(kinds(await session.transact(transaction(["x\r\n"]))), ["accepted"]);
    assert.deepEqual(verbs(peer), ["EHLO", "HELO", "MAIL", "RCPT", "DATA"]);
  });
});

describe("AUTH to a next-hop relay", () => {
  const auth = { user: "me", password: "secret" };
  const extensionsInTls = ["AUTH LOGIN PLAIN", "PIPELINING"];

  test("PLAIN inside authenticated TLS", async (t) => {
    const peer = await peerFor(t, { starttls: { accept }, extensionsInTls });
    await opened(t, request(peer.port, trusting, { auth }));
    const line = peer.sessions[0]?.commands.at(-1);
    assert.deepEqual(line, { line: `AUTH PLAIN ${Buffer.from("\0me\0secret").toString("base64")}`, inTls: true });
  });

  for (const tls of [{ need: "none" }, { need: "opportunistic" }, { need: "encrypt" }] as const) {
    test(`never with need ${tls.need}: not even a connection`, async (t) => {
      const peer = await peerFor(t, { starttls: { accept }, extensionsInTls });
      assert.equal((await refused(request(peer.port, tls, { auth }))).stage, "auth");
      assert.equal(peer.sessions.length, 0);
    });
  }

  test("never to a server that verify refused", async (t) => {
    const peer = await peerFor(t, { starttls: { accept }, extensionsInTls });
    assert.equal((await refused(request(peer.port, refusing, { auth }))).stage, "verify");
    assert.deepEqual(verbs(peer), ["EHLO", "STARTTLS"]);
  });

  test("refused, or not offered inside TLS", async (t) => {
    const denying = await peerFor(t, { starttls: { accept }, extensionsInTls, replies: { AUTH: "535 5.7.8 no" } });
    assert.match((await refused(request(denying.port, trusting, { auth }))).text, /535 5\.7\.8 no/);
    const silent = await peerFor(t, { starttls: { accept }, extensions: ["AUTH PLAIN"], extensionsInTls: [] });
    assert.match((await refused(request(silent.port, trusting, { auth }))).text, /neither AUTH PLAIN nor AUTH LOGIN/);
  });
});

describe("transactions on a real connection", () => {
  test("content arrives as it is, dots and all, in chunks cut anywhere", async (t) => {
    const peer = await peerFor(t, { starttls: { accept } });
    const session = await opened(t, request(peer.port, trusting));
    const content = Buffer.from(".start\r\n..two\r\n.\r\ntext\r\n\r\n.\r\n..");
    for (let cut = 0; cut <= content.length; cut += 1) {
      const results = await session.transact(transaction([content.subarray(0, cut), content.subarray(cut)]));
      assert.deepEqual(kinds(results), ["accepted"]);
      assert.equal(session.state, "idle");
      assert.equal(peer.messages.at(-1)?.content.toString(), `${content.toString()}\r\n`);
    }
    await session.quit();
    assert.equal(session.state, "closed");
    assert.equal(verbs(peer).at(-1), "QUIT");
    assert.equal(peer.sessions.length, 1);
  });

  test("BDAT where CHUNKING is offered: octets as they are", async (t) => {
    const peer = await peerFor(t, { extensions: ["PIPELINING", "CHUNKING"] });
    const session = await opened(t, request(peer.port, { need: "none" }));
    const content = ".dot\r\n.\r\nno line end";
    assert.deepEqual(kinds(await session.transact(transaction([content.slice(0, 7), content.slice(7)]))), ["accepted"]);
    assert.equal(peer.messages[0]?.content.toString(), content);
    assert.deepEqual(verbs(peer), ["EHLO", "MAIL", "RCPT", "BDAT"]);
  });

  test("a large message with back-pressure", async (t) => {
    const peer = await peerFor(t, { starttls: { accept } });
    const session = await opened(t, request(peer.port, trusting));
    const block = Buffer.from(`${"x".repeat(998)}\r\n`.repeat(64));
    const content = new Array<Buffer>(80).fill(block);
    assert.deepEqual(kinds(await session.transact(transaction(content))), ["accepted"]);
    assert.equal(peer.messages[0]?.content.length, 80 * block.length);
  });

  test("content that cannot be read: the end is never sent, the transaction rejects", async (t) => {
    const peer = await peerFor(t, {});
    const session = await opened(t, request(peer.port, { need: "none" }));
    const broken = transaction(["x\r\n"]);
    const content = async function* (): AsyncIterable<Buffer> {
      yield* pieces("first half\r\n");
      throw new Error("disk gone");
    };
    await assert.rejects(session.transact({ ...broken, content }), /disk gone/);
    assert.equal(session.state, "closed");
    assert.deepEqual(peer.messages, []);
    assert.deepEqual(peer.sessions[0]?.contents, []);
  });

  test("BDAT content that is not as long as announced is never finished", async (t) => {
    const peer = await peerFor(t, { extensions: ["CHUNKING"] });
    for (const size of [2, 4]) {
      const session = await opened(t, request(peer.port, { need: "none" }));
      await assert.rejects(session.transact(transaction(["abc"], { size })), /of its 4 octets|longer than its 2 octets/);
    }
    assert.deepEqual(peer.messages, []);
  });

  const endings: readonly [string, Omit<PeerScript, "address">, RecipientResult["kind"], RegExp][] = [
    ["no reply to the final dot: ambiguous", { replies: { CONTENT: { afterwards: "close" } } }, "lost", /"ambiguous":"yes"/],
    ["reset after the final dot: ambiguous", { replies: { CONTENT: { afterwards: "reset" } } }, "lost", /"ambiguous":"yes"/],
    [
      "closed before the 354: not ambiguous",
      { replies: { DATA: { afterwards: "close" } } },
      "lost",
      /"phase":"DATA","ambiguous":"no"/,
    ],
    ["closed at MAIL", { replies: { MAIL: { afterwards: "close" } } }, "lost", /"phase":"MAIL","ambiguous":"no"/],
    ["closed at RCPT", { replies: { RCPT: { afterwards: "close" } } }, "lost", /"phase":"RCPT","ambiguous":"no"/],
    [
      "421 to the content",
      { replies: { CONTENT: { reply: "421 4.3.2 bye", afterwards: "close" } } },
      "rejected",
      /"phase":"CONTENT".*421/,
    ],
  ];
  for (const [name, script, kind, text] of endings) {
    test(name, async (t) => {
      const peer = await peerFor(t, script);
      const session = await opened(t, request(peer.port, { need: "none" }));
      const results = await session.transact(transaction(["x\r\n"]));
      assert.deepEqual(kinds(results), [kind]);
      assert.match(JSON.stringify(results[0]), text);
      assert.equal(session.state, "closed");
    });
  }

  for (const afterwards of ["close", "reset"] as const) {
    test(`the server ${afterwards}s in the middle of the content: not ambiguous`, async (t) => {
      const peer = await peerFor(t, { extensions: ["PIPELINING"], contentLimit: { octets: 100_000, afterwards } });
      const session = await opened(t, request(peer.port, { need: "none" }));
      let pulled = 0;
      const content = async function* (): AsyncIterable<Buffer> {
        for await (const block of pieces(...new Array<Buffer>(64).fill(Buffer.alloc(1 << 20, "x")))) {
          pulled += 1;
          yield block;
        }
      };
      const results = await session.transact({ ...transaction([]), content });
      // Back-pressure: what the network does not take is not read from the spool either.
      assert.ok(pulled < 32, `${pulled} MiB were read`);
      assert.match(JSON.stringify(results[0]), /"kind":"lost","phase":"CONTENT","ambiguous":"no"/);
    });
  }

  test("a server that leaves while the session is idle closes it", async (t) => {
    const peer = await peerFor(t, { replies: { CONTENT: { reply: "250 ok", afterwards: "close" } } });
    const session = await opened(t, request(peer.port, { need: "none" }));
    assert.deepEqual(kinds(await session.transact(transaction(["x\r\n"]))), ["accepted"]);
    while (session.state !== "closed") await new Promise((resolve) => setImmediate(resolve));
    const late = await session.transact(transaction(["x\r\n"]));
    assert.match(JSON.stringify(late[0]), /"kind":"lost","phase":"MAIL","ambiguous":"no"/);
    assert.equal(peer.messages.length, 1);
  });
});
