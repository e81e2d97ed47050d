import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { stringify } from "yaml";
import { SmtpClient } from "../fake/smtpClient.ts";
import { type Peer, startPeer } from "../fake/smtpPeer.ts";
import { claimBlock } from "../lab/addresses.ts";
import { type Daemon, startDaemon } from "../lab/daemon.ts";
import { compileRelay } from "./compiledRelay.ts";

/**
 * The image's entry command as a container would run it: root file system read-only, an unprivileged user without capabilities, one writable
 * volume; and the SIGTERM that a cluster sends at each rollout, while mail comes in.
 */
const NOBODY = 65_534;
const CLIENTS = 8;
const BEFORE_SIGTERM = 150;
const READY_MILLISECONDS = 60_000;

/** Fails when the root can be written, so that the test shows what it claims. */
const CONTAINER = `
set -e
mount --bind "$SPOOL" "$SPOOL"
mount -o remount,bind,ro /
! touch "$APP/written" 2>/dev/null
cd "$APP"
exec setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
`;

async function ready(admin: string): Promise<boolean> {
  try {
    return (await fetch(`http://${admin}/readyz`)).ok;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

describe("the entry command in a container's surroundings", () => {
  const app = mkdtempSync(join(tmpdir(), "dane-relay-container-"));
  const spool = mkdtempSync(join(tmpdir(), "dane-relay-volume-"));
  const acknowledged = new Set<string>();
  const undo: (() => Promise<void>)[] = [];
  let receiver: Peer;
  let admin: string;
  let submission: string;
  let number = 0;

  before(async () => {
    compileRelay(app);
    const block = await claimBlock();
    undo.push(() => block.release());
    chmodSync(app, 0o755);
    mkdirSync(join(spool, "queue"), { mode: 0o700 });
    chownSync(spool, NOBODY, NOBODY);
    chownSync(join(spool, "queue"), NOBODY, NOBODY);
    receiver = await startPeer({ address: block.address(2), port: 2526 });
    undo.push(() => receiver.close());
    submission = `${block.address(1)}:2525`;
    admin = `${block.address(1)}:9025`;
    writeFileSync(
      join(app, "relay.yaml"),
      stringify({
        hostname: "relay.example",
        submission: { listen: [submission] },
        admin: { listen: admin },
        spool: `file:${join(spool, "queue")}`,
        resolver: { mode: "forward", upstreams: [block.address(9)] },
        delivery: { routes: [{ domain: "*", nextHop: `[${block.address(2)}]:2526` }] },
      }),
    );
  });

  after(async () => {
    for (const step of undo.reverse()) await step();
    rmSync(app, { recursive: true, force: true });
    rmSync(spool, { recursive: true, force: true });
  });

  function start(life: number): Promise<Daemon> {
    return startDaemon({
      name: `relay ${life}`,
      command: "unshare",
      arguments: [
        ...["--mount", "sh", "-c", CONTAINER, "container", process.execPath, "dist/main.js"],
        ...["serve", "--config", join(app, "relay.yaml")],
      ],
      environment: { PATH: process.env.PATH ?? "", SPOOL: spool, APP: app },
      logFile: join(spool, `relay${life}.log`),
      ready: () => ready(admin),
    });
  }

  /** Message after message, until the relay says that it goes or is gone. */
  async function submit(): Promise<void> {
    const client = await SmtpClient.open(submission);
    while (!client.ended) {
      number += 1;
      const token = `token-${number}`;
      if (!(await client.begin()).startsWith("354")) return;
      client.write(`Subject: ${token}\r\n\r\n${"x".repeat(70)}\r\n.\r\n`);
      const reply = await client.reply();
      if (!reply.startsWith("250 ")) return;
      acknowledged.add(token);
    }
  }

  function arrived(): readonly string[] {
    return receiver.messages.map(({ content }) => /^Subject: (token-\d+)\r$/m.exec(content.toString("latin1"))?.[1] ?? "none");
  }

  test("SIGTERM while mail comes in: exit status 0, every acknowledged message arrives, none twice", async () => {
    const first = await start(1);
    const load = Promise.all(Array.from({ length: CLIENTS }, submit));
    const deadline = performance.now() + READY_MILLISECONDS;
    while (acknowledged.size < BEFORE_SIGTERM) {
      assert.ok(performance.now() < deadline, first.log().slice(-2000));
      await delay(5);
    }
    // The leash sends SIGTERM, and more only after it: the log then has no "stop" line of a clean end.
    const stopped = stopLine(first);
    await Promise.all([first.stop(), load]);
    assert.match(await stopped, /"because":"signal"/);
    const second = await start(2);
    try {
      const patience = performance.now() + READY_MILLISECONDS;
      while (arrived().length < acknowledged.size && performance.now() < patience) await delay(20);
    } finally {
      await second.stop();
    }
    const all = arrived();
    assert.deepEqual([...new Set(all)].sort(), [...acknowledged].sort());
    assert.equal(all.length, acknowledged.size, "a message arrived twice after a clean end");
  });

  async function stopLine(daemon: Daemon): Promise<string> {
    const deadline = performance.now() + READY_MILLISECONDS;
    for (;;) {
      const line = daemon
        .log()
        .split("\n")
        .find((text) => text.includes('"event":"stop"'));
      if (line !== undefined) return line;
      assert.ok(performance.now() < deadline, daemon.log().slice(-2000));
      await delay(20);
    }
  }
});
