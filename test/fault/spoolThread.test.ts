import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { CommitPoint } from "../../src/spool/commitPoint.ts";
import { openSqliteStore } from "../../src/spool/sqliteStore.ts";
import { StoreError } from "../../src/spool/store.ts";
import { startSubmission, takeAll, withoutTrace } from "../fake/submissionServer.ts";

/** The spool's thread ends around a COMMIT: the client has no 250, and what was committed is there as a whole after the restart. */
const HOST = "127.136.3.1";
const SMALL = "Subject: small\r\nDate: x\r\nMessage-ID: <1>\r\n\r\ntext\r\n";
const LARGE = `Subject: large\r\nDate: x\r\nMessage-ID: <1>\r\n\r\n${"large line\r\n".repeat(20_000)}`;

function dieAt(point: CommitPoint): string {
  const url = new URL("dieInThread.ts", import.meta.url);
  url.searchParams.set("point", point);
  return url.href;
}

async function inDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-thread-"));
  try {
    await run(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Closes what cannot be closed in order any more. */
async function abandon(store: Awaited<ReturnType<typeof openSqliteStore>>): Promise<void> {
  await assert.rejects(store.close(), StoreError);
}

for (const [point, left] of [
  ["store-before-commit", 0],
  ["store-after-commit", 1],
] as const) {
  for (const [name, content] of [
    ["small", SMALL],
    ["large", LARGE],
  ] as const) {
    test(`the thread ends at ${point} of a ${name} message`, async () => {
      await inDirectory(async (directory) => {
        const store = await openSqliteStore({ directory, reserveBytes: 0, points: dieAt(point) });
        {
          const server = await startSubmission(HOST, { store });
          const client = await server.open();
          assert.match(await client.send(content), /^451 4\.3\.0 /);
          assert.match((await store.failed).message, /thread/);
          assert.equal((await store.health()).kind, "unwritable");
          await server.listener.stop(0);
        }
        await abandon(store);
        const again = await openSqliteStore({ directory, reserveBytes: 0 });
        const found = await takeAll(again);
        assert.deepEqual(
          found.map((one) => withoutTrace(one.content)),
          Array.from({ length: left }, () => content),
        );
        assert.equal(readdirSync(join(directory, "bodies")).length, name === "large" ? left : 0);
        await again.close();
      });
    });
  }
}

for (const [point, left] of [
  ["settle-before-commit", ["M1"]],
  ["settle-after-commit", ["DSN"]],
] as const) {
  test(`the thread ends at ${point} of a failure with its notice`, async () => {
    await inDirectory(async (directory) => {
      const flags = { smtpUtf8: false, eightBitMime: false, requireTls: false, tlsRequiredNo: false };
      const message = (id: string) => ({
        envelope: { id, sender: "", acceptedAt: 1, size: 0, ...flags },
        recipients: [{ address: "u@dest.example", destination: "dest.example" }] as const,
      });
      const before = await openSqliteStore({ directory, reserveBytes: 0 });
      await before.add(message("M1"), Buffer.from(LARGE));
      await before.close();
      const store = await openSqliteStore({ directory, reserveBytes: 0, points: dieAt(point) });
      const [work] = await store.claim({ now: 2, limit: 1, exclude: new Set() });
      assert.ok(work !== undefined);
      const outcome = { kind: "failed", status: "5.1.1", cause: { kind: "reply", text: "no such user" } } as const;
      const notice = { message: message("DSN"), content: Buffer.from(LARGE) };
      await assert.rejects(store.settle(work, [{ index: 0, outcome }], [notice]), StoreError);
      await abandon(store);
      const again = await openSqliteStore({ directory, reserveBytes: 0 });
      const found = await takeAll(again);
      assert.deepEqual(
        found.map((one) => [one.work.envelope.id, String(one.content)]),
        left.map((id) => [id, LARGE]),
      );
      await again.close();
    });
  });
}
