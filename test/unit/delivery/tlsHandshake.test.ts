import assert from "node:assert/strict";
import net from "node:net";
import { type TestContext, test } from "node:test";
import tls, { type SecureVersion, TLSSocket } from "node:tls";
import { type ConnectionRequest, openConnection, type TlsNeed } from "../../../src/delivery/connection.ts";
import { tlsHandshake } from "../../../src/delivery/tlsHandshake.ts";
import { chainPem, makeAuthority, makeLeaf } from "../../fake/certificates.ts";
import { startPeer } from "../../fake/smtpPeer.ts";

/** What a hostile or an old server may try in TLS itself, on real sockets. */

const ADDRESS = "127.27.4.1";
const LEAF = makeLeaf({ names: ["mx.example"] });
const ACCEPT = { key: LEAF.keyPem, cert: LEAF.certificatePem };
const TRUSTING: TlsNeed = { need: "authenticate", verify: () => ({ kind: "accepted" }) };

function request(port: number, need: TlsNeed, more: Partial<ConnectionRequest> = {}): ConnectionRequest {
  const timeouts = { connectSeconds: 30, commandSeconds: 60 };
  return { address: ADDRESS, port, hostname: "relay.example", tls: need, implicitTls: false, timeouts, ...more };
}

async function outcome(wanted: ConnectionRequest): Promise<string> {
  const result = await openConnection(wanted);
  if (result.kind === "failed") return result.failure.stage;
  const { security } = result.session;
  result.session.destroy();
  return security.kind === "tls" ? security.protocol : "clear";
}

/** need, least version where none is demanded, what the server has at most, what comes of it. */
const VERSIONS: readonly [TlsNeed, SecureVersion | undefined, SecureVersion, string][] = [
  [TRUSTING, undefined, "TLSv1.1", "handshake"],
  [{ need: "encrypt" }, "TLSv1", "TLSv1.1", "handshake"],
  [TRUSTING, "TLSv1.3", "TLSv1.2", "TLSv1.2"],
  [{ need: "opportunistic" }, undefined, "TLSv1", "TLSv1"],
  [{ need: "opportunistic" }, "TLSv1.1", "TLSv1.1", "TLSv1.1"],
  [{ need: "opportunistic" }, "TLSv1.2", "TLSv1.1", "handshake"],
  [{ need: "opportunistic" }, "TLSv1.3", "TLSv1.2", "handshake"],
  [{ need: "opportunistic" }, "TLSv1.3", "TLSv1.3", "TLSv1.3"],
];
for (const [need, opportunisticVersion, maxVersion, expected] of VERSIONS)
  test(`${need.need}, opportunistic from ${opportunisticVersion}, server up to ${maxVersion}: ${expected}`, async (t) => {
    const accept = { ...ACCEPT, minVersion: "TLSv1", maxVersion, ciphers: "DEFAULT:@SECLEVEL=0" } as const;
    const peer = await startPeer({ address: ADDRESS, starttls: { accept } });
    t.after(() => peer.close());
    const least = opportunisticVersion === undefined ? {} : { opportunisticVersion };
    assert.equal(await outcome(request(peer.port, need, least)), expected);
  });

/** More certificates than anybody needs, each of them sound: `count` times about 600 octets. */
function longChain(count: number): string {
  const authority = makeAuthority({ commonName: "Padding" });
  return LEAF.certificatePem + Array.from({ length: count }, () => chainPem(authority)).join("");
}

test("a chain of 20 certificates is taken, one above 100 KiB ends the handshake, and nothing is verified of it", async (t) => {
  for (const [count, expected] of [
    [20, "TLSv1.3"],
    [400, "handshake"],
  ] as const) {
    const peer = await startPeer({ address: ADDRESS, starttls: { accept: { ...ACCEPT, cert: longChain(count) } } });
    t.after(() => peer.close());
    let verified = 0;
    const verify = (): { kind: "accepted" } => {
      verified += 1;
      return { kind: "accepted" };
    };
    assert.equal(await outcome(request(peer.port, { need: "authenticate", verify })), expected, `${count} certificates`);
    assert.equal(verified, expected === "handshake" ? 0 : 1);
  }
});

async function rawServer(t: TestContext, onConnection: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer(onConnection);
  const sockets = new Set<net.Socket>();
  server.on("connection", (socket) => sockets.add(socket.on("error", () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, ADDRESS, resolve));
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const bound = server.address();
  assert.ok(bound !== null && typeof bound === "object");
  return bound.port;
}

async function connected(port: number): Promise<net.Socket> {
  const socket = net.connect({ host: ADDRESS, port });
  await new Promise((resolve) => socket.once("connect", resolve));
  return socket;
}

test("a server that drips its handshake along is cut at the deadline", async (t) => {
  const port = await rawServer(t, (socket) => {
    socket.write(Buffer.from([0x16, 0x03, 0x03, 0x40, 0x00, 0x02, 0x00, 0x3f, 0xfc]));
    const drip = setInterval(() => socket.write(Buffer.of(3)), 20);
    socket.once("close", () => clearInterval(drip));
  });
  const handshake = await tlsHandshake(await connected(port), { demand: "demanded", ceilingSeconds: 0.2 });
  assert.deepEqual(handshake, { kind: "failed", text: "TLS handshake not done within 0.2 s" });
});

test("a server that asks for a renegotiation gets none", async (t) => {
  const renegotiated = Promise.withResolvers<string>();
  const port = await rawServer(t, (socket) => {
    const secured = new TLSSocket(socket, {
      isServer: true,
      secureContext: tls.createSecureContext({ ...ACCEPT, maxVersion: "TLSv1.2" }),
    });
    secured.once("secure", () => {
      secured.on("error", (error) => renegotiated.resolve(error.message));
      secured.once("close", () => renegotiated.resolve("closed"));
      // As a server: HelloRequest.
      secured.renegotiate({}, (error) => renegotiated.resolve(error === null ? "renegotiated" : error.message));
    });
  });
  const handshake = await tlsHandshake(await connected(port), { demand: "demanded" });
  assert.equal(handshake.kind, "secured");
  assert.notEqual(await renegotiated.promise, "renegotiated");
  if (handshake.kind === "secured") handshake.socket.destroy();
});

test("a session is never resumed, though the server would: each connection shows its certificate", async (t) => {
  let resumed = 0;
  const server = tls.createServer({ ...ACCEPT, maxVersion: "TLSv1.2" }, (socket) => {
    if (socket.isSessionReused()) resumed += 1;
    socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, ADDRESS, resolve));
  t.after(() => server.close());
  const bound = server.address();
  assert.ok(bound !== null && typeof bound === "object");
  for (let i = 0; i < 3; i += 1) {
    const handshake = await tlsHandshake(await connected(bound.port), { demand: "demanded", serverName: "mx.example" });
    assert.ok(handshake.kind === "secured");
    assert.deepEqual(handshake.chain, [LEAF.der]);
    handshake.socket.destroy();
  }
  assert.equal(resumed, 0);
});
