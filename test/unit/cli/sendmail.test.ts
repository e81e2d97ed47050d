import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parseSendmailArguments, type SendmailArguments } from "../../../src/cli/sendmailArguments.ts";
import { prepareMessage } from "../../../src/cli/sendmailMessage.ts";
import { startSubmission, withoutTrace } from "../../fake/submissionServer.ts";

const HOST = "127.116.4.1";
const MAIN = join(import.meta.dirname, "..", "..", "..", "src", "main.ts");
const FOLDER = mkdtempSync(join(tmpdir(), "dane-relay-sendmail-"));
after(() => rmSync(FOLDER, { recursive: true, force: true }));

/** As a program calls it. */
async function sendmail(
  args: readonly string[],
  message: string | Buffer,
  environment: Readonly<Record<string, string>> = {},
): Promise<{ status: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [MAIN, "sendmail", ...args], {
    cwd: FOLDER,
    env: { DANE_RELAY_HOSTNAME: "app.example", LOGNAME: "www-data", ...environment },
  });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk) => {
    out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    err += chunk;
  });
  // A usage error ends it before it has read anything.
  child.stdin.on("error", () => undefined);
  child.stdin.end(message);
  const [status] = await once(child, "close");
  return { status, out, err };
}

const NONE: SendmailArguments = {
  ...{ sender: undefined, fullName: undefined, recipients: [], fromHeader: "no", dots: "end", notify: undefined },
  ...{ returnContent: undefined, envelopeId: undefined, mode: "deliver", server: undefined, config: undefined },
};

const ARGUMENTS: readonly { words: string; expected: Partial<SendmailArguments> | RegExp }[] = [
  { words: "-t -i", expected: { fromHeader: "yes", dots: "content" } },
  { words: "-ti", expected: { fromHeader: "yes", dots: "content" } },
  { words: "-FCronDaemon -i -B8BITMIME -oem root", expected: { fullName: "CronDaemon", dots: "content", recipients: ["root"] } },
  {
    words: "-fjoe@a.example -oi a@b.example",
    expected: { sender: "joe@a.example", dots: "content", recipients: ["a@b.example"] },
  },
  { words: "-f joe@a.example -- -t", expected: { sender: "joe@a.example", recipients: ["-t"] } },
  { words: "-f <>", expected: { sender: "" } },
  { words: "-r <joe@a.example>", expected: { sender: "joe@a.example" } },
  { words: "-N success,failure -R hdrs -V id", expected: { notify: "SUCCESS,FAILURE", returnContent: "HDRS", envelopeId: "id" } },
  { words: "-bm -v -U -G -O DeliveryMode=b -h 3 -d8.1 -L tag -X /dev/null", expected: {} },
  { words: "-OIgnoreDots", expected: { dots: "content" } },
  { words: "-bs", expected: { mode: "session" } },
  { words: "-q30m", expected: { mode: "nothing" } },
  { words: "--server 127.0.0.1:25 --config=x.yaml", expected: { server: "127.0.0.1:25", config: "x.yaml" } },
  { words: "-f", expected: /-f lacks its value/ },
  { words: "-bp", expected: /queue list/ },
  { words: "-bd", expected: /-bd/ },
  { words: "-Z", expected: /-Z is unknown/ },
  { words: "-N sometimes", expected: /-N takes/ },
  { words: "-R all", expected: /-R takes/ },
  { words: "--port 25", expected: /--port is unknown/ },
  { words: "--server 127.0.0.1:25 -t --server=192.0.2.1:25", expected: /--server is given twice/ },
  { words: "--config a.yaml -t --config b.yaml", expected: /--config is given twice/ },
];

for (const { words, expected } of ARGUMENTS) {
  test(`sendmail ${words}`, () => {
    const parsed = parseSendmailArguments(words.split(" "));
    if (expected instanceof RegExp) assert.match(parsed.kind === "usage" ? parsed.reason : "parsed", expected);
    else assert.deepEqual(parsed, { kind: "parsed", arguments: { ...NONE, ...expected } });
  });
}

const WISHES = { fromHeader: "yes", dots: "content", author: "w@app.example", fullName: undefined } as const;
const MESSAGES: readonly { name: string; input: string; wishes?: object; content: string; recipients?: readonly string[] }[] = [
  {
    name: "Bcc is taken out, To and Cc stay, folded ones too",
    input: "To: a@x.example,\n b@x.example\nBCC: c@x.example,\n\td@x.example\nCc: e@x.example\nFrom: f@x.example\n\nbody\n",
    content: "To: a@x.example,\r\n b@x.example\r\nCc: e@x.example\r\nFrom: f@x.example\r\n\r\nbody\r\n",
    recipients: ["a@x.example", "b@x.example", "c@x.example", "d@x.example", "e@x.example"],
  },
  {
    name: "names, comments, quotes, groups, routes",
    input:
      'To: "Doe, Joe" <a@x.example>, Team: b@x.example, (x, <y>) c@x.example;, "odd @ one"@x.example, root, <e@[192.0.2.1]>\nFrom: f\n\n',
    content:
      'To: "Doe, Joe" <a@x.example>, Team: b@x.example, (x, <y>) c@x.example;, "odd @ one"@x.example, root, <e@[192.0.2.1]>\r\nFrom: f\r\n\r\n',
    recipients: ["a@x.example", "b@x.example", "c@x.example", '"odd @ one"@x.example', "root", "e@[192.0.2.1]"],
  },
  {
    name: "Resent fields count alone where there are any",
    input: "Resent-To: a@x.example\nResent-Bcc: b@x.example\nTo: c@x.example\nFrom: f\n\n",
    content: "Resent-To: a@x.example\r\nTo: c@x.example\r\nFrom: f\r\n\r\n",
    recipients: ["a@x.example", "b@x.example"],
  },
  {
    name: "undisclosed recipients are none",
    input: "To: undisclosed-recipients:;\nFrom: f\n\n",
    content: "To: undisclosed-recipients:;\r\nFrom: f\r\n\r\n",
  },
  { name: "CRLF stays CRLF", input: "From: f\r\n\r\na\r\nb", content: "From: f\r\n\r\na\r\nb\r\n" },
  {
    name: "From is made where there is none",
    input: "Subject: x\n\nbody\n",
    content: "Subject: x\r\nFrom: w@app.example\r\n\r\nbody\r\n",
  },
  {
    name: "with the name of -F",
    input: "\nbody\n",
    wishes: { fullName: 'The "App"' },
    content: 'From: "The \\"App\\"" <w@app.example>\r\n\r\nbody\r\n',
  },
  { name: "no header at all", input: "just text\n", content: "From: w@app.example\r\n\r\njust text\r\n" },
  { name: "the null sender makes no From", input: "Subject: x\n\n", wishes: { author: "" }, content: "Subject: x\r\n\r\n" },
  {
    name: "mbox's separator goes",
    input: "From w Sun Nov 22 01:00:00 2026\nFrom: f\n\nFrom here\n",
    content: "From: f\r\n\r\nFrom here\r\n",
  },
  {
    name: "Bcc is shown to nobody without -t either, and names no recipients then",
    input: "Bcc: a@x.example,\n b@x.example\nResent-Bcc: c@x.example\nFrom: f\n\n",
    wishes: { fromHeader: "no" },
    content: "From: f\r\n\r\n",
  },
  {
    name: "a sender in From is UTF-8, and its characters are no line ends",
    input: "\nbody\n",
    wishes: { author: "a\u010d\u010aBcc@app.example" },
    content: "From: a\u010d\u010aBcc@app.example\r\n\r\nbody\r\n",
  },
  {
    name: "white space and comments around dots and @ mean nothing, words that they keep apart are no one word",
    input: 'To: a . b @ x.example, joe (x) smith@x.example, <c @ x . example>, <d e@x.example>, "f . g"@x.example\nFrom: f\n\n',
    content:
      'To: a . b @ x.example, joe (x) smith@x.example, <c @ x . example>, <d e@x.example>, "f . g"@x.example\r\nFrom: f\r\n\r\n',
    recipients: ["a.b@x.example", "joe smith@x.example", "c@x.example", "d e@x.example", '"f . g"@x.example'],
  },
  { name: "a dot alone is content with -i", input: "From: f\n\na\n.\nb\n", content: "From: f\r\n\r\na\r\n.\r\nb\r\n" },
  { name: "and the end without", input: "From: f\n\na\n.\nb\n", wishes: { dots: "end" }, content: "From: f\r\n\r\na\r\n" },
];

for (const { name, input, wishes, content, recipients = [] } of MESSAGES) {
  test(`a message: ${name}`, () => {
    const prepared = prepareMessage(Buffer.from(input), { ...WISHES, ...wishes });
    assert.deepEqual(
      prepared.kind === "message" ? { content: String(prepared.content), recipients: prepared.recipients } : prepared,
      { content, recipients },
    );
  });
}

for (const [value, reason] of [
  ["<a@x.example", /not closed/],
  ["a (b", /comment/],
  ['"a', /quoted/],
  ["a> b", /without an opening/],
  ["<a@x.example> b@x.example", /other than a comma behind/],
  ["<a@x.example> <b@x.example>", /other than a comma behind/],
] as const) {
  test(`a recipient field that cannot be read: ${value}`, () => {
    const prepared = prepareMessage(Buffer.from(`To: ${value}\n\n`), WISHES);
    assert.match(prepared.kind === "unusable" ? prepared.reason : "", reason);
  });
}

test("the message arrives as it is, at the configured listener, though the configuration names files that this user may not read", async () => {
  await using server = await startSubmission(HOST);
  const config = join(FOLDER, "relay.yaml");
  writeFileSync(
    config,
    `hostname: app.example\nsubmission:\n  listen: ["${server.address}"]\n  tls: {certificateFile: /nowhere/c, keyFile: /nowhere/k}\n`,
  );
  const message =
    "To: a@dest.example\nBcc: b@dest.example\nFrom: App <app@app.example>\nDate: d\nMessage-ID: <m>\n\n.dot\n\u00e4\n";
  const sent = await sendmail(
    ["-t", "-i", "-f", "bounce@app.example", "-N", "failure", "-R", "hdrs", "--config", config],
    message,
  );
  assert.deepEqual(sent, { status: 0, out: "", err: "" });
  const queued = await server.queued();
  assert.equal(queued.length, 1);
  const [{ work, content } = assert.fail()] = queued;
  assert.equal(work.envelope.sender, "bounce@app.example");
  assert.equal(work.envelope.returnContent, "HDRS");
  assert.deepEqual(
    work.recipients.map(({ address, notify }) => [address, notify]),
    [
      ["a@dest.example", ["FAILURE"]],
      ["b@dest.example", ["FAILURE"]],
    ],
  );
  const expected = "To: a@dest.example\r\nFrom: App <app@app.example>\r\nDate: d\r\nMessage-ID: <m>\r\n\r\n.dot\r\n\u00e4\r\n";
  assert.equal(Buffer.from(withoutTrace(content), "latin1").toString(), expected);
});

test("exit statuses: usage, data, refused, try again, configuration; local names get this host's", async () => {
  await using server = await startSubmission(HOST, { maxRecipients: 1 });
  const to = ["--server", server.address];
  const cases: readonly [readonly string[], string, number, RegExp][] = [
    [[...to], "Subject: x\n\n", 64, /no recipient/],
    [["-Z", ...to], "", 64, /-Z/],
    [["--server", "nowhere", "a@dest.example"], "\n", 64, /IP:PORT/],
    [[...to, "a@@dest.example"], "\n", 65, /a@@dest/],
    [["-t", ...to], "To: <a\n\n", 65, /not closed/],
    [["-t", ...to], "To: a b@dest.example\n\n", 65, /needs quoting/],
    [["-f", "a@b.example\r\nRCPT TO:<c@d.example>", ...to, "a@dest.example"], "\n", 65, /U\+000D/],
    [[...to, "a@dest.example", "b@dest.example"], "\n", 75, /452 4\.5\.3/],
    [["--server", `${HOST}:1`, "a@dest.example"], "\n", 75, /cannot be reached/],
    [["--config", "missing.yaml", "a@dest.example"], "\n", 78, /does not exist/],
    [["-q"], "", 0, /^$/],
    [[...to, "-FCron", "root"], "Subject: cron\n\noutput\n", 0, /^$/],
  ];
  for (const [args, message, status, err] of cases) {
    const sent = await sendmail(args, message);
    assert.equal(sent.status, status, sent.err);
    assert.match(sent.err, err);
  }
  const stored = await server.queued();
  assert.deepEqual(
    stored.map(({ work }) => [work.envelope.sender, work.recipients[0].address]),
    [["www-data@app.example", "root@app.example"]],
  );
  server.listener.limit({ trustedNetworks: [], maxMessageBytes: 100_000, maxRecipients: 1, maxConnections: 5 });
  assert.equal((await sendmail([...to, "a@dest.example"], "\n")).status, 69);
});

test("-bs is SMTP on standard input and output", async () => {
  await using server = await startSubmission(HOST);
  const said =
    "EHLO x.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@dest.example>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n";
  const sent = await sendmail(["-bs", "--server", server.address], said);
  assert.equal(sent.status, 0);
  assert.match(sent.out, /^220 [\s\S]*\r\n354 [\s\S]*\r\n250 2\.0\.0 queued as [0-9A-Z]+\r\n221 /);
  assert.equal((await server.queued()).length, 1);
});
