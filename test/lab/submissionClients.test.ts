import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import nodemailer from "nodemailer";
import { makeAuthority, makeLeaf } from "../fake/certificates.ts";
import { startSubmission } from "../fake/submissionServer.ts";
import { makeUser, openUsers } from "../fake/submissionUsers.ts";

/**
 * What applications hand their mail over with, against a real listener: nodemailer, Python's smtplib, msmtp, swaks, and PHP's mail() through
 * `dane-relay sendmail`; in clear text from a trusted address, by STARTTLS and by TLS from the first octet with a log-in from one that is not.
 */
const HOST = "127.116.5.1";
const FOLDER = mkdtempSync(join(tmpdir(), "dane-relay-clients-"));
after(() => rmSync(FOLDER, { recursive: true, force: true }));
const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts");
const CA = makeAuthority({ commonName: "Lab CA" });
const LEAF = makeLeaf({ names: ["relay.example"], issuer: CA });
const certificate = { cert: LEAF.certificatePem + CA.certificatePem, key: LEAF.keyPem };
const CA_FILE = join(FOLDER, "ca.pem");
writeFileSync(CA_FILE, CA.certificatePem);
const USER = await makeUser("shop@example.org", "pass word+/=");
const PASSWORD = "pass word+/=";

const WAYS = ["clear", "starttls", "implicit"] as const;
type Way = (typeof WAYS)[number];
type Submit = (way: Way, port: string, recipient: string) => Promise<void>;

/** Runs a program to its end; a status other than 0 fails the test with what it said. */
async function run(
  program: string,
  args: readonly string[],
  input = "",
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  const child = spawn(program, args, { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: FOLDER, ...environment } });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk) => {
      said += chunk;
    });
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const [status] = await once(child, "close");
  assert.equal(status, 0, `${program}: ${said}`);
}

const MESSAGE = "From: a@sender.example\r\nSubject: x\r\n\r\n.dot\r\nbody\r\n";

const PYTHON = `
import smtplib, ssl, sys
way, host, port, recipient, ca, user, password = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.check_hostname = False
if way == "implicit":
    server = smtplib.SMTP_SSL(host, int(port), context=context)
else:
    server = smtplib.SMTP(host, int(port))
if way == "starttls":
    server.starttls(context=context)
if way != "clear":
    server.login(user, password)
server.sendmail("a@sender.example", [recipient], ${JSON.stringify(MESSAGE)})
server.quit()
`;

const CLIENTS: Readonly<Record<string, Submit>> = {
  async nodemailer(way, port, recipient) {
    const transport = nodemailer.createTransport({
      ...{
        host: HOST,
        port: Number(port),
        secure: way === "implicit",
        ignoreTLS: way === "clear",
        requireTLS: way === "starttls",
      },
      ...(way === "clear" ? {} : { auth: { user: USER.name, pass: PASSWORD } }),
      tls: { ca: CA.certificatePem, servername: "relay.example" },
    });
    await transport.sendMail({ from: "a@sender.example", to: recipient, subject: "x", text: ".dot\nbody" });
    transport.close();
  },
  "Python smtplib": (way, port, recipient) =>
    run("/usr/bin/python3", ["-c", PYTHON, way, HOST, port, recipient, CA_FILE, USER.name, PASSWORD]),
  msmtp: (way, port, recipient) => {
    const tls = ["--tls=on", "--tls-certcheck=off", `--tls-starttls=${way === "starttls" ? "on" : "off"}`];
    const auth = ["--auth=on", `--user=${USER.name}`, `--passwordeval=printf '%s' '${PASSWORD}'`];
    const options = way === "clear" ? ["--tls=off", "--auth=off"] : [...tls, ...auth];
    return run("/usr/bin/msmtp", [`--host=${HOST}`, `--port=${port}`, ...options, "--from=a@sender.example", recipient], MESSAGE);
  },
  ...Object.fromEntries(
    ["PLAIN", "LOGIN"].map((mechanism): [string, Submit] => [
      `swaks with ${mechanism}`,
      (way, port, recipient) => {
        const tls = { clear: [], starttls: ["--tls"], implicit: ["--tls-on-connect"] }[way];
        const auth = way === "clear" ? [] : ["--auth", mechanism, "--auth-user", USER.name, "--auth-password", PASSWORD];
        const to = ["--server", HOST, "--port", port, "--from", "a@sender.example", "--to", recipient];
        return run("/usr/bin/swaks", [...to, ...tls, ...auth, "--data", "Subject: x\\n\\nbody\\n"]);
      },
    ]),
  ),
};

for (const [name, submit] of Object.entries(CLIENTS)) {
  test(`${name}: clear text, STARTTLS and implicit TLS, the last two with AUTH`, async () => {
    using users = await openUsers(join(FOLDER, "users"), [USER]);
    const { authenticator } = users;
    const shared = { certificate, authenticator, implicitTlsListen: [`${HOST}:0`] };
    for (const way of WAYS) {
      await using server = await startSubmission(HOST, { ...shared, trustedNetworks: way === "clear" ? ["127.0.0.0/8"] : [] });
      const [starttls = "", implicit = ""] = server.listener.addresses();
      const port = (way === "implicit" ? implicit : starttls).split(":")[1] ?? "";
      await submit(way, port, "u@dest.example");
      const [stored, ...more] = await server.queued();
      assert.equal(more.length, 0);
      assert.equal(stored?.work.recipients[0].address, "u@dest.example", way);
      const kind = { clear: "ESMTP", starttls: "ESMTPSA", implicit: "ESMTPSA" }[way];
      assert.match(String(stored?.content), new RegExp(`\\r\\n\\tby relay\\.example with ${kind} id `), way);
      assert.match(String(stored?.content), /\r\nbody\r\n/);
    }
  });
}

/** What a container has at /usr/sbin/sendmail. */
function wrapper(address: string): string {
  const file = join(FOLDER, "sendmail");
  const words = [process.execPath, MAIN, "sendmail", "--server", address].map((word) => `'${word}'`).join(" ");
  writeFileSync(file, `#!/bin/sh\nDANE_RELAY_HOSTNAME=app.example exec ${words} "$@"\n`);
  chmodSync(file, 0o755);
  return file;
}

test("PHP mail(), with and without -f, and cron's way of calling sendmail", async () => {
  await using server = await startSubmission(HOST);
  const sendmail = wrapper(server.address);
  const php = `exit(mail("Joe <u@dest.example>", "subject \u00fc", "line\\n.\\n.dot\\nend", "From: Shop <shop@app.example>\\r\\nBcc: b@dest.example"%) ? 0 : 1);`;
  const settings = ["-d", `sendmail_path=${sendmail} -t -i`];
  await run("/usr/bin/php", [...settings, "-r", php.replace("%", "")]);
  await run("/usr/bin/php", [...settings, "-r", php.replace("%", ', "-fbounce@app.example"')]);
  await run(
    sendmail,
    ["-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root"],
    "From: root (Cron Daemon)\nTo: root\nSubject: Cron\n\nout\n",
    {
      LOGNAME: "root",
    },
  );
  const stored = await server.queued();
  const envelopes = stored.map(({ work }) => [work.envelope.sender, ...work.recipients.map(({ address }) => address)]);
  assert.deepEqual(
    envelopes.map((envelope) => envelope.slice(1)),
    [["u@dest.example", "b@dest.example"], ["u@dest.example", "b@dest.example"], ["root@app.example"]],
  );
  assert.deepEqual([envelopes[1]?.[0], envelopes[2]?.[0]], ["bounce@app.example", "root@app.example"]);
  const text = String(stored[0]?.content);
  assert.match(text, /\r\nFrom: Shop <shop@app\.example>\r\n/);
  assert.doesNotMatch(text, /Bcc/i);
  assert.match(text, /\r\n\r\nline\r\n\.\r\n\.dot\r\nend\r\n$/);
});
