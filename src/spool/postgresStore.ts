import type { Clock, Random } from "../clock.ts";
import { PostgresBodies } from "./postgresBody.ts";
import { PostgresConnection, type PostgresServer } from "./postgresConnection.ts";
import { PostgresLease } from "./postgresLease.ts";
import { PostgresQueue } from "./postgresQueue.ts";
import { checkDurability, type PostgresVerdict, prepareSchema } from "./postgresSchema.ts";
import type { AdministeredStore } from "./queueAdmin.ts";
import { StoreError } from "./store.ts";

/** The shared spool: one queue in PostgreSQL, served by any number of replicas. */
export type PostgresStoreOptions = {
  server: PostgresServer;
  /** Beside two for the leases, which must not wait behind mail. */
  maxConnections: number;
  leaseSeconds: number;
  /** Content up to this size is stored in the message's row, larger content in chunks. */
  inlineBytes?: number;
  clock: Clock;
  random: Random;
  /** What the operator should know of the server, although mail can be kept. */
  onNotice: (text: string) => void;
  /** Of what is tried again by itself: deliveries that cannot be recorded now. */
  onTrouble?: (error: StoreError) => void;
};

const DEFAULT_INLINE_BYTES = 64 * 1024;
const LEASE_CONNECTIONS = 2;
/** Made when the operator asks something; a question about a million messages takes its time, and none from mail. */
const OPERATOR_CONNECTIONS = 2;
const OPERATOR_STATEMENT_SECONDS = 120;
/** An answer to a beat that takes longer than this part of the lease is not waited for. */
const BEAT_SHARE = 0.25;

/** Opens the queue, makes its tables where there are none. Rejects with a StoreError whose text says what to do. */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<AdministeredStore> {
  const { server, maxConnections, leaseSeconds, clock, random } = options;
  const connection = new PostgresConnection(server, { maxConnections });
  const forLeases = new PostgresConnection(server, {
    maxConnections: LEASE_CONNECTIONS,
    statementSeconds: leaseSeconds * BEAT_SHARE,
  });
  const forOperator = new PostgresConnection(server, {
    maxConnections: OPERATOR_CONNECTIONS,
    statementSeconds: OPERATOR_STATEMENT_SECONDS,
  });
  const { onTrouble = () => undefined } = options;
  const inlineBytes = options.inlineBytes ?? DEFAULT_INLINE_BYTES;
  const bodies = new PostgresBodies(connection);
  const lease = new PostgresLease(forLeases, leaseSeconds);
  const queue = new PostgresQueue({ connection, forOperator, lease, bodies, inlineBytes, clock, random, onTrouble });
  try {
    for (const notice of noticesOf(await checkDurability(connection.ask), server)) options.onNotice(notice);
    noticesOf(await forOperator.transaction(prepareSchema), server);
    await lease.beat();
    await queue.start();
    return queue;
  } catch (error) {
    const failure = connection.failure(error);
    // What failed to open may fail to close too; the first failure is the one to tell.
    await queue.close().catch(() => undefined);
    throw failure;
  }
}

function noticesOf(verdict: PostgresVerdict, { host, port, database }: PostgresServer): readonly string[] {
  if (verdict.kind === "ready") return verdict.notices;
  throw new StoreError("io", `the spool postgres://${host}:${port}/${database} cannot be used: ${verdict.reason}`);
}
