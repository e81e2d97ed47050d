import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import type { ConnectionOptions } from "node:tls";
import { CLIENT_AUTH, EXPIRED, type MadeCertificate, makeAuthority, makeLeaf, SERVER_AUTH } from "../../fake/certificates.ts";
import { SmtpClient } from "../../fake/smtpClient.ts";
import { startSubmission } from "../../fake/submissionServer.ts";

/** A client's certificate instead of AUTH, by STARTTLS and by implicit TLS. */
const HOST = "127.116.6.1";
const SERVER = makeLeaf({ names: ["relay.example"] });
const certificate = { cert: SERVER.certificatePem, key: SERVER.keyPem };
const CA = makeAuthority({ commonName: "Clients" });
const OTHER_CA = makeAuthority({ commonName: "Clients" });

/** Sound: by our CA, for clients. */
function clientLeaf(changes: Parameters<typeof makeLeaf>[0] = {}): MadeCertificate {
  return makeLeaf({ names: ["shop.example"], issuer: CA, extendedKeyUsage: [CLIENT_AUTH], ...changes });
}

const SHOP = clientLeaf();
const NEWS = clientLeaf({ names: ["news.example"] });
const FINGERPRINT = `sha256:${new X509Certificate(SHOP.certificatePem).fingerprint256.replaceAll(":", "").toLowerCase()}`;

function shown(made: MadeCertificate): ConnectionOptions {
  return { cert: made.certificatePem, key: made.keyPem };
}

async function relays(client: SmtpClient): Promise<boolean> {
  await client.command("MAIL FROM:<a@b.example>");
  const reply = await client.command("RCPT TO:<u@dest.example>");
  assert.match(reply, /^(?:250|550 5\.7\.1) /);
  return reply.startsWith("250");
}

const CASES: readonly { name: string; show?: MadeCertificate; accepted?: readonly string[]; relays: boolean }[] = [
  { name: "no certificate", relays: false },
  { name: "one of the CA", show: SHOP, relays: true },
  { name: "one of a CA of the same name", show: clientLeaf({ issuer: OTHER_CA }), relays: false },
  { name: "one that signed itself", show: makeAuthority({ commonName: "shop.example", names: ["shop.example"] }), relays: false },
  { name: "an expired one", show: clientLeaf(EXPIRED), relays: false },
  {
    name: "one for servers only",
    show: clientLeaf({ extendedKeyUsage: [SERVER_AUTH] }),
    relays: false,
  },
  {
    name: "one for both",
    show: makeLeaf({ names: ["shop.example"], issuer: CA, extendedKeyUsage: [CLIENT_AUTH] }),
    relays: true,
  },
  { name: "an accepted name", show: SHOP, accepted: ["other.example", "shop.example"], relays: true },
  { name: "another name", show: NEWS, accepted: ["shop.example"], relays: false },
  {
    name: "a wildcard is not the name",
    show: clientLeaf({ names: ["*.example"] }),
    accepted: ["shop.example"],
    relays: false,
  },
  { name: "an accepted fingerprint", show: SHOP, accepted: [FINGERPRINT], relays: true },
  { name: "another fingerprint", show: NEWS, accepted: [FINGERPRINT], relays: false },
];

for (const { name, show, accepted = [], relays: expected } of CASES) {
  test(`${name}: ${expected ? "relays" : "is refused"}, and not before TLS`, async () => {
    const clientCertificates = { ca: CA.certificatePem, accepted };
    const options = { trustedNetworks: [], certificate, clientCertificates, implicitTlsListen: [`${HOST}:0`] };
    await using server = await startSubmission(HOST, options);
    const [starttls = "", implicit = ""] = server.listener.addresses();
    const client = await SmtpClient.open(starttls);
    assert.equal(await relays(client), false);
    await client.starttls(show === undefined ? {} : shown(show));
    assert.equal(await relays(client), expected);
    const direct = await SmtpClient.connectTls(implicit, show === undefined ? {} : shown(show));
    await direct.reply();
    await direct.command("EHLO client.example");
    assert.equal(await relays(direct), expected);
  });
}

test("where none is asked for, one that is shown says nothing", async () => {
  await using server = await startSubmission(HOST, { trustedNetworks: [], certificate });
  const client = await server.open();
  await client.starttls(shown(SHOP));
  assert.equal(await relays(client), false);
});

test("a resumed session is worth what its certificate was: nothing without one", async () => {
  const options = { trustedNetworks: [], certificate, clientCertificates: { ca: CA.certificatePem, accepted: [] } };
  await using server = await startSubmission(HOST, options);
  for (const [first, expected] of [
    [{}, false],
    [shown(SHOP), true],
  ] as const) {
    const before = await server.open();
    await before.command("STARTTLS");
    const socket = await before.secure(first);
    const session = new Promise<Buffer>((resolve) => socket.once("session", resolve));
    await before.command("EHLO client.example");
    const ticket = await session;
    const resumed = await server.open();
    await resumed.command("STARTTLS");
    const again = await resumed.secure({ ...first, session: ticket });
    assert.equal(again.isSessionReused(), true);
    await resumed.command("EHLO client.example");
    assert.equal(await relays(resumed), expected);
  }
});
