import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Outcome } from "../../src/policy/disposition.ts";
import { openSqliteStore } from "../../src/spool/sqliteStore.ts";
import { FaultyDisk } from "../fake/disk.ts";
import type { SmtpClient } from "../fake/smtpClient.ts";
import { startSubmission, takeAll, withoutTrace } from "../fake/submissionServer.ts";

/**
 * A full disk answers 452 4.3.1, loses nothing, and mail is taken again when there is space, without a restart. On a small tmpfs where we may mount
 * one; elsewhere on the real file system with a fake amount of free space.
 */
const HOST = "127.16.4.1";
const TMPFS_BYTES = 12 * 1024 * 1024;
const delivered: Outcome = { kind: "delivered", reply: { code: 250, lines: ["ok"] }, security: { tls: "none", dane: "no-tlsa" } };

function small(number: number): string {
  return `Subject: ${number}\r\nDate: x\r\nMessage-ID: <${number}>\r\n\r\n${`${number} small line\r\n`.repeat(250)}`;
}

function large(number: number): string {
  return `Subject: ${number}\r\nDate: x\r\nMessage-ID: <${number}>\r\n\r\n${`${number} large line\r\n`.repeat(12_000)}`;
}

/** Submits until refused; what was acknowledged. */
async function fill(client: SmtpClient, content: (number: number) => string, from: number): Promise<string[]> {
  const taken: string[] = [];
  for (let number = from; ; number += 1) {
    const reply = await client.send(content(number));
    if (!reply.startsWith("250 ")) {
      assert.equal(reply, "452 4.3.1 the mail queue is full, try again later");
      return taken;
    }
    taken.push(content(number));
  }
}

/** A directory on a file system of its own where we may mount one, and what fills and frees it. */
function smallDisk(): { directory: string; dispose: () => void } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const mountPoint = mkdtempSync(join(tmpdir(), "dane-relay-tmpfs-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${TMPFS_BYTES}`, "dane-relay-test", mountPoint]);
  const dispose = (): void => {
    execFileSync("umount", [mountPoint]);
    rmSync(mountPoint, { recursive: true });
  };
  return { directory: mountPoint, dispose };
}

for (const content of [small, large]) {
  test(`full while ${content.name} messages come in: 452, nothing lost, and on it goes when there is space`, async () => {
    const mounted = smallDisk();
    if (mounted === undefined) {
      console.log("not root: no small file system can be mounted; the tests with the fake disk below stand alone");
      return;
    }
    try {
      const directory = join(mounted.directory, "spool");
      const ballast = join(mounted.directory, "ballast");
      mkdirSync(directory);
      writeFileSync(ballast, Buffer.alloc(TMPFS_BYTES / 2));
      const store = await openSqliteStore({ directory, reserveBytes: 0 });
      const acknowledged: string[] = [];
      await (async () => {
        await using server = await startSubmission(HOST, { store });
        const client = await server.open();
        acknowledged.push(...(await fill(client, content, 0)));
        assert.ok(acknowledged.length > 3);
        assert.match(await client.send(content(1000)), /^452 4\.3\.1 /);
        rmSync(ballast);
        const more = await fill(client, content, 2000);
        assert.ok(more.length > 3, "there is space again");
        acknowledged.push(...more);
        const rejected = server.events.flatMap((event) => (event.kind === "rejected" ? [event.rejection.reason] : []));
        assert.deepEqual([...new Set(rejected)], ["spool-full"]);
      })();
      const again = await openSqliteStore({ directory, reserveBytes: 0 });
      const stored = (await takeAll(again)).map(({ content: bytes }) => withoutTrace(bytes));
      assert.deepEqual(stored, acknowledged);
      await again.close();
    } finally {
      mounted.dispose();
    }
  });
}

test("on a full disk a delivery is recorded as soon as there is space, and not repeated meanwhile", async () => {
  const mounted = smallDisk();
  if (mounted === undefined) return;
  try {
    const directory = join(mounted.directory, "spool");
    const ballast = join(mounted.directory, "ballast");
    const store = await openSqliteStore({ directory, reserveBytes: 0 });
    await (async () => {
      await using server = await startSubmission(HOST, { store });
      const client = await server.open();
      assert.match(await client.send(small(1)), /^250 /);
      const works = await store.claim({ now: Date.now(), limit: 1, exclude: new Set() });
      const [work] = works;
      assert.ok(work !== undefined);
      // To the last block: the report does not fit, whatever is left of the log.
      for (let number = 0, size = TMPFS_BYTES; size > 0; number += 1) {
        try {
          writeFileSync(`${ballast}${number}`, Buffer.alloc(size));
        } catch (error) {
          assert.equal((error as NodeJS.ErrnoException).code, "ENOSPC");
          size = Math.floor(size / 2);
        }
      }
      let state = "waiting";
      const report = {
        id: "DSN",
        sender: "",
        acceptedAt: 1,
        smtpUtf8: false,
        eightBitMime: false,
        size: 0,
        requireTls: false,
        tlsRequiredNo: false,
      };
      const generated = {
        message: { envelope: report, recipients: [{ address: "a@b.example", destination: "b.example" }] as const },
        content: Buffer.alloc(60_000),
      };
      const settled = store.settle(work, [{ index: 0, outcome: delivered }], [generated]).then(() => {
        state = "recorded";
      });
      assert.equal((await store.health()).kind, "unwritable");
      assert.equal(state, "waiting");
      assert.deepEqual(await store.claim({ now: Date.now(), limit: 1, exclude: new Set() }), []);
      for (let number = 0; number < 40; number += 1) rmSync(`${ballast}${number}`, { force: true });
      await settled;
      const counts = await store.counts();
      assert.equal(counts.incoming, 1);
      assert.equal(counts.active, 0);
    })();
  } finally {
    mounted.dispose();
  }
});

test("the reserve: new mail is refused while queued mail can still be settled", async () => {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-reserve-"));
  try {
    const disk = new FaultyDisk();
    // Free space is measured anew at each look.
    let now = 0;
    const clock = { now: () => Date.now(), monotonic: () => (now += 1000) };
    const store = await openSqliteStore({ directory, disk, clock, reserveBytes: 1_000_000 });
    await using server = await startSubmission(HOST, { store });
    const client = await server.open();
    assert.match(await client.send(small(1)), /^250 /);
    disk.setFree(999_999);
    assert.equal(await client.send(small(2)), "452 4.3.1 the mail queue is full, try again later");
    assert.equal(await client.send(large(3)), "452 4.3.1 the mail queue is full, try again later");
    const health = await store.health();
    assert.ok(
      health.kind === "unwritable" && health.reason.includes(directory) && health.reason.includes("free some space"),
      JSON.stringify(health),
    );
    const [work] = await store.claim({ now: Date.now(), limit: 1, exclude: new Set() });
    assert.ok(work !== undefined);
    await store.settle(work, [{ index: 0, outcome: delivered }], []);
    disk.setFree(1_000_000);
    assert.match(await client.send(large(4)), /^250 /);
    assert.deepEqual(await store.health(), { kind: "writable" });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
