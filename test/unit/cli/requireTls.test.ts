import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { makeCertificate } from "../../fake/certificates.ts";
import { SmtpClient } from "../../fake/smtpClient.ts";
import { startPeer } from "../../fake/smtpPeer.ts";

/**
 * RFC 8689 through the whole process, from submission to the next hop, which is an address: neither DANE nor PKIX can authenticate that, and
 * no DNS is asked.
 */
const MAIN = join(import.meta.dirname, "..", "..", "..", "src", "main.ts");
const FOLDER = mkdtempSync(join(tmpdir(), "dane-relay-requiretls-"));
after(() => rmSync(FOLDER, { recursive: true, force: true }));
const HOST = "127.27.3.1";

type Line = { event: string; [field: string]: unknown };

function serve(nextHop: string): { child: ChildProcess; line: (wanted: (line: Line) => boolean) => Promise<Line> } {
  const made = makeCertificate({ commonName: "relay.example", names: ["relay.example"] });
  writeFileSync(join(FOLDER, "cert.pem"), made.certificatePem);
  writeFileSync(join(FOLDER, "key.pem"), made.keyPem);
  const child = spawn(process.execPath, [MAIN, "serve"], {
    cwd: FOLDER,
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      DANE_RELAY_HOSTNAME: "relay.example",
      DANE_RELAY_SUBMISSION_LISTEN: `${HOST}:2525`,
      DANE_RELAY_SUBMISSION_TLS_CERTIFICATE_FILE: "cert.pem",
      DANE_RELAY_SUBMISSION_TLS_KEY_FILE: "key.pem",
      DANE_RELAY_SUBMISSION_TLS_LISTEN: `${HOST}:4465`,
      DANE_RELAY_ADMIN_LISTEN: `${HOST}:9025`,
      DANE_RELAY_RESOLVER_MODE: "forward",
      DANE_RELAY_RESOLVER_UPSTREAMS: "127.27.3.254",
      DANE_RELAY_DELIVERY_ROUTES: JSON.stringify([{ domain: "*", nextHop }]),
    },
  });
  const seen: Line[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (text) => seen.push(JSON.parse(text)));
  const line = async (wanted: (line: Line) => boolean): Promise<Line> => {
    for (;;) {
      const found = seen.find(wanted);
      if (found !== undefined) return found;
      await once(lines, "line", { signal: AbortSignal.timeout(60_000) });
    }
  };
  return { child, line };
}

async function submit(client: SmtpClient, parameters: string, recipient: string, header: string): Promise<void> {
  assert.match(await client.command(`MAIL FROM:<a@sender.example>${parameters}`), /^250/);
  assert.match(await client.command(`RCPT TO:<${recipient}>`), /^250/);
  await client.command("DATA");
  assert.match(await client.command(`${header}Subject: x\r\n\r\nbody\r\n.`), /^250/);
}

test("REQUIRETLS bounces at once where nothing authenticates, and its notice is held to it too; TLS-Required: No is delivered", async (t) => {
  const peer = await startPeer({ address: HOST });
  t.after(() => peer.close());
  const { child, line } = serve(`[${HOST}]:${peer.port}`);
  const exit = once(child, "exit");
  await line(({ event }) => event === "start");
  const delivery = (recipient: string) => (of: Line) => of.event === "delivery" && of.recipient === recipient;

  const client = await SmtpClient.connectTls(`${HOST}:4465`);
  await client.reply();
  await client.command("EHLO client.example");
  await submit(client, " REQUIRETLS", "required@dest.example", "TLS-Required: No\r\n");
  const failed = await line(delivery("required@dest.example"));
  assert.deepEqual([failed.outcome, failed.status, failed.tls], ["failed", "5.7.10", "!dane-only:notlsa"]);
  assert.equal((await line(({ event, id }) => event === "accepted" && id === failed.id)).tlsRequired, "yes");
  assert.equal((await line(({ event }) => event === "bounce")).about, failed.id);
  const notice = await line(delivery("a@sender.example"));
  assert.deepEqual([notice.outcome, notice.status], ["deferred", "4.7.5"]);
  assert.deepEqual(peer.sessions, [], "the next hop heard of it");

  await submit(client, "", "optional@dest.example", "TLS-Required: No\r\n");
  const delivered = await line(delivery("optional@dest.example"));
  assert.deepEqual([delivered.outcome, delivered.tls], ["delivered", "may:none"]);
  assert.equal((await line(({ event, id }) => event === "accepted" && id === delivered.id)).tlsRequired, "no");
  assert.match(
    String(peer.messages[0]?.content),
    /^Received: .*\r\n\tby relay\.example with ESMTPS [\s\S]*TLS-Required: No\r\n/m,
  );

  child.kill("SIGTERM");
  assert.deepEqual(await exit, [0, null]);
});
