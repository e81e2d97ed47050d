import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { runHere, type Told } from "../../fake/commandLine.ts";
import { SmtpClient } from "../../fake/smtpClient.ts";

/** Users of submission through the whole process: made by the command, seen by the relay that runs, and what it says when their file breaks. */
const MAIN = join(import.meta.dirname, "..", "..", "..", "src", "main.ts");
const FOLDER = mkdtempSync(join(tmpdir(), "dane-relay-users-cli-"));
after(() => rmSync(FOLDER, { recursive: true, force: true }));
const HOST = "127.116.7.1";
/** Below what the kernel gives to clients, and another one in each run: the relay listens at every address of this machine. */
const PORT = 20_000 + 2 * (process.pid % 6000);
const ADMIN = `${HOST}:${PORT + 1}`;
const USERS = join(FOLDER, "users");
const POLL_MILLISECONDS = 200;

const ENVIRONMENT = {
  DANE_RELAY_HOSTNAME: "relay.internal",
  DANE_RELAY_SUBMISSION_LISTEN: `0.0.0.0:${PORT}`,
  DANE_RELAY_SUBMISSION_TRUSTED_NETWORKS: "10.0.0.0/8,192.0.2.1",
  DANE_RELAY_SUBMISSION_USERS_FILE: USERS,
  DANE_RELAY_SUBMISSION_AUTH_WITHOUT_TLS: "loopback",
  DANE_RELAY_ADMIN_LISTEN: ADMIN,
  DANE_RELAY_RESOLVER_MODE: "forward",
  DANE_RELAY_RESOLVER_UPSTREAMS: "127.116.7.254",
};

type Line = { event: string; level: string; [field: string]: unknown };

function start(args: readonly string[], input = ""): ChildProcess {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: FOLDER, env: ENVIRONMENT, stdio: ["pipe", "pipe", "pipe"] });
  child.stdin?.end(input);
  return child;
}

async function run(args: readonly string[], input = ""): Promise<Told> {
  const child = start(args, input);
  const said = { out: "", err: "" };
  child.stdout?.on("data", (chunk) => {
    said.out += chunk;
  });
  child.stderr?.on("data", (chunk) => {
    said.err += chunk;
  });
  const [status] = await once(child, "close");
  return { status, ...said };
}

/** The same by the same words, without a process of its own. */
function users(args: readonly string[], input = ""): Promise<Told> {
  return runHere(["users", ...args, "--file", USERS], { environment: ENVIRONMENT, input });
}

function plain(user: string, password: string): string {
  return `AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString("base64")}`;
}

test("users are made, seen while the relay runs, kept when their file breaks; and what the configuration risks is told at the start", async (t) => {
  assert.deepEqual(await users(["list"]), {
    status: 1,
    out: "",
    err: `dane-relay users: ${USERS}: ENOENT: no such file or directory, stat '${USERS}'\n`,
  });
  const generated = await run(["users", "add", "shop", "--generate"]);
  assert.equal(generated.status, 0, generated.err);
  const password = generated.out.trim();
  const relay = start(["serve"]);
  const exit = once(relay, "exit");
  t.after(() => relay.kill("SIGKILL"));
  const seen: Line[] = [];
  assert.ok(relay.stdout !== null);
  const lines = createInterface({ input: relay.stdout });
  lines.on("line", (text) => seen.push(JSON.parse(text)));
  const line = async (wanted: (line: Line) => boolean): Promise<Line> => {
    for (;;) {
      const found = seen.find(wanted);
      if (found !== undefined) return found;
      assert.equal(relay.exitCode, null, `the relay has ended: ${JSON.stringify(seen)}`);
      await Promise.race([once(lines, "line", { signal: AbortSignal.timeout(60_000) }), exit]);
    }
  };
  await line(({ event }) => event === "start");
  const warned = await line(({ event, key }) => event === "config" && key === "submission.trustedNetworks");
  assert.match(String(warned.reason), /^10\.0\.0\.0\/8: everybody who comes through a load balancer/);
  assert.match(String((await line(({ key }) => key === "hostname")).reason), /^relay\.internal ends in \.internal/);

  const client = await SmtpClient.open(`${HOST}:${PORT}`);
  assert.match(await client.command(plain("shop", password)), /^235 /);
  assert.match(await client.send("Subject: x\r\n\r\nx\r\n"), /^250 /);
  const accepted = await line(({ event }) => event === "accepted");
  assert.deepEqual([accepted.user, accepted.client], ["shop", "127.0.0.1"]);

  assert.equal((await users(["add", "news", "--stdin", "--senders", "@news.example"], "another password\n")).status, 0);
  assert.equal((await users(["list"])).out, "shop\nnews @news.example\n");
  const other = await loggedIn("news", "another password");
  assert.match(await other.command("MAIL FROM:<a@sender.example>"), /^553 5\.7\.1 /);

  writeFileSync(USERS, "nonsense\n");
  const third = await SmtpClient.open(`${HOST}:${PORT}`);
  assert.match(await third.command(plain("shop", password)), /^235 /);
  // A log-in within half a second of the last look does not look, and by itself the relay looks each half minute: so until one has looked.
  const told = ({ event, key, reason }: Line): boolean =>
    event === "config" && key === "submission.usersFile" && /stay/.test(String(reason));
  while (!seen.some(told)) {
    (await loggedIn("shop", password)).destroy();
    await delay(POLL_MILLISECONDS);
  }
  assert.match(await (await fetch(`http://${ADMIN}/readyz`)).text(), /^degraded file of users: .*line 1 is not of version 1/m);
  assert.match(await (await fetch(`http://${ADMIN}/metrics`)).text(), /^dane_relay_file_unreadable\{file="users"\} 1$/m);

  const guess = await SmtpClient.open(`${HOST}:${PORT}`);
  assert.match(await guess.command(plain("shop", "guessed password")), /^535 /);
  const failed = await line(({ event }) => event === "authentication");
  assert.deepEqual([failed.level, failed.user, failed.client, failed.reason], ["warn", "shop", "127.0.0.1", "auth-failed"]);
  assert.ok(!JSON.stringify(seen).includes(password));
  relay.kill("SIGTERM");
  assert.deepEqual(await exit, [0, null]);
});

/** A log-in looks at the file again half a second behind the last time. */
async function loggedIn(user: string, password: string): Promise<SmtpClient> {
  for (let tries = 0; tries < 200; tries += 1) {
    const client = await SmtpClient.open(`${HOST}:${PORT}`);
    if ((await client.command(plain(user, password))).startsWith("235")) return client;
    client.destroy();
    await delay(POLL_MILLISECONDS);
  }
  throw new Error(`${user} never got in`);
}

test("a users file that cannot be used is no start, and one that others may read is told so", async () => {
  writeFileSync(USERS, "");
  chmodSync(USERS, 0o644);
  const relay = await run(["serve"]);
  assert.equal(relay.status, 1);
  assert.match(relay.out, /submission\.usersFile: .*its mode is 0644: others must not read it/);
});

test("the command's own no", async () => {
  chmodSync(USERS, 0o600);
  for (const [args, status, err] of [
    [["delete", "nobody"], 1, /there is no user nobody/],
    [["add", "x", "--stdin"], 1, /fewer than 8/],
    [["add", "x"], 2, /no terminal/],
    [["add", "x", "--stdin", "--generate"], 2, /exclude/],
  ] as const) {
    const result = await users(args, "short\n");
    assert.equal(result.status, status, args.join(" "));
    assert.match(result.err, err);
  }
});
