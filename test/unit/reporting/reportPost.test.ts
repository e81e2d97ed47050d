import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { createReportPost, type PostResult } from "../../../src/reporting/reportPost.ts";
import { chainPem, EXPIRED, ipName, makeAuthority, makeLeaf } from "../../fake/certificates.ts";
import { type ReportReceiver, startReportReceiver } from "../../fake/reportReceiver.ts";
import { FakeResolver } from "../../fake/resolver.ts";

const NETWORK = `127.25.${1 + (process.pid % 254)}.`;
const AUTHORITY = makeAuthority({ commonName: "Test CA" });
const GZIP = gzipSync("{}");

function certificate(leaf: ReturnType<typeof makeLeaf>) {
  return { keyPem: leaf.keyPem, chainPem: chainPem(leaf, AUTHORITY) };
}

describe("a report by HTTPS POST (RFC 8460 §5.4)", () => {
  let sound: ReportReceiver;
  let expired: ReportReceiver;
  const resolver = new FakeResolver({
    A: {
      "reports.example.org": { status: "insecure", records: [`${NETWORK}9`, `${NETWORK}1`] },
      "other.example.org": { status: "secure", records: [`${NETWORK}1`] },
      "forged.example.org": { status: "bogus" },
      "private.example.org": { status: "secure", records: ["10.1.2.3", "192.168.0.1"] },
    },
    AAAA: { "private.example.org": { status: "secure", records: ["fd00::1"] } },
  });

  before(async () => {
    const names = ["reports.example.org", "forged.example.org"];
    const ip = NETWORK.split(".").slice(0, 3).map(Number);
    const leaf = makeLeaf({ names, issuer: AUTHORITY, generalNames: [ipName([...ip, 1])] });
    sound = await startReportReceiver({ address: `${NETWORK}1`, certificate: certificate(leaf) });
    expired = await startReportReceiver({
      address: `${NETWORK}2`,
      certificate: certificate(makeLeaf({ issuer: AUTHORITY, generalNames: [ipName([...ip, 2])], ...EXPIRED })),
    });
  });
  after(async () => {
    await sound.close();
    await expired.close();
  });

  const post = (url: string, options: { loopback?: boolean; roots?: string[] } = {}): Promise<PostResult> =>
    createReportPost({
      resolver,
      roots: options.roots ?? [AUTHORITY.certificatePem],
      allowLoopback: options.loopback ?? true,
      timeoutMilliseconds: 3000,
    })(new URL(url), GZIP, new AbortController().signal);

  test("arrives, at the second address where the first is dead", async () => {
    assert.deepEqual(await post(`https://reports.example.org:${sound.port}/v1/tlsrpt?a=b`), { kind: "accepted", status: 201 });
    const [request] = sound.requests;
    assert.equal(request?.path, "POST /v1/tlsrpt?a=b");
    assert.equal(request?.headers["content-type"], "application/tlsrpt+gzip");
    assert.equal(request?.headers.host, `reports.example.org:${sound.port}`);
    assert.deepEqual(request?.body, GZIP);
  });

  test("to an address in the URL", async () => {
    assert.equal((await post(`https://${NETWORK}1:${sound.port}/`)).kind, "accepted");
  });

  const refusals: readonly {
    name: string;
    answer?: number | "hang" | "close";
    url: () => string;
    reason: RegExp;
    loopback?: false;
    roots?: string[];
  }[] = [
    { name: "a redirect is not followed", answer: 307, url: () => soundUrl(), reason: /answered with status 307/ },
    { name: "an error", answer: 500, url: () => soundUrl(), reason: /answered with status 500/ },
    { name: "a cut connection", answer: "close", url: () => soundUrl(), reason: /socket hang up|closed|ECONNRESET/ },
    { name: "no answer", answer: "hang", url: () => soundUrl(), reason: /no answer in time/ },
    { name: "a certificate for other names", url: () => `https://other.example.org:${sound.port}/`, reason: /altnames/ },
    { name: "a CA that nobody trusts", roots: [], url: () => soundUrl(), reason: /local issuer|self-signed|verify/ },
    { name: "an expired certificate", url: () => `https://${NETWORK}2:${expired.port}/`, reason: /expired/ },
    { name: "a host with a forged address", url: () => "https://forged.example.org/", reason: /could not be looked up/ },
    { name: "a host that does not exist", url: () => "https://nowhere.example.org/", reason: /has no address/ },
    {
      name: "loopback",
      loopback: false,
      url: () => soundUrl(),
      reason: /only addresses that are not public \(127\.25\./,
    },
    { name: "loopback as an address", loopback: false, url: () => `https://${NETWORK}1:${sound.port}/`, reason: /not public/ },
    { name: "loopback in IPv6 as an address", loopback: false, url: () => "https://[::1]/", reason: /not public \(::1\)/ },
    { name: "loopback in disguise", loopback: false, url: () => "https://2130706433/", reason: /not public \(127\.0\.0\.1\)/ },
    { name: "private addresses", loopback: false, url: () => "https://private.example.org/", reason: /not public/ },
  ];
  const soundUrl = (): string => `https://reports.example.org:${sound.port}/`;
  for (const { name, answer, url, reason, ...options } of refusals) {
    test(`fails: ${name}`, async () => {
      sound.answer(answer ?? 200);
      const before = sound.requests.length;
      const result = await post(url(), options);
      assert.ok(result.kind === "failed", JSON.stringify(result));
      assert.match(result.reason, reason);
      assert.ok(sound.requests.length <= before + (answer === undefined ? 0 : 1));
    });
  }
});
