import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { CertificateWatch } from "../../../src/submission/certificateWatch.ts";
import { makeLeaf } from "../../fake/certificates.ts";

/** Long enough for the second look, were it not waiting for the first. */
const SECOND_LOOK_MILLISECONDS = 300;

test("looks that overlap: the certificate of the last one stays, however slow the first one's disk is", async () => {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-watch-"));
  const [old, slow, last] = [makeLeaf(), makeLeaf(), makeLeaf()];
  assert.ok(old !== undefined && slow !== undefined && last !== undefined);
  const files = (name: string) => ({ certificateFile: join(directory, `${name}.pem`), keyFile: join(directory, `${name}.key`) });
  execFileSync("mkfifo", [files("slow").certificateFile]);
  writeFileSync(files("slow").keyFile, slow.keyPem);
  writeFileSync(files("last").certificateFile, last.certificatePem);
  writeFileSync(files("last").keyFile, last.keyPem);
  const renewed: string[] = [];
  const watch = new CertificateWatch({
    files: files("last"),
    current: { cert: old.certificatePem, key: old.keyPem },
    onRenewed: ({ cert }) => renewed.push(cert),
    onTrouble: (reason) => assert.fail(reason),
  });
  try {
    const looks = [watch.check(files("slow")), watch.check(files("last"))];
    await delay(SECOND_LOOK_MILLISECONDS);
    await writeFile(files("slow").certificateFile, slow.certificatePem);
    await Promise.all(looks);
    assert.deepEqual(renewed, [slow.certificatePem, last.certificatePem]);
  } finally {
    watch.stop();
    rmSync(directory, { recursive: true, force: true });
  }
});
