import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { connect as connectTls } from "node:tls";
import { type ProxyHeader, parseProxyHeader } from "../../../src/submission/proxyHeader.ts";
import { makeCertificate } from "../../fake/certificates.ts";
import { SmtpClient } from "../../fake/smtpClient.ts";
import { startSubmission } from "../../fake/submissionServer.ts";

const HOST = "127.116.2.1";
const SIGNATURE = Buffer.from("0d0a0d0a000d0a515549540a", "hex");

/** A header of version 2: what stands behind the signature, in hexadecimal, the length made for `body` unless given. */
function v2(start: string, body: string, length = body.length / 2): Buffer {
  const size = length.toString(16).padStart(4, "0");
  return Buffer.concat([SIGNATURE, Buffer.from(start + size + body, "hex")]);
}

const IPV4_BODY = "c0000201c6336401dc040019";
const IPV6_BODY = "20010db8000000000000000000000001" + "20010db8000000000000000000000002" + "dc040019";
const MAPPED_BODY = "00000000000000000000ffff7f000001" + "20010db8000000000000000000000002" + "dc040019";

const GOOD: readonly { name: string; octets: Buffer | string; client: string | undefined }[] = [
  { name: "TCP4", octets: "PROXY TCP4 192.0.2.1 198.51.100.1 56324 25\r\n", client: "192.0.2.1:56324" },
  { name: "TCP4, port 0", octets: "PROXY TCP4 192.0.2.1 198.51.100.1 0 65535\r\n", client: "192.0.2.1:0" },
  { name: "TCP6", octets: "PROXY TCP6 2001:DB8:0:0::1 2001:db8::2 56324 25\r\n", client: "2001:db8::1:56324" },
  { name: "TCP6, an IPv4-mapped address in hexadecimal", octets: "PROXY TCP6 ::ffff:7f00:1 ::1 1 25\r\n", client: "127.0.0.1:1" },
  {
    name: "TCP6, the longest there is",
    octets: `PROXY TCP6 ${"ffff:".repeat(7)}ffff ${"ffff:".repeat(7)}ffff 65535 65535\r\n`,
    client: `${"ffff:".repeat(7)}ffff:65535`,
  },
  { name: "UNKNOWN", octets: "PROXY UNKNOWN\r\n", client: undefined },
  {
    name: "UNKNOWN with addresses, which are not believed",
    octets: "PROXY UNKNOWN 127.0.0.1 127.0.0.1 1 2\r\n",
    client: undefined,
  },
  { name: "v2 IPv4", octets: v2("2111", IPV4_BODY), client: "192.0.2.1:56324" },
  { name: "v2 IPv4 with TLVs", octets: v2("2111", `${IPV4_BODY}0400030102030600`), client: "192.0.2.1:56324" },
  { name: "v2 IPv6", octets: v2("2121", IPV6_BODY), client: "2001:db8::1:56324" },
  { name: "v2 IPv6, an IPv4-mapped address", octets: v2("2121", MAPPED_BODY), client: "127.0.0.1:56324" },
  { name: "v2 LOCAL", octets: v2("2000", ""), client: undefined },
  { name: "v2 LOCAL with addresses, which are not believed", octets: v2("2011", IPV4_BODY), client: undefined },
  { name: "v2 of no family", octets: v2("2100", "00"), client: undefined },
  { name: "v2 of a Unix socket", octets: v2("2131", "00".repeat(216)), client: undefined },
  { name: "v2 as long as may be", octets: v2("2111", IPV4_BODY + "00".repeat(4068)), client: "192.0.2.1:56324" },
];

const BAD: readonly { name: string; octets: Buffer | string; reason: RegExp }[] = [
  { name: "SMTP", octets: "EHLO client.example\r\n", reason: /neither/ },
  { name: "lower case", octets: "proxy TCP4 192.0.2.1 198.51.100.1 1 25\r\n", reason: /neither/ },
  { name: "a TLS record", octets: Buffer.from("160301", "hex"), reason: /neither/ },
  { name: "LF alone", octets: "PROXY TCP4 192.0.2.1 198.51.100.1 1 25\n", reason: /CRLF/ },
  { name: "no end within 107 octets", octets: `PROXY UNKNOWN ${"x".repeat(93)}`, reason: /end of line/ },
  { name: "an end behind 107 octets", octets: `PROXY UNKNOWN ${"x".repeat(92)}\r\n`, reason: /end of line/ },
  { name: "another protocol", octets: "PROXY UDP4 192.0.2.1 198.51.100.1 1 25\r\n", reason: /protocol/ },
  {
    name: "a property of every object as protocol",
    octets: "PROXY constructor 192.0.2.1 198.51.100.1 1 25\r\n",
    reason: /protocol/,
  },
  { name: "nothing", octets: "PROXY \r\n", reason: /protocol/ },
  { name: "two blanks", octets: "PROXY TCP4  192.0.2.1 198.51.100.1 1 25\r\n", reason: /address/ },
  { name: "an IPv6 address as TCP4", octets: "PROXY TCP4 ::1 198.51.100.1 1 25\r\n", reason: /address/ },
  { name: "an IPv4 address as TCP6", octets: "PROXY TCP6 192.0.2.1 2001:db8::2 1 25\r\n", reason: /address/ },
  { name: "a leading zero", octets: "PROXY TCP4 192.0.02.1 198.51.100.1 1 25\r\n", reason: /address/ },
  { name: "a zone index", octets: "PROXY TCP6 fe80::1%eth0 2001:db8::2 1 25\r\n", reason: /address/ },
  { name: "a bad destination", octets: "PROXY TCP4 192.0.2.1 x 1 25\r\n", reason: /address/ },
  { name: "no ports", octets: "PROXY TCP4 192.0.2.1 198.51.100.1\r\n", reason: /port/ },
  { name: "a port too high", octets: "PROXY TCP4 192.0.2.1 198.51.100.1 65536 25\r\n", reason: /port/ },
  { name: "a port with a zero in front", octets: "PROXY TCP4 192.0.2.1 198.51.100.1 01 25\r\n", reason: /port/ },
  { name: "a destination port that is none", octets: "PROXY TCP4 192.0.2.1 198.51.100.1 1 -25\r\n", reason: /port/ },
  { name: "a blank at the end", octets: "PROXY TCP4 192.0.2.1 198.51.100.1 1 25 \r\n", reason: /behind the ports/ },
  { name: "v2 of version 1", octets: v2("1111", IPV4_BODY), reason: /not version 2/ },
  { name: "v2 with command 2", octets: v2("2211", IPV4_BODY), reason: /command/ },
  { name: "v2 by UDP", octets: v2("2112", IPV4_BODY), reason: /transport/ },
  { name: "v2 of an unknown family", octets: v2("2141", IPV4_BODY), reason: /family/ },
  { name: "v2 too short for its family", octets: v2("2121", IPV4_BODY), reason: /too short/ },
  { name: "v2 without addresses", octets: v2("2111", ""), reason: /too short/ },
  { name: "v2 that announces too much", octets: v2("2111", IPV4_BODY, 4081), reason: /longer/ },
];

function shown(header: ProxyHeader): string | undefined {
  return header.kind === "client" ? `${header.address}:${header.port}` : undefined;
}

for (const { name, octets, client } of GOOD) {
  test(`PROXY: ${name}: every prefix is incomplete, the whole is understood, what follows is left`, () => {
    const whole = Buffer.from(octets);
    for (let length = 0; length < whole.length; length += 1) {
      assert.equal(parseProxyHeader(whole.subarray(0, length)).kind, "incomplete", String(length));
    }
    const header = parseProxyHeader(Buffer.concat([whole, Buffer.from("EHLO x\r\n")]));
    assert.deepEqual([header.kind, shown(header)], [client === undefined ? "unknown" : "client", client]);
    assert.equal("length" in header && header.length, whole.length);
  });
}

for (const { name, octets, reason } of BAD) {
  test(`PROXY refused: ${name}`, () => {
    const header = parseProxyHeader(Buffer.from(octets));
    assert.match(header.kind === "malformed" ? header.reason : JSON.stringify(header), reason);
  });
}

const MADE = makeCertificate({ commonName: "relay.example", names: ["relay.example"] });
const LB = "127.116.2.9";
/** Trusted are one address that the load balancer tells of, and the load balancer's own. */
const BEHIND = { proxyProtocolNetworks: [`${LB}/32`], trustedNetworks: ["192.0.2.1/32", `${LB}/32`] };

async function through(address: string, header: Buffer | string, from = LB): Promise<SmtpClient> {
  const client = await SmtpClient.connect(address, from);
  client.write(header);
  return client;
}

async function mayRelay(client: SmtpClient): Promise<string> {
  assert.match(await client.reply(), /^220 /);
  await client.command("EHLO client.example");
  await client.command("MAIL FROM:<a@b.example>");
  return await client.command("RCPT TO:<u@dest.example>");
}

test("the address in the header counts for trustedNetworks, limits and the log; with LOCAL and UNKNOWN no address does", async () => {
  await using server = await startSubmission(HOST, BEHIND);
  const { address } = server;
  assert.match(await mayRelay(await through(address, "PROXY TCP4 192.0.2.1 198.51.100.1 1 25\r\n")), /^250 /);
  const told = "PROXY TCP4 192.0.2.2 198.51.100.1 1 25\r\n";
  assert.match(await mayRelay(await through(address, told)), /^550 5\.7\.1 relaying denied: 192\.0\.2\.2 /);
  assert.match(await mayRelay(await through(address, v2("2111", IPV4_BODY))), /^250 /);
  for (const header of [
    "PROXY UNKNOWN\r\n",
    "PROXY UNKNOWN 192.0.2.1 192.0.2.1 1 2\r\n",
    v2("2011", IPV4_BODY),
    v2("2100", ""),
  ]) {
    assert.match(await mayRelay(await through(address, header)), /^550 5\.7\.1 /);
  }
});

test("header and commands may come in one segment, or octet by octet", async () => {
  await using server = await startSubmission(HOST, BEHIND);
  const header = "PROXY TCP4 192.0.2.1 198.51.100.1 1 25\r\n";
  const once = await through(
    server.address,
    `${header}EHLO x.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@dest.example>\r\n`,
  );
  const codes: string[] = [];
  for (let i = 0; i < 4; i += 1) codes.push((await once.reply()).slice(0, 3));
  assert.deepEqual(codes, ["220", "250", "250", "250"]);
  const slowly = await SmtpClient.connect(server.address, LB);
  for (const octet of header) {
    slowly.write(octet);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.match(await mayRelay(slowly), /^250 /);
});

test("implicit TLS begins behind the header, in the same segment too", async () => {
  const certificate = { cert: MADE.certificatePem, key: MADE.keyPem };
  await using server = await startSubmission(HOST, { ...BEHIND, certificate, listen: [], implicitTlsListen: [`${HOST}:0`] });
  const port = Number(server.address.split(":")[1]);
  const raw = connect({ host: HOST, port, localAddress: LB });
  await once(raw, "connect");
  raw.cork();
  raw.write("PROXY TCP4 192.0.2.1 198.51.100.1 1 25\r\n");
  const secured = connectTls({ socket: raw, rejectUnauthorized: false });
  raw.uncork();
  const [greeting] = await once(secured, "data");
  assert.match(String(greeting), /^220 /);
  secured.destroy();
});

test("without a header a load balancer gets no session; neither does one whose header is malformed or late", async () => {
  await using server = await startSubmission(HOST, { ...BEHIND, proxyHeaderMilliseconds: 300 });
  for (const said of ["EHLO client.example\r\n", "PROXY TCP4 192.0.2.1\r\n", "PROXY TCP4 192.0.2.1 198.51.100.1 1 25", ""]) {
    const client = await through(server.address, said);
    assert.equal(await client.reply(), "", said);
  }
  const rejections = server.events.flatMap((event) => (event.kind === "rejected" ? [event] : []));
  assert.deepEqual(
    rejections.map(({ rejection, client }) => `${rejection.reason} ${client}`),
    Array.from({ length: 4 }, () => `proxy-header ${LB}`),
  );
});

test("from anybody else a header is refused, and what is behind it is not done", async () => {
  await using server = await startSubmission(HOST, { ...BEHIND, trustedNetworks: ["192.0.2.1/32"] });
  const stranger = await through(server.address, "PROXY TCP4 192.0.2.1 198.51.100.1 1 25\r\nEHLO x.example\r\n", "127.116.2.10");
  assert.match(await stranger.reply(), /^220 /);
  assert.match(await stranger.reply(), /^421 4\.7\.0 relay\.example no PROXY protocol/);
  await stranger.closed();
  const binary = await through(server.address, v2("2111", IPV4_BODY), "127.116.2.10");
  assert.match(await binary.reply(), /^220 /);
  await binary.closed();
});

test("AUTH outside TLS is for loopback clients, not for those whom a load balancer calls so", async () => {
  const { openUsers, makeUser } = await import("../../fake/submissionUsers.ts");
  const { mkdtempSync, rmSync } = await import("node:fs");
  const folder = mkdtempSync("/tmp/dane-relay-proxy-");
  try {
    using users = await openUsers(`${folder}/users`, [await makeUser("any", "password")]);
    const { authenticator } = users;
    await using server = await startSubmission(HOST, { ...BEHIND, authenticator, authWithoutTls: "loopback" });
    const client = await through(server.address, "PROXY TCP4 127.0.0.1 127.0.0.1 1 25\r\n");
    assert.match(await client.reply(), /^220 /);
    assert.doesNotMatch(await client.command("EHLO x.example"), /AUTH/);
    assert.match(await client.command(`AUTH PLAIN ${Buffer.from("\0any\0password").toString("base64")}`), /^538 5\.7\.11 /);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
