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

/** SIGHUP to the process: a connection is held open in the middle of a message across every reload. */

const MAIN = join(import.meta.dirname, "..", "..", "..", "src", "main.ts");
const FOLDER = mkdtempSync(join(tmpdir(), "dane-relay-reload-"));
after(() => rmSync(FOLDER, { recursive: true, force: true }));
const HOST = "127.27.2.1";
const FILE = join(FOLDER, "relay.yaml");

type Line = { event: string; level: string; key?: string; state?: string; reason?: string };

function configure(changes: { submission?: string; delivery?: string; more?: string }): void {
  const yaml = [
    "hostname: relay.example",
    `submission: {listen: ['${HOST}:2525'], tls: {certificateFile: cert.pem, keyFile: key.pem}, ${changes.submission ?? ""}}`,
    `spool: file:${join(FOLDER, "spool")}`,
    // Nobody answers there: whatever is queued stays.
    "resolver: {mode: forward, upstreams: [127.27.2.254], timeoutSeconds: 1}",
    `delivery: {${changes.delivery ?? ""}}`,
    `admin: {listen: '${HOST}:9025'}`,
    changes.more ?? "",
  ];
  writeFileSync(FILE, yaml.join("\n"));
}

function certify(name: string): Buffer {
  const made = makeCertificate({ commonName: name, names: [name] });
  writeFileSync(join(FOLDER, "cert.pem"), made.certificatePem);
  writeFileSync(join(FOLDER, "key.pem"), made.keyPem);
  return made.der;
}

function serve(): { child: ChildProcess; next: (wanted: (line: Line) => boolean) => Promise<Line> } {
  const child = spawn(process.execPath, [MAIN, "serve", "--config", FILE], {
    cwd: FOLDER,
    stdio: ["ignore", "pipe", "inherit"],
    env: {},
  });
  const unread: Line[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (text) => unread.push(JSON.parse(text)));
  const next = async (wanted: (line: Line) => boolean): Promise<Line> => {
    for (;;) {
      for (let line = unread.shift(); line !== undefined; line = unread.shift()) if (wanted(line)) return line;
      await once(lines, "line", { signal: AbortSignal.timeout(60_000) });
    }
  };
  return { child, next };
}

async function exceptions(): Promise<string | undefined> {
  const metrics = await (await fetch(`http://${HOST}:9025/metrics`)).text();
  return /^dane_relay_policy_exceptions_active (\d+)$/m.exec(metrics)?.[1];
}

test("SIGHUP: what can change does, what cannot is told, what is wrong changes nothing; the open connection sees all of it", async () => {
  certify("first.example");
  configure({ submission: "maxRecipients: 100" });
  const { child, next } = serve();
  const exit = once(child, "exit");
  const config = (state: string) => (line: Line) => line.event === "config" && line.state === state;
  await next(({ event }) => event === "start");
  const client = await SmtpClient.open(`${HOST}:2525`);
  await client.command("MAIL FROM:<a@sender.example>");
  await client.command("RCPT TO:<u@dest.example>");
  await client.command("DATA");
  client.write("Subject: held open\r\n\r\nbefore\r\n");
  assert.equal(await exceptions(), "0");

  const renewed = certify("second.example");
  configure({
    submission: "maxMessageBytes: 70000, maxRecipients: 100",
    delivery: "tlsPolicies: [{domain: a.example, level: may, reason: r, expires: 2999-01-01}], port: 26",
    more: "log: {format: text}",
  });
  child.kill("SIGHUP");
  const format = await next(({ key }) => key === "log.format");
  assert.match(format.reason ?? "", /goes on with the old value until it is restarted/);
  const reloaded = await next(config("reloaded"));
  assert.equal(reloaded.level, "info");
  assert.equal(reloaded.reason, "submission.maxMessageBytes, delivery.port, delivery.tlsPolicies");
  assert.equal(await exceptions(), "1");
  const fresh = await SmtpClient.connect(`${HOST}:2525`);
  await fresh.reply();
  assert.match(await fresh.command("EHLO client.example"), /SIZE 70000$/m);
  await fresh.command("STARTTLS");
  assert.deepEqual((await fresh.secure()).getPeerX509Certificate()?.raw, renewed);

  configure({ submission: "maxMessageBytes: 1", delivery: "tlsPolicies: [{domain: b.example, level: may}]" });
  child.kill("SIGHUP");
  const errors = [await next(config("refused")), await next(config("refused"))];
  assert.deepEqual(
    errors.map(({ level, key }) => [level, key]),
    [
      ["error", "submission.maxMessageBytes"],
      ["error", "delivery.tlsPolicies[0]"],
    ],
  );
  assert.match(errors[1]?.reason ?? "", /^nothing was reloaded: .*relay\.yaml:5: lacks expires/);

  configure({ delivery: "port: 27" });
  writeFileSync(join(FOLDER, "key.pem"), "no key");
  child.kill("SIGHUP");
  const refused = await next(config("refused"));
  assert.equal(refused.key, "submission.tls.certificateFile");
  assert.equal(await exceptions(), "1");

  assert.match(await client.command("after\r\n."), /^250 2\.0\.0 queued as /);
  child.kill("SIGTERM");
  assert.deepEqual(await exit, [0, null]);
});
