import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { openSqliteStore } from "../../src/spool/sqliteStore.ts";
import { takeAll } from "../fake/submissionServer.ts";

/**
 * A spool as the first release (schema 1) left it, with a message in the database and one in a file, is opened by this one: everything in it is
 * there, and what is stored from now on carries what the later schema has.
 */
const SCHEMA_1 = `
  PRAGMA application_id = 0x64616e65;
  PRAGMA user_version = 1;
  CREATE TABLE message (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, sender TEXT NOT NULL, accepted_at INTEGER NOT NULL,
    flags INTEGER NOT NULL, envelope_id TEXT, return_content TEXT, size INTEGER NOT NULL, file TEXT, content BLOB) STRICT;
  CREATE UNIQUE INDEX message_id ON message(id);
  CREATE UNIQUE INDEX message_file ON message(file) WHERE file IS NOT NULL;
  CREATE TABLE work (message INTEGER NOT NULL, destination TEXT NOT NULL, due INTEGER NOT NULL, held INTEGER NOT NULL DEFAULT 0,
    recipients TEXT NOT NULL, PRIMARY KEY (message, destination)) STRICT, WITHOUT ROWID;
  CREATE INDEX work_due ON work(destination, due, message) WHERE held = 0;
  CREATE TABLE attempt (message INTEGER NOT NULL, recipient INTEGER NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL,
    outcome TEXT NOT NULL, status TEXT, cause TEXT, host TEXT, PRIMARY KEY (message, recipient, number)) STRICT, WITHOUT ROWID;
  CREATE TABLE tally (one INTEGER PRIMARY KEY CHECK (one = 1), incoming INTEGER NOT NULL, deferred INTEGER NOT NULL,
    held INTEGER NOT NULL, probes INTEGER NOT NULL) STRICT;
  INSERT INTO tally VALUES (1, 2, 0, 0, 0);
  INSERT INTO message VALUES (1, 'M1', 'a@b.example', 1, 0, NULL, NULL, 5, NULL, CAST('small' AS BLOB));
  INSERT INTO message VALUES (2, 'M2', 'a@b.example', 2, 0, NULL, NULL, 5, 'M2', NULL);
  INSERT INTO work VALUES (1, 'dest.example', 1, 0,
    '[{"address":"u@dest.example","destination":"dest.example","index":0,"attempts":0,"delayWarned":false,"due":1}]');
  INSERT INTO work VALUES (2, 'dest.example', 2, 0,
    '[{"address":"v@dest.example","destination":"dest.example","index":0,"attempts":0,"delayWarned":false,"due":2}]');
`;

function oldSpool(): string {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-upgrade-"));
  const database = new DatabaseSync(join(directory, "queue.db"));
  database.exec("PRAGMA journal_mode = WAL");
  database.exec(SCHEMA_1);
  database.close();
  mkdirSync(join(directory, "bodies"));
  writeFileSync(join(directory, "bodies", "M2"), "large");
  return directory;
}

test("a spool of schema 1 is brought up to date, and its mail is there", async () => {
  const directory = oldSpool();
  try {
    for (const opening of ["first", "second"]) {
      const store = await openSqliteStore({ directory, reserveBytes: 0, inlineBytes: 3 });
      const found = (await takeAll(store)).map(({ work, content }) => [
        work.envelope.id,
        work.recipients[0].address,
        String(content),
      ]);
      const old = [
        ["M1", "u@dest.example", "small"],
        ["M2", "v@dest.example", "large"],
      ];
      assert.deepEqual(found, opening === "first" ? old : [...old, ["M3", "w@dest.example", "new one"]]);
      if (opening === "first") {
        const flags = { smtpUtf8: false, eightBitMime: false, requireTls: false, tlsRequiredNo: false };
        const recipients = [{ address: "w@dest.example", destination: "dest.example" }] as const;
        await store.add(
          { envelope: { id: "M3", sender: "", acceptedAt: 3, size: 7, ...flags }, recipients },
          Buffer.from("new one"),
        );
      }
      await store.close();
    }
    const database = new DatabaseSync(join(directory, "queue.db"));
    const rows = database.prepare("SELECT id, checksum IS NULL AS unknown FROM message ORDER BY seq").all();
    assert.deepEqual(
      rows.map(({ id, unknown }) => [id, unknown]),
      [
        ["M1", 1],
        ["M2", 1],
        ["M3", 0],
      ],
    );
    database.close();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
