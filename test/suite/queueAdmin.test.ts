import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteStore } from "../../src/spool/sqliteStore.ts";
import { queueAdminBehaviour } from "./queueAdminBehaviour.ts";

queueAdminBehaviour("sqlite", async () => {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-queue-admin-"));
  const open = () => openSqliteStore({ directory, reserveBytes: 0 });
  const store = await open();
  return {
    store,
    reopen: open,
    dispose: async () => {
      await store.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
});
