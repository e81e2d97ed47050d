import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AdministeredStore } from "../../src/spool/queueAdmin.ts";
import { openSqliteStore } from "../../src/spool/sqliteStore.ts";
import { queueAdminBehaviour } from "./queueAdminBehaviour.ts";
import { shardedStore } from "./shardedStore.ts";

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

/** Two shards as one queue: each message goes into one of them. */
queueAdminBehaviour("two sqlite shards", async () => {
  const directory = mkdtempSync(join(tmpdir(), "dane-relay-queue-shards-"));
  const open = async (): Promise<AdministeredStore> => {
    const stores = [];
    for (const shard of ["a", "b"]) stores.push(await openSqliteStore({ directory: join(directory, shard), reserveBytes: 0 }));
    return shardedStore(stores);
  };
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
