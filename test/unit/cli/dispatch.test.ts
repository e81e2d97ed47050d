import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

/** The command line as its users have it: a process, its words and its exit status. */

const MAIN = join(import.meta.dirname, "..", "..", "..", "src", "main.ts");
const FOLDER = mkdtempSync(join(tmpdir(), "dane-relay-cli-"));

/** Runs in an empty folder, so that no config/relay.yaml is there. */
function run(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): { status: number | null; out: string; err: string } {
  const result = spawnSync(process.execPath, [MAIN, ...args], {
    cwd: FOLDER,
    env: environment,
    encoding: "utf8",
    timeout: 60_000,
  });
  return { status: result.status, out: result.stdout, err: result.stderr };
}

const USAGE: readonly { args: readonly string[]; status: number; out?: RegExp; err?: RegExp }[] = [
  { args: ["--help"], status: 0, out: /^usage:\n {2}dane-relay serve \[--config FILE\]\n[\s\S]*dane-relay config check\|print/ },
  { args: ["serve", "--help"], status: 0, out: /^usage:\n {2}dane-relay serve/ },
  { args: ["--version"], status: 0, out: /^dane-relay \d+\.\d+\.\d+\n$/ },
  { args: [], status: 2, err: /^dane-relay: no command\n\nusage:/ },
  { args: ["frobnicate"], status: 2, err: /^dane-relay: unknown command "frobnicate"\n\nusage:/ },
  {
    args: ["serve", "--port", "25"],
    status: 2,
    err: /^dane-relay serve: Unknown option '--port'[\s\S]*usage:\n {2}dane-relay serve/,
  },
  { args: ["serve", "now"], status: 2, err: /^dane-relay serve: serve takes no argument: now\n/ },
  { args: ["serve", "--config"], status: 2, err: /^dane-relay serve: Option '--config <value>' argument missing\n/ },
  { args: ["config"], status: 2, err: /^dane-relay config: config takes one of check, print, example, reference\n/ },
  { args: ["config", "check", "print"], status: 2, err: /^dane-relay config: config takes one of/ },
  { args: ["config", "example"], status: 0, out: /^# dane-relay: every setting/ },
  { args: ["config", "reference"], status: 0, out: /^\| key \| value \| default \| meaning \|\n/ },
  { args: ["config", "check"], status: 0, out: /^valid: defaults and environment\n$/ },
];

for (const { args, status, out, err } of USAGE) {
  test(`dane-relay ${args.join(" ")}: ${status}`, () => {
    const result = run(args);
    assert.equal(result.status, status, result.err);
    assert.match(result.out, out ?? /^$/);
    assert.match(result.err, err ?? /^$/);
  });
}

test("bad configuration: every error with its place and key, exit status 2, for serve and config alike", () => {
  const file = join(FOLDER, "bad.yaml");
  writeFileSync(file, "submission:\n  listen: [nowhere]\ndelivery:\n  prot: 25\n");
  for (const args of [
    ["serve", "--config", file],
    ["config", "check", "--config", file],
    ["config", "print", "--config", file],
  ]) {
    const result = run(args, { DANE_RELAY_LOG_LEVEL: "all" });
    assert.equal(result.status, 2);
    assert.equal(result.out, "");
    assert.equal(
      result.err,
      [
        "the configuration has 3 errors:",
        `  ${file}:4: delivery.prot: is unknown; is delivery.port meant?`,
        `  ${file}:2: submission.listen[0]: must be ADDRESS:PORT, such as 127.0.0.1:2525 or [::1]:2525, not "nowhere"`,
        '  environment variable DANE_RELAY_LOG_LEVEL: log.level: must be debug | info | warn | error, not "all"',
        "",
      ].join("\n"),
    );
  }
});

test("config check: says what is wrong with keys of dkim.sign, and shows the records to publish", () => {
  const file = join(FOLDER, "dkim.yaml");
  const keys = { good: join(FOLDER, "good.pem"), bad: join(FOLDER, "bad.pem") };
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  writeFileSync(keys.good, privateKey.export({ type: "pkcs8", format: "pem" }));
  writeFileSync(keys.bad, publicKey.export({ type: "spki", format: "pem" }));
  const sign = (keyFile: string) => ["example.org", ".example.org"].map((domain) => ({ domain, selector: "s", keyFile }));
  const check = (keyFile: string) => {
    writeFileSync(file, JSON.stringify({ dkim: { sign: sign(keyFile) } }));
    return run(["config", "check", "--config", file]);
  };
  const raw = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url").toString("base64");
  assert.deepEqual(check(keys.good), {
    status: 0,
    out: `valid: ${file}\nrecords to publish for dkim.sign:\n  s._domainkey.example.org. IN TXT "v=DKIM1; k=ed25519; p=${raw}"\n`,
    err: "",
  });
  const refused = check(keys.bad);
  assert.deepEqual([refused.status, refused.out], [2, ""]);
  assert.match(refused.err, /^dkim\.sign: entry 0: .*bad\.pem: it holds no private key in PEM .*\ndkim\.sign: entry 1: /);
});

test("config print: reads --config before $DANE_RELAY_CONFIG", () => {
  const one = join(FOLDER, "one.yaml");
  const two = join(FOLDER, "two.yaml");
  writeFileSync(one, "hostname: one.example\n");
  writeFileSync(two, "hostname: two.example\n");
  assert.match(
    run(["config", "print", "--config", one], { DANE_RELAY_CONFIG: two }).out,
    /^hostname: one\.example # .*one\.yaml:1\n/,
  );
  assert.match(run(["config", "print"], { DANE_RELAY_CONFIG: two }).out, /^hostname: two\.example # .*two\.yaml:1\n/);
  assert.equal(
    run(["config", "print", "--config", FOLDER]).err,
    `the configuration has an error:\n  ${FOLDER}: cannot be read: EISDIR: illegal operation on a directory, read\n`,
  );
});
