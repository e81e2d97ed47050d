import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { CertificateWatch } from "../../../src/submission/certificateWatch.ts";
import { readCertificate, type ServerCertificate } from "../../../src/submission/serverCertificate.ts";
import { makeCertificate } from "../../fake/certificates.ts";
import { SmtpClient } from "../../fake/smtpClient.ts";
import { startSubmission } from "../../fake/submissionServer.ts";

/** TLS at submission: STARTTLS (RFC 3207), implicit TLS (RFC 8314), the certificate and its renewal, and REQUIRETLS (RFC 8689 §4.3). */

const HOST = "127.27.1.1";
const FOLDER = mkdtempSync(join(tmpdir(), "dane-relay-certificate-"));
after(() => rmSync(FOLDER, { recursive: true, force: true }));

function certificate(name: string): ServerCertificate & { der: Buffer } {
  const made = makeCertificate({ commonName: name, names: [name] });
  return { cert: made.certificatePem, key: made.keyPem, der: made.der };
}

const { der: FIRST_DER, ...FIRST } = certificate("first.example");
const { der: SECOND_DER, ...SECOND } = certificate("second.example");

function keywords(reply: string): string[] {
  return reply
    .split("\n")
    .slice(1)
    .map((line) => line.slice(4));
}

async function until(done: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!done()) {
    assert.ok(performance.now() < deadline, "nothing happened");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test("STARTTLS is offered in clear text, REQUIRETLS inside TLS, each only there; nothing said before TLS counts", async () => {
  await using server = await startSubmission(HOST, { certificate: FIRST });
  const client = await SmtpClient.connect(server.address);
  await client.reply();
  const before = keywords(await client.command("EHLO client.example"));
  assert.ok(before.includes("STARTTLS") && !before.includes("REQUIRETLS"), before.join());
  await client.command("MAIL FROM:<injected@sender.example>");
  assert.match(await client.command("STARTTLS"), /^220 /);
  const socket = await client.secure();
  assert.deepEqual(socket.getPeerX509Certificate()?.raw, FIRST_DER);
  assert.match(await client.command("RCPT TO:<u@dest.example>"), /^503 /);
  const inside = keywords(await client.command("EHLO client.example"));
  assert.ok(!inside.includes("STARTTLS") && inside.includes("REQUIRETLS"), inside.join());
  assert.match(await client.command("STARTTLS"), /^503 /);
  assert.match(await client.send("Subject: x\r\n\r\n"), /^250 /);
  const [stored] = await server.queued();
  assert.match(
    String(stored?.content),
    /^Received: from client\.example \(\[127\.0\.0\.1\]\)\r\n\tby relay\.example with ESMTPS id /,
  );
  assert.equal(stored?.work.envelope.sender, "a@sender.example");
});

test("commands in the segment behind STARTTLS are never run (CVE-2011-0411)", async () => {
  await using server = await startSubmission(HOST, { certificate: FIRST });
  const client = await server.open();
  client.write("STARTTLS\r\nMAIL FROM:<evil@sender.example>\r\nRCPT TO:<u@dest.example>\r\n");
  assert.match(await client.reply(), /^220 /);
  // The octets behind it break the handshake for the attacker, or are thrown away: what is certain is that no session has them.
  await client.secure().catch(() => undefined);
  client.destroy();
  await until(() => server.listener.connections() === 0);
  assert.deepEqual(await server.queued(), []);
});

test("REQUIRETLS is kept with the message, and overrides TLS-Required: No", async () => {
  await using server = await startSubmission(HOST, { certificate: FIRST });
  const client = await server.open();
  await client.starttls();
  const content = "TLS-Required: No\r\nSubject: x\r\n\r\n";
  for (const parameters of [" REQUIRETLS", " requiretls", ""]) {
    assert.match(await client.command(`MAIL FROM:<a@sender.example>${parameters}`), /^250 /);
    await client.command("RCPT TO:<u@dest.example>");
    await client.command("DATA");
    assert.match(await client.command(`${content}.`), /^250 /);
  }
  const kept = (await server.queued()).map(({ work: { envelope } }) => [envelope.requireTls, envelope.tlsRequiredNo]);
  assert.deepEqual(kept, [
    [true, false],
    [true, false],
    [false, true],
  ]);
});

test("REQUIRETLS where it may not be: in clear text, without a certificate, with a value", async () => {
  await using server = await startSubmission(HOST, { certificate: FIRST });
  const client = await server.open();
  assert.match(await client.command("MAIL FROM:<a@b.example> REQUIRETLS"), /^530 5\.7\.0 .*STARTTLS/);
  await client.starttls();
  assert.match(await client.command("MAIL FROM:<a@b.example> REQUIRETLS=yes"), /^501 5\.5\.4 /);
  assert.match(await client.command("MAIL FROM:<a@b.example>"), /^250 /);
  await using without = await startSubmission(HOST);
  const plain = await without.open();
  assert.match(await plain.command("MAIL FROM:<a@b.example> REQUIRETLS"), /^555 5\.5\.4 /);
});

test("implicit TLS: the greeting comes inside, and REQUIRETLS is offered", async () => {
  await using server = await startSubmission(HOST, { certificate: FIRST, listen: [], implicitTlsListen: [`${HOST}:0`] });
  const client = await SmtpClient.connectTls(server.address);
  assert.equal(await client.reply(), "220 relay.example ESMTP");
  const offered = keywords(await client.command("EHLO client.example"));
  assert.ok(offered.includes("REQUIRETLS") && !offered.includes("STARTTLS"), offered.join());
  assert.match(await client.command("MAIL FROM:<a@b.example> REQUIRETLS"), /^250 /);
  assert.equal(server.listener.connections(), 1);
  client.destroy();
  await until(() => server.listener.connections() === 0);
});

test("implicit TLS without a certificate does not start", async () => {
  await assert.rejects(startSubmission(HOST, { listen: [], implicitTlsListen: [`${HOST}:0`] }), /needs a certificate/);
});

test("TLS 1.1 is refused, 1.2 taken (RFC 8314 §4.1); the client's failure is counted, and the server goes on", async () => {
  await using server = await startSubmission(HOST, {
    certificate: FIRST,
    listen: [`${HOST}:0`],
    implicitTlsListen: [`${HOST}:0`],
  });
  const [starttls = "", implicit = ""] = server.listener.addresses();
  const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" } as const;
  await assert.rejects(SmtpClient.connectTls(implicit, old), /protocol version/);
  const client = await SmtpClient.open(starttls);
  await client.command("STARTTLS");
  await assert.rejects(client.secure(old), /protocol version/);
  const failures = () =>
    server.events.flatMap((event) => (event.kind === "rejected" ? [`${event.rejection.reason} ${event.client}`] : []));
  await until(() => failures().length === 2);
  assert.deepEqual(failures(), ["tls-handshake 127.0.0.1", "tls-handshake 127.0.0.1"]);
  assert.deepEqual(
    server.events.filter((event) => event.kind === "trouble"),
    [],
  );
  const modern = await SmtpClient.connectTls(implicit, { minVersion: "TLSv1.2", maxVersion: "TLSv1.2" });
  assert.match(await modern.reply(), /^220 /);
});

test("a handshake that drips along is cut at its deadline, by STARTTLS and implicit", async () => {
  const more = { certificate: FIRST, implicitTlsListen: [`${HOST}:0`], handshakeMilliseconds: 150 };
  await using server = await startSubmission(HOST, more);
  const [starttls = "", implicit = ""] = server.listener.addresses();
  const client = await SmtpClient.open(starttls);
  await client.command("STARTTLS");
  const port = Number(implicit.split(":")[1]);
  const raw = connect({ host: HOST, port }).on("error", () => undefined);
  // The head of a TLS record that announces 16 KiB, then an octet at a time: never silent, never done.
  const head = Buffer.from([0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0x00, 0x3f, 0xfc]);
  client.write(head);
  raw.write(head);
  const drip = setInterval(() => {
    client.write(Buffer.of(3));
    raw.write(Buffer.of(3));
  }, 20);
  try {
    await Promise.all([client.closed(), new Promise((resolve) => raw.once("close", resolve))]);
  } finally {
    clearInterval(drip);
  }
  await until(() => server.listener.connections() === 0);
});

test("stop ends what is in a handshake", async () => {
  const server = await startSubmission(HOST, { certificate: FIRST, implicitTlsListen: [`${HOST}:0`] });
  const [starttls = "", implicit = ""] = server.listener.addresses();
  const client = await SmtpClient.open(starttls);
  await client.command("STARTTLS");
  const raw = connect({ host: HOST, port: Number(implicit.split(":")[1]) }).on("error", () => undefined);
  await new Promise((resolve) => raw.once("connect", resolve));
  await server[Symbol.asyncDispose]();
  await client.closed();
});

test("TLS 1.2 renegotiation by a client is refused", async () => {
  await using server = await startSubmission(HOST, { certificate: FIRST, listen: [], implicitTlsListen: [`${HOST}:0`] });
  const port = Number(server.address.split(":")[1]);
  const socket = connectTls({ host: HOST, port, rejectUnauthorized: false, maxVersion: "TLSv1.2" });
  await new Promise((resolve) => socket.once("data", resolve));
  const outcome = await new Promise<string>((resolve) => {
    socket.on("error", (error) => resolve(error.message));
    socket.renegotiate({ rejectUnauthorized: false }, (error) => resolve(error === null ? "renegotiated" : error.message));
  });
  socket.destroy();
  assert.match(outcome, /no.renegotiation|alert/i);
});

test("a new certificate and new limits count from now on; an open connection goes on through both", async () => {
  await using server = await startSubmission(HOST, { certificate: FIRST });
  const open = await server.open();
  await open.starttls();
  assert.match(await open.command("MAIL FROM:<a@sender.example>"), /^250 /);
  server.listener.present(SECOND);
  const limits = { maxMessageBytes: 2000, maxRecipients: 1, maxConnections: 5 };
  server.listener.limit({ ...limits, trustedNetworks: ["127.0.0.1/32"] });
  assert.match(await open.command("RCPT TO:<u@dest.example>"), /^250 /);
  assert.match(await open.command("RCPT TO:<v@dest.example>"), /^452 4\.5\.3 /);
  await open.command("DATA");
  assert.match(await open.command("Subject: x\r\n\r\n."), /^250 /);
  const fresh = await SmtpClient.connect(server.address);
  await fresh.reply();
  assert.match(await fresh.command("EHLO client.example"), /^250[ -]SIZE 2000$/m);
  await fresh.command("STARTTLS");
  assert.deepEqual((await fresh.secure()).getPeerX509Certificate()?.raw, SECOND_DER);
  assert.throws(() => server.listener.limit({ ...limits, trustedNetworks: ["everybody"] }), /submission\.trustedNetworks/);
  server.listener.limit({ ...limits, trustedNetworks: ["192.0.2.0/24"] });
  await open.command("MAIL FROM:<a@sender.example>");
  assert.match(await open.command("RCPT TO:<u@dest.example>"), /^550 5\.7\.1 /);
});

test("certificate files: sound, missing, of another key, no PEM", async () => {
  const files = { certificateFile: join(FOLDER, "cert.pem"), keyFile: join(FOLDER, "key.pem") };
  const write = (cert: string, key: string): void => {
    writeFileSync(files.certificateFile, cert);
    writeFileSync(files.keyFile, key);
  };
  write(FIRST.cert, FIRST.key);
  assert.deepEqual(await readCertificate(files), { kind: "certificate", certificate: FIRST });
  for (const [cert, key, reason] of [
    [FIRST.cert, SECOND.key, /the key is not the certificate's$/],
    ["nothing", FIRST.key, /PEM/],
    [FIRST.cert, "", /DECODER|PEM/],
  ] as const) {
    write(cert, key);
    const reading = await readCertificate(files);
    assert.match(reading.kind === "unusable" ? reading.reason : reading.kind, reason);
  }
  const missing = await readCertificate({ ...files, keyFile: join(FOLDER, "absent.pem") });
  assert.match(missing.kind === "unusable" ? missing.reason : "", /absent\.pem.*ENOENT/);
});

test("the watch tells a renewal once, a half written one once, and then the whole one", async () => {
  const files = { certificateFile: join(FOLDER, "watched.pem"), keyFile: join(FOLDER, "watched-key.pem") };
  writeFileSync(files.certificateFile, FIRST.cert);
  writeFileSync(files.keyFile, FIRST.key);
  const told: string[] = [];
  const watch = new CertificateWatch({
    files,
    current: FIRST,
    onRenewed: ({ cert }) => told.push(cert === SECOND.cert ? "second" : "other"),
    onTrouble: (reason) => told.push(reason.replace(/^.*: /, "")),
  });
  await watch.check();
  assert.deepEqual(told, []);
  writeFileSync(files.certificateFile, SECOND.cert);
  await watch.check();
  await watch.check();
  assert.equal(told.length, 1);
  assert.match(told[0] ?? "", /the key is not/);
  writeFileSync(files.keyFile, SECOND.key);
  await watch.check();
  await watch.check();
  assert.deepEqual(told.slice(1), ["second"]);
  watch.stop();
});

test("a reload changes how many may be in the handshake of implicit TLS, too", async () => {
  await using server = await startSubmission(HOST, {
    certificate: FIRST,
    listen: [],
    implicitTlsListen: [`${HOST}:0`],
    maxConnections: 1,
  });
  const port = Number(server.address.split(":")[1]);
  const silent = connect({ host: HOST, port });
  const taken = await new Promise((resolve) => {
    silent.on("connect", () => resolve("open"));
    silent.on("error", resolve);
  });
  assert.equal(taken, "open");
  server.listener.limit({ trustedNetworks: [], maxMessageBytes: 1000, maxRecipients: 1, maxConnections: 50 });
  const second = connectTls({ host: HOST, port, rejectUnauthorized: false });
  const greeting = await new Promise((resolve) => {
    second.on("data", (data) => resolve(String(data)));
    second.on("error", (error) => resolve(error.message));
    second.on("close", () => resolve("closed"));
  });
  assert.match(String(greeting), /^220 /);
  second.destroy();
  silent.destroy();
});
