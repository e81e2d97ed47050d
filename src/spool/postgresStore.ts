import type { Clock, Random } from "../clock.ts";
import type { PostgresServer } from "./postgresConnection.ts";
import { type Store, StoreError } from "./store.ts";

export type PostgresStoreOptions = {
  server: PostgresServer;
  maxConnections: number;
  leaseSeconds: number;
  clock: Clock;
  random: Random;
  onNotice: (text: string) => void;
};

/** The shared spool. */
export function openPostgresStore(_: PostgresStoreOptions): Promise<Store> {
  return Promise.reject(new StoreError("io", "the PostgreSQL spool is being written"));
}
