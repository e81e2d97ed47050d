import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { rootCertificates } from "node:tls";
import { systemClock } from "../../../src/clock.ts";
import { name } from "../../../src/dns/name.ts";
import { type MtaSts, type MtaStsSettings, openMtaSts } from "../../../src/reporting/openMtaSts.ts";
import { distinctCertificates } from "../../../src/x509/distinctCertificates.ts";
import { authenticateServer } from "../../../src/x509/serverIdentity.ts";
import { makeAuthority, makeLeaf } from "../../fake/certificates.ts";
import { FakeResolver } from "../../fake/resolver.ts";

const DIRECTORY = mkdtempSync(join(tmpdir(), "dane-relay-sts-"));
after(() => rmSync(DIRECTORY, { recursive: true, force: true }));
const root = makeAuthority({ commonName: "One" });
const another = makeAuthority({ commonName: "Another" });

function open(settings: Partial<MtaStsSettings>, resolver = new FakeResolver({})): Promise<MtaSts> {
  return openMtaSts(
    { enabled: true, directory: DIRECTORY, allowLoopback: false, ...settings },
    { resolver, clock: systemClock, onEvent: (event) => assert.fail(JSON.stringify(event)) },
  );
}

function fileWith(text: string): string {
  const file = join(DIRECTORY, "ca.pem");
  writeFileSync(file, text);
  return file;
}

function trusts({ trustedRoots }: MtaSts, issuer: ReturnType<typeof makeAuthority>): boolean {
  const leaf = makeLeaf({ names: ["mx.example.org"], issuer });
  const input = { chain: [leaf.der], anchors: trustedRoots(), identifier: name("mx.example.org"), now: Date.now() };
  return authenticateServer(input).kind === "valid";
}

test("the CAs of caFile are trusted, in place of Node's", async () => {
  const caFile = fileWith(`# two of them\n${root.certificatePem}\nbetween\n${another.certificatePem.replaceAll("\n", "\r\n")}`);
  const opened = await open({ caFile });
  assert.deepEqual([trusts(opened, root), trusts(opened, another)], [true, true]);
  assert.equal(trusts(opened, makeAuthority({ commonName: "Third" })), false);
  await opened.stop();
});

test("without caFile every CA that comes with Node can be used, and nobody else's", async () => {
  const opened = await open({});
  const ders = rootCertificates.map((pem) => new X509Certificate(pem).raw);
  for (const certificate of distinctCertificates(ders, []))
    assert.ok(opened.trustedRoots().issuersOf([{ ...certificate, issuer: certificate.subject }]).length > 0);
  assert.ok(ders.length > 100 && distinctCertificates(ders, []).length === ders.length);
  assert.equal(trusts(opened, root), false);
  await opened.stop();
});

const BAD: readonly [shows: string, text: string, expected: RegExp][] = [
  ["empty", "", /mtaSts\.caFile: .* holds no certificate in PEM/],
  ["DER", "\x30\x82", /holds no certificate in PEM/],
  ["a key", makeLeaf().keyPem, /holds no certificate in PEM/],
  ["no certificate inside", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", /no certificate in .* can be read/],
];
for (const [shows, text, expected] of BAD)
  test(`a CA file that is ${shows} keeps the relay from starting`, () =>
    assert.rejects(open({ caFile: fileWith(text) }), expected));

test("switched off: nothing is looked up, no file is made", async () => {
  const directory = join(DIRECTORY, "off");
  const resolver = new FakeResolver({});
  const opened = await open({ enabled: false, directory }, resolver);
  opened.start();
  assert.deepEqual(await opened.policyFor(name("example.org")), { kind: "none", because: "off" });
  await opened.stop();
  assert.deepEqual(resolver.asked, []);
  assert.equal(existsSync(directory), false);
});

test("switched on: the TXT record is asked for, and the policies have a file", async () => {
  const resolver = new FakeResolver({});
  const opened = await open({}, resolver);
  opened.start();
  assert.deepEqual(await opened.policyFor(name("example.org")), { kind: "none", because: "no-record" });
  await opened.stop();
  assert.deepEqual(resolver.asked, ["_mta-sts.example.org. TXT"]);
  assert.ok(existsSync(join(DIRECTORY, "mta-sts.db")));
});
