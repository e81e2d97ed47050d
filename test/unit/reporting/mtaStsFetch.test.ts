import assert from "node:assert/strict";
import type { RequestListener } from "node:http";
import { createServer } from "node:net";
import { after, test } from "node:test";
import { name } from "../../../src/dns/name.ts";
import { createPolicyFetcher, type FetchedPolicy, type PolicyFetchOptions } from "../../../src/reporting/mtaStsFetch.ts";
import { chainPem, EXPIRED, type MadeCertificate, makeAuthority, makeLeaf } from "../../fake/certificates.ts";
import { type PolicyHost, serves, startPolicyHost } from "../../fake/policyHost.ts";
import { type FakeAnswer, FakeResolver } from "../../fake/resolver.ts";

/** Real HTTPS on loopback addresses 127.22.1.x. */
const ADDRESS = "127.22.1.1";
const DEAD_ADDRESS = "127.22.1.2";
const POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx.example.org\r\nmax_age: 604800\r\n";
const DOMAIN = name("example.org");
const HOST = "mta-sts.example.org";

const root = makeAuthority({ commonName: "Lab root" });
const sound = makeLeaf({ names: [HOST], issuer: root });
const started: PolicyHost[] = [];
after(() => Promise.all(started.map((host) => host.close())));

async function host(answer: RequestListener, certificate: MadeCertificate = sound): Promise<PolicyHost> {
  const { keyPem: key } = certificate;
  const opened = await startPolicyHost({ address: ADDRESS, key, cert: chainPem(certificate), answer });
  started.push(opened);
  return opened;
}

type Settings = { addresses?: FakeAnswer<"A">; options?: Partial<PolicyFetchOptions>; domain?: string };

function fetchFrom(port: number, { addresses, options = {}, domain = "example.org" }: Settings = {}): Promise<FetchedPolicy> {
  const table = { A: { [`mta-sts.${domain}`]: addresses ?? ({ status: "insecure", records: [ADDRESS] } as const) } };
  const fetcher = createPolicyFetcher({
    resolver: new FakeResolver(table),
    roots: [root.certificatePem],
    allowLoopback: true,
    port,
    ...options,
  });
  return fetcher(name(domain), new AbortController().signal);
}

function said(fetched: FetchedPolicy): string {
  return fetched.kind === "policy" ? fetched.policy.mode : `${fetched.failure}: ${fetched.reason}`;
}

test("a policy: GET of the well-known path, SNI and Host of the policy host", async () => {
  const opened = await host(serves(POLICY));
  assert.deepEqual(await fetchFrom(opened.port), {
    kind: "policy",
    policy: { mode: "enforce", maxAgeSeconds: 604_800, mx: ["mx.example.org"] },
  });
  assert.deepEqual(opened.requests, [{ servername: HOST, host: HOST, path: "/.well-known/mta-sts.txt" }]);
});

const redirects =
  (status: number): RequestListener =>
  (_, response) => {
    response.writeHead(status, { location: "https://mta-sts.example.org/other" });
    response.end();
  };
const withStatus =
  (status: number): RequestListener =>
  (_, response) => {
    response.writeHead(status, { "content-type": "text/plain" });
    response.end(POLICY);
  };
const withHeaders =
  (headers: Record<string, string>): RequestListener =>
  (_, response) => {
    response.writeHead(200, { "content-type": "text/plain", ...headers });
    response.end(POLICY);
  };

const ANSWERS: readonly [shows: string, answer: RequestListener, expected: RegExp][] = [
  ["a chunked body", withHeaders({}), /^enforce$/],
  ["parameters of the media type", serves(POLICY, "text/plain; charset=utf-8; x=y"), /^enforce$/],
  ["the media type in upper case", serves(POLICY, "TEXT/PLAIN"), /^enforce$/],
  ["a redirect", redirects(301), /^sts-policy-fetch-error: .*status 301 \(redirects must not be followed\)$/],
  ["a temporary redirect", redirects(307), /^sts-policy-fetch-error: .*status 307/],
  ["404", withStatus(404), /^sts-policy-fetch-error: .*status 404$/],
  ["500", withStatus(500), /^sts-policy-fetch-error: .*status 500$/],
  ["201, with a policy", withStatus(201), /^sts-policy-fetch-error: .*status 201$/],
  ["206, with a part of it", withStatus(206), /^sts-policy-fetch-error: .*status 206$/],
  ["HTML", serves(POLICY, "text/html"), /^sts-policy-fetch-error: .*media type/],
  ["a media type that begins like text/plain", serves(POLICY, "text/plainer"), /^sts-policy-fetch-error: .*media type/],
  ["gzip", withHeaders({ "content-encoding": "gzip" }), /^sts-policy-fetch-error: .*encoded/],
  ["no policy in it", serves("hello\r\n"), /^sts-policy-invalid: .*line 1 is no field$/],
  ["an empty file", serves(""), /^sts-policy-invalid: /],
  ["64 KiB and more, announced", serves(`${POLICY}x: ${"a".repeat(65_536)}`), /^sts-policy-fetch-error: .*larger than 65536/],
  [
    "64 KiB and more, chunked",
    (_, response) => {
      response.writeHead(200, { "content-type": "text/plain" });
      for (let i = 0; i < 80; i += 1) response.write(`x: ${"a".repeat(1000)}\r\n`);
      response.end(POLICY);
    },
    /^sts-policy-fetch-error: .*larger than 65536/,
  ],
  [
    "a body that breaks off",
    (_, response) => {
      response.writeHead(200, { "content-type": "text/plain", "content-length": 10_000 });
      response.write(POLICY);
      setImmediate(() => response.socket?.end());
    },
    /^sts-policy-fetch-error: /,
  ],
  [
    "a chunked body that breaks off at the end of a line",
    ({ socket }) => {
      const length = Buffer.byteLength(POLICY).toString(16);
      socket.end(`HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n${length}\r\n${POLICY}\r\n`);
    },
    /^sts-policy-fetch-error: /,
  ],
  [
    "a body that ends with the connection: it may be cut",
    ({ socket }) => socket.end(`HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n${POLICY}`),
    /^sts-policy-fetch-error: .*length/,
  ],
  ["something that is no HTTP", ({ socket }) => socket.end("220 mail.example.org ESMTP\r\n"), /^sts-policy-fetch-error: /],
  ["a connection that is closed without an answer", ({ socket }) => socket.destroy(), /^sts-policy-fetch-error: /],
  [
    "another protocol",
    ({ socket }) => socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
    /^sts-policy-fetch-error: /,
  ],
  [
    "a header section without end",
    ({ socket }) => {
      socket.write("HTTP/1.1 200 OK\r\n");
      for (let i = 0; i < 40; i += 1) socket.write(`x-${i}: ${"a".repeat(1000)}\r\n`);
    },
    /^sts-policy-fetch-error: /,
  ],
];

for (const [shows, answer, expected] of ANSWERS) {
  test(`${shows}: ${expected.source}`, async () => {
    const opened = await host(answer);
    assert.match(said(await fetchFrom(opened.port)), expected);
    assert.equal(opened.requests.length, 1, "asked once");
  });
}

const CERTIFICATES: readonly [shows: string, certificate: MadeCertificate, expected: RegExp][] = [
  ["a wildcard for one label", makeLeaf({ names: ["*.example.org"], issuer: root }), /^enforce$/],
  [
    "another name",
    makeLeaf({ names: ["example.org", "www.example.org"], issuer: root }),
    /^sts-webpki-invalid: .*none of its DNS names/,
  ],
  ["the right common name, no DNS name", makeLeaf({ commonName: HOST, issuer: root }), /^sts-webpki-invalid: /],
  ["a wildcard inside the label", makeLeaf({ names: ["mta-*.example.org"], issuer: root }), /^sts-webpki-invalid: /],
  ["expired", makeLeaf({ names: [HOST], issuer: root, ...EXPIRED }), /^sts-webpki-invalid: .*expired/],
  ["self-signed", makeLeaf({ names: [HOST] }), /^sts-webpki-invalid: /],
  ["of an unknown CA", makeLeaf({ names: [HOST], issuer: makeAuthority({ commonName: "Other" }) }), /^sts-webpki-invalid: /],
];

for (const [shows, certificate, expected] of CERTIFICATES) {
  test(`a certificate that is ${shows}: ${expected.source}`, async () => {
    const opened = await host(serves(POLICY), certificate);
    assert.match(said(await fetchFrom(opened.port)), expected);
    assert.equal(opened.requests.length, expected.test("enforce") ? 1 : 0, "nothing is asked of a stranger");
  });
}

test("the CAs are those of the options only", async () => {
  const opened = await host(serves(POLICY));
  const roots = [makeAuthority({ commonName: "Other" }).certificatePem];
  assert.match(said(await fetchFrom(opened.port, { options: { roots } })), /^sts-webpki-invalid: /);
});

test("a server that says nothing: an end after the time limit", async () => {
  const opened = await host(() => undefined);
  const fetched = await fetchFrom(opened.port, { options: { timeoutMilliseconds: 200 } });
  assert.equal(said(fetched), `sts-policy-fetch-error: ${HOST}: no answer in time`);
});

test("a body that trickles: an end after the time limit", async () => {
  const opened = await host((_, response) => {
    response.writeHead(200, { "content-type": "text/plain" });
    const timer = setInterval(() => response.write("x: y\r\n"), 20);
    response.on("close", () => clearInterval(timer));
  });
  assert.match(said(await fetchFrom(opened.port, { options: { timeoutMilliseconds: 300 } })), /^sts-policy-fetch-error: /);
});

test("a server that never begins TLS: an end after the time limit", async () => {
  const silent = createServer((socket) => socket.on("error", () => socket.destroy()));
  await new Promise<void>((resolve) => silent.listen({ host: ADDRESS, port: 0 }, resolve));
  const address = silent.address();
  assert.ok(typeof address === "object" && address !== null);
  const fetched = await fetchFrom(address.port, { options: { timeoutMilliseconds: 200 } });
  silent.close();
  assert.equal(said(fetched), `sts-policy-fetch-error: ${HOST}: no answer in time`);
});

test("an address where nothing listens is followed by the next one", async () => {
  const opened = await host(serves(POLICY));
  const fetched = await fetchFrom(opened.port, { addresses: { status: "insecure", records: [DEAD_ADDRESS, ADDRESS] } });
  assert.equal(said(fetched), "enforce");
});

test("an address that the system refuses at once is followed by the next one", async () => {
  const opened = await host(serves(POLICY));
  // No packet leaves for it: TCP has no broadcast.
  const fetched = await fetchFrom(opened.port, { addresses: { status: "insecure", records: ["255.255.255.255", ADDRESS] } });
  assert.equal(said(fetched), "enforce");
});

test("a certificate that is not valid is not followed by another address", async () => {
  const opened = await host(serves(POLICY), makeLeaf({ names: [HOST] }));
  const fetched = await fetchFrom(opened.port, { addresses: { status: "insecure", records: [ADDRESS, DEAD_ADDRESS] } });
  assert.match(said(fetched), /^sts-webpki-invalid: /);
});

const LOOKUPS: readonly [shows: string, addresses: FakeAnswer<"A">, expected: RegExp][] = [
  ["no address", { status: "secure", absent: "nxdomain" }, /^sts-policy-fetch-error: mta-sts\.example\.org has no address$/],
  ["a look-up that failed", { status: "fail" }, /^sts-policy-fetch-error: .*could not be looked up$/],
  ["a forged answer", { status: "bogus" }, /^sts-policy-fetch-error: .*could not be looked up$/],
];
for (const [shows, addresses, expected] of LOOKUPS)
  test(`${shows}: ${expected.source}`, async () => assert.match(said(await fetchFrom(1, { addresses })), expected));

test("without allowLoopback no address of this machine or network is connected to", async () => {
  const opened = await host(serves(POLICY));
  for (const address of [ADDRESS, "10.0.0.1", "169.254.169.254"]) {
    const addresses = { status: "secure", records: [address] } as const;
    const fetched = await fetchFrom(opened.port, { addresses, options: { allowLoopback: false } });
    assert.equal(said(fetched), `sts-policy-fetch-error: ${HOST} has only addresses that are not public (${address})`);
  }
  assert.equal(opened.requests.length, 0);
});

test("a domain whose policy host would have too long a name", async () => {
  const domain = `${"a".repeat(60)}.${"b".repeat(60)}.${"c".repeat(60)}.${"d".repeat(60)}.example`;
  assert.match(said(await fetchFrom(1, { domain })), /^sts-policy-fetch-error: .* is no name/);
});

test("an abort ends a fetch", async () => {
  const opened = await host(() => abort.abort());
  const abort = new AbortController();
  const resolver = new FakeResolver({ A: { [HOST]: { status: "insecure", records: [ADDRESS] } } });
  const fetcher = createPolicyFetcher({ resolver, roots: [root.certificatePem], allowLoopback: true, port: opened.port });
  assert.equal((await fetcher(DOMAIN, abort.signal)).kind, "failed");
});
