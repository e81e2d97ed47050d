import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openSqliteStore } from "../../src/spool/sqliteStore.ts";
import { StoreError } from "../../src/spool/store.ts";
import { takeAll } from "../fake/submissionServer.ts";

/** A disk that came up read-only: the spool says so and what to do, and has its mail when it can be written again. */
test("a spool on a read-only file system", async () => {
  if (process.getuid?.() !== 0) {
    console.log("not root: nothing can be mounted read-only");
    return;
  }
  const mountPoint = mkdtempSync(join(tmpdir(), "dane-relay-read-only-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "dane-relay-test", mountPoint]);
  try {
    const directory = join(mountPoint, "spool");
    const store = await openSqliteStore({ directory, reserveBytes: 0 });
    const flags = { smtpUtf8: false, eightBitMime: false, requireTls: false, tlsRequiredNo: false };
    const recipients = [{ address: "u@dest.example", destination: "dest.example" }] as const;
    await store.add({ envelope: { id: "M1", sender: "", acceptedAt: 1, size: 0, ...flags }, recipients }, Buffer.from("kept"));
    await store.close();
    execFileSync("mount", ["-o", "remount,ro", mountPoint]);
    await assert.rejects(
      openSqliteStore({ directory, reserveBytes: 0 }),
      (error) =>
        error instanceof StoreError &&
        error.kind === "io" &&
        error.message.includes(directory) &&
        error.message.includes("must be writable"),
    );
    execFileSync("mount", ["-o", "remount,rw", mountPoint]);
    const again = await openSqliteStore({ directory, reserveBytes: 0 });
    assert.deepEqual(
      (await takeAll(again)).map(({ content }) => String(content)),
      ["kept"],
    );
    await again.close();
  } finally {
    execFileSync("umount", [mountPoint]);
    rmSync(mountPoint, { recursive: true });
  }
});
