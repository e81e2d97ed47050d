import { after } from "node:test";
import { systemClock, systemRandom } from "../../src/clock.ts";
import { openPostgresStore } from "../../src/spool/postgresStore.ts";
import type { AdministeredStore } from "../../src/spool/queueAdmin.ts";
import { startPostgres } from "../lab/postgresServer.ts";
import { type AdministeredFixture, queueAdminBehaviour } from "./queueAdminBehaviour.ts";
import { storeBehaviour } from "./storeBehaviour.ts";

/** What every store does, on a real PostgreSQL. */
const postgres = await startPostgres("127.114.1.1", "memory");
after(() => postgres.stop());

function open(): Promise<AdministeredStore> {
  return openPostgresStore({
    server: postgres.server,
    maxConnections: 8,
    leaseSeconds: 30,
    clock: systemClock,
    random: systemRandom,
    onNotice: (text) => {
      throw new Error(text);
    },
  });
}

async function empty(): Promise<AdministeredFixture> {
  await postgres.clear();
  const store = await open();
  return { store, reopen: open, dispose: () => store.close() };
}

storeBehaviour("postgres", empty);
queueAdminBehaviour("postgres", empty);
