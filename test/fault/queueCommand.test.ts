import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { runHere, type Told } from "../fake/commandLine.ts";
import { SmtpClient } from "../fake/smtpClient.ts";
import { type Peer, startPeer } from "../fake/smtpPeer.ts";
import { MortalRelay, type RelayPlan } from "./mortalRelay.ts";

/**
 * The operator's hands on the queue of a real relay, process against process: while it serves, while it does not, and after a kill. The
 * destination is dead until the end.
 */
const MAIN = join(import.meta.dirname, "..", "..", "src", "main.ts");
const RELAY = { address: "127.115.3.1", port: 2525 };
const NEXT = { address: "127.115.3.2", port: 2526 };
const PATIENCE_MILLISECONDS = 60_000;
const POLL_MILLISECONDS = 100;
/** Nothing is tried again by itself in the time of this test. */
const NEVER = { initialSeconds: 3600, maximumSeconds: 7200 };

type Entry = { id: string; state: string; destination: string; recipients: readonly { attempts: number; reason?: string }[] };

/** The command is in this process, the relay in one of its own. */
function queue({ directory }: RelayPlan, ...args: string[]): Promise<Told> {
  return runHere(["queue", ...args, "--config", join(directory, "relay.yaml")]);
}

/** As the operator calls it, in a folder of its own: nothing but --config says where the spool is. */
function asProcess({ directory }: RelayPlan, ...args: string[]) {
  const words = [MAIN, "queue", ...args, "--config", join(directory, "relay.yaml")];
  return spawnSync(process.execPath, words, { cwd: tmpdir(), encoding: "utf8" });
}

async function entries(plan: RelayPlan, ...filter: string[]): Promise<readonly Entry[]> {
  const { status, out, err } = await queue(plan, "list", "--json", ...filter);
  assert.deepEqual([status, err], [0, ""]);
  return out.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Entry]));
}

async function serving(plan: RelayPlan): Promise<MortalRelay> {
  const relay = new MortalRelay(plan);
  assert.equal(await relay.ready(), "ready", relay.log());
  return relay;
}

/** Recipients so far, by the relay's own log. */
function attempts(relay: MortalRelay, outcome: "deferred" | "delivered"): number {
  return relay
    .log()
    .split(`"event":"delivery"`)
    .filter((line) => line.includes(`"outcome":"${outcome}"`)).length;
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MILLISECONDS;
  while (!condition()) {
    assert.ok(performance.now() < deadline, what);
    await delay(POLL_MILLISECONDS);
  }
}

async function submit(address: string, recipients: readonly string[], octets: number): Promise<void> {
  const client = await SmtpClient.open(address);
  await client.command("MAIL FROM:<anna@sender.example>");
  for (const recipient of recipients) assert.match(await client.command(`RCPT TO:<${recipient}>`), /^250 /);
  await client.command("DATA");
  const line = `${"x".repeat(70)}\r\n`;
  client.write(`Subject: test\r\n\r\n${line.repeat(Math.ceil(octets / line.length))}.\r\n`);
  assert.match(await client.reply(), /^250 /);
  client.destroy();
}

test("queue commands while the relay serves, while it does not, and after kill -9", async () => {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-queue-command-"));
  const plan: RelayPlan = { directory, listen: RELAY, next: NEXT, delivery: { retry: NEVER } };
  const run = (...args: string[]): Promise<Told> => queue(plan, ...args);
  const bodies = (): number => readdirSync(join(directory, "spool", "bodies")).length;
  let relay = await serving(plan);
  let peer: Peer | undefined;
  try {
    await submit(relay.address, ["bob@a.example", "carol@a.example", "dave@b.example"], 100);
    await submit(relay.address, ["erin@a.example"], 200_000);
    await submit(relay.address, ["frank@c.example"], 100);
    await until("everything was tried once", () => attempts(relay, "deferred") === 5);
    const [first, , second] = await entries(plan);
    assert.ok(first !== undefined && second !== undefined);
    assert.equal(statSync(join(directory, "spool", "control.sock")).mode & 0o777, 0o600);

    const listed = await run("list", "--domain", "a.example");
    const { status, stdout, stderr } = asProcess(plan, "list", "--domain", "a.example");
    assert.deepEqual([status, stderr], [0, ""]);
    assert.match(stdout, /\n2 entries\n$/);
    assert.match(listed.out, /^ID +AGE +STATE +TRIES +NEXT +DESTINATION +RECIPIENT\n/);
    assert.match(
      listed.out,
      / deferred +1 +in [0-9hms ]+ +a\.example +bob@a\.example and 1 more\n {4}4\.4\.1 .*connection refused/,
    );
    assert.match(listed.out, /\n2 entries\n$/);
    const shown = await run("show", first.id);
    assert.match(shown.out, /history\n[\s\S]* carol@a\.example deferred at \[127\.115\.3\.2\]\n {4}4\.4\.1 .*connection refused/);
    const stats = await run("stats");
    assert.match(stats.out, /^3 +2 +\S+ +a\.example$/m);
    assert.match(stats.out, /\n5 recipients wait at 3 destinations\n$/);

    assert.deepEqual(await run("hold", "--domain", "a.example"), { status: 0, out: "2 entries held\n", err: "" });
    assert.deepEqual(await run("retry", "--domain", "a.example"), {
      status: 0,
      out: "2 held, and stay so until they are released\n",
      err: "",
    });
    assert.equal((await run("retry", "--domain", "b.example")).status, 0);
    await until("it was tried again", () => attempts(relay, "deferred") === 6);
    assert.deepEqual(await run("show", "NOSUCHID"), { status: 1, out: "", err: "not in the queue: NOSUCHID\n" });
    assert.equal((await run("delete")).status, 2);

    // What was answered is on disk.
    assert.deepEqual(await run("delete", "--domain", "c.example"), { status: 0, out: "1 entry deleted\n", err: "" });
    await relay.kill();
    assert.equal(existsSync(join(directory, "spool", "control.sock")), true);
    const stopped = await entries(plan);
    assert.deepEqual(
      stopped.map(({ state, destination }) => `${state} ${destination}`),
      ["held a.example", "deferred b.example", "held a.example"],
    );
    assert.equal(bodies(), 1);
    assert.deepEqual(await run("delete", second.id), { status: 0, out: "1 entry deleted\n", err: "" });
    assert.equal(bodies(), 0);
    assert.deepEqual(await run("release", "--all"), { status: 0, out: "1 entry released\n1 not held\n", err: "" });
    assert.equal((await run("hold", "--state", "held", "--reason", "no such reason")).status, 1);
    // No relay's log could hear of these.
    const auditFile = join(directory, "spool", "audit.log");
    assert.equal(statSync(auditFile).mode & 0o777, 0o600);
    const told = readFileSync(auditFile, "utf8").trim().split("\n");
    assert.deepEqual(
      told.map((line) => /"event":"audit".*"action":"(\w+)".*"outcome":"done","changed":(\d)/.exec(line)?.slice(1)),
      [
        ["delete", "1"],
        ["release", "1"],
        ["hold", "0"],
      ],
    );
    assert.match(told[0] ?? "", /"time":"\S+Z".*"who":"local"/);
    assert.ok(told[0]?.includes(`"filter":{"ids":["${second.id}"]}`) && told[0].includes(`"uid":${process.getuid?.()}`));

    peer = await startPeer(NEXT);
    relay = await serving(plan);
    assert.deepEqual(await run("retry", "--older-than", "0s"), { status: 0, out: "2 entries due now\n", err: "" });
    await until("everything is delivered", () => attempts(relay, "delivered") === 3);
    assert.deepEqual(peer.messages.flatMap(({ recipients }) => recipients.map((line) => /<(.*)>/.exec(line)?.[1])).sort(), [
      "bob@a.example",
      "carol@a.example",
      "dave@b.example",
    ]);
    assert.deepEqual(await run("list"), { status: 0, out: "the queue is empty\n", err: "" });
    const audits = relay
      .log()
      .split("\n")
      .filter((line) => line.includes('"event":"audit"'));
    assert.match(
      audits.at(-1) ?? "",
      /"who":"local","action":"retry","filter":\{"acceptedBefore":"\S+Z"\},"outcome":"done","changed":2/,
    );
    await relay.stop();
    assert.equal(existsSync(join(directory, "spool", "control.sock")), false);
  } finally {
    await relay.stop();
    await peer?.close();
    rmSync(directory, { recursive: true, force: true });
  }
});

test("a spool that is not there is not made", async () => {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-queue-command-"));
  const plan: RelayPlan = { directory, listen: RELAY, next: NEXT };
  writeFileSync(join(directory, "relay.yaml"), `hostname: relay.example\nspool: "file:${join(directory, "spool")}"\n`);
  const told = await queue(plan, "list");
  assert.deepEqual([told.status, told.out], [1, ""]);
  assert.match(told.err, /^dane-relay queue: there is no spool in .*spool\n$/);
  assert.equal(existsSync(join(directory, "spool")), false);
  rmSync(directory, { recursive: true });
});
