import assert from "node:assert/strict";
import { test } from "node:test";
import { unsafeFileSystem } from "../../../src/spool/disk.ts";

/** By statfs's number; where that is only FUSE's, by the mount table. */
const FUSE = 0x65735546;
const EXT4 = 0xef53;
const MOUNTS = [
  "22 1 253:0 / / rw,relatime - ext4 /dev/vda rw",
  "23 22 0:40 / /mnt/ssh rw,nosuid shared:1 - fuse.sshfs me@host: rw",
  "24 22 0:41 / /mnt/ssh/inner rw - virtiofs share rw",
  "25 22 0:42 / /mnt/with\\040space rw - fuse.s3fs bucket rw",
  "26 22 0:43 / /mnt/twice rw - fuse.s3fs bucket rw",
  "27 22 0:44 / /mnt/twice rw - fuseblk /dev/sdb1 rw",
].join("\n");

for (const [type, directory, expected] of [
  [EXT4, "/var/spool", undefined],
  [0x6969, "/var/spool", "NFS"],
  [0xff534d42 | 0, "/var/spool", "CIFS"],
  [0x01021997, "/var/spool", "9p"],
  [0x00c36400, "/var/spool", "Ceph"],
  [FUSE, "/mnt/ssh/spool", "fuse.sshfs"],
  [FUSE, "/mnt/ssh", "fuse.sshfs"],
  [FUSE, "/mnt/ssh/inner/spool", undefined],
  [FUSE, "/mnt/with space/spool", "fuse.s3fs"],
  // The later mount covers the earlier.
  [FUSE, "/mnt/twice/spool", undefined],
  // What the table says otherwise is refused too.
  [FUSE, "/mnt/sshelsewhere", "ext4"],
] as const) {
  test(`${(type >>> 0).toString(16)} at ${directory}: ${expected ?? "usable"}`, () => {
    assert.equal(
      unsafeFileSystem(type, directory, () => MOUNTS),
      expected,
    );
  });
}

test("FUSE without a mount table is refused", () => {
  assert.equal(
    unsafeFileSystem(FUSE, "/", () => ""),
    "FUSE",
  );
});
