import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { createServer, type Server } from "node:tls";
import { presentTlsa } from "../../src/dane/tlsa.ts";
import { chainPem } from "../fake/certificates.ts";
import { HOST, type MatchCase, matchCases } from "../unit/dane/matchCases.ts";

/**
 * The cases of the certificate matcher, played by OpenSSL itself: a TLS server that sends the chain, `openssl s_client` with the records.
 * Where OpenSSL decides otherwise than we do, the case has to say why.
 */
const ADDRESS = "127.0.0.1";
const AT_ONCE = 4;
const CLIENT_MILLISECONDS = 10_000;
/** Anything that a server can serve is served: what is too weak is for the client to say. */
const ANY_STRENGTH = "DEFAULT:@SECLEVEL=0";

type Seen = { match: number } | "mismatch";

function listen(testCase: MatchCase): Promise<Server> {
  const [leaf] = testCase.chain;
  const server = createServer({ key: leaf.keyPem, cert: chainPem(...testCase.chain), ciphers: ANY_STRENGTH }, (socket) => {
    socket.on("error", () => socket.destroy());
    socket.end();
  });
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, ADDRESS, () => resolve(server));
  });
}

/** What `openssl s_client` prints; it exits at once because its input is empty. */
function runClient(port: number, testCase: MatchCase): Promise<string> {
  const records = testCase.records.flatMap((record) => ["-dane_tlsa_rrdata", presentTlsa(record)]);
  const options = ["-dane_tlsa_domain", HOST, ...records, "-dane_ee_no_namechecks"];
  const strength = ["-auth_level", "1", "-cipher", ANY_STRENGTH];
  const args = ["s_client", "-brief", "-connect", `${ADDRESS}:${port}`, ...options, ...strength];
  return new Promise((resolve, reject) => {
    const child = execFile("openssl", args, { timeout: CLIENT_MILLISECONDS }, (error, stdout, stderr) => {
      if (error !== null && "code" in error && error.code === "ENOENT")
        reject(new Error("openssl is not installed", { cause: error }));
      else resolve(stdout + stderr);
    });
    child.stdin?.end();
  });
}

function seenIn(output: string): Seen {
  if (/^Verification: OK$/m.test(output)) {
    const depth = /^DANE TLSA .* at depth ([0-9]+)$/m.exec(output)?.[1] ?? /at depth ([0-9]+)/.exec(output)?.[1];
    assert.notEqual(depth, undefined, output);
    return { match: Number(depth) };
  }
  assert.match(output, /^Verification error: /m);
  return "mismatch";
}

async function play(testCase: MatchCase): Promise<string | undefined> {
  const server = await listen(testCase);
  try {
    const { port } = server.address() as AddressInfo;
    const output = await runClient(port, testCase);
    const ours: Seen = "match" in testCase.expect ? testCase.expect : "mismatch";
    const expected = testCase.openssl?.verdict ?? ours;
    const seen = seenIn(output);
    if (JSON.stringify(seen) === JSON.stringify(expected)) return undefined;
    return `${testCase.name}: expected ${JSON.stringify(expected)}, OpenSSL says ${JSON.stringify(seen)}\n${output}`;
  } finally {
    server.close();
  }
}

test("OpenSSL's DANE code gives the same verdicts", async () => {
  const waiting = [...matchCases];
  const differences: string[] = [];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const difference = await play(next);
      if (difference !== undefined) differences.push(difference);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  assert.deepEqual(differences, [], differences.join("\n"));
});
