import { join } from "node:path";
import type { Config } from "../config/schema.ts";

/** A worker process among `of`: the shard of the spool that it owns, and whether it takes mail or only empties the shard. */
export type Share = { shard: string; of: number; role: "accepts" | "empties" };

function part(limit: number, { of }: Share): number {
  return Math.ceil(limit / of);
}

function partOf(limit: number | undefined, share: Share): number | undefined {
  return limit === undefined ? undefined : part(limit, share);
}

/**
 * The configuration of one worker: its own part of the spool, and of each limit an equal part, rounded up. The limits hold for all workers
 * together; one that is at its part refuses for now (421, 451) even where another has room. What a shared queue counts by itself, for all its
 * replicas, is not divided again.
 */
export function shareOf(config: Config, share: Share): Config {
  const { spool, stateDirectory, submission, delivery } = config;
  const { messagesPerMinute, recipientsPerMinute } = submission.rate;
  return {
    ...config,
    spool: spool.kind === "file" ? { ...spool, directory: join(spool.directory, share.shard) } : spool,
    stateDirectory: stateDirectory === undefined ? undefined : join(stateDirectory, share.shard),
    submission: {
      ...submission,
      maxConnections: part(submission.maxConnections, share),
      maxConnectionsPerClient: partOf(submission.maxConnectionsPerClient, share),
      rate: {
        ...submission.rate,
        messagesPerMinute: partOf(messagesPerMinute, share),
        recipientsPerMinute: partOf(recipientsPerMinute, share),
      },
    },
    delivery: {
      ...delivery,
      maxConnections: part(delivery.maxConnections, share),
      maxConnectionsPerDestination:
        spool.kind === "file" ? part(delivery.maxConnectionsPerDestination, share) : delivery.maxConnectionsPerDestination,
      // Not rounded: a rate of one a minute would be one for each worker.
      rates: delivery.rates.map((rate) => ({ ...rate, messagesPerMinute: rate.messagesPerMinute / share.of })),
    },
    // A shard that is being emptied gets no mail of our own.
    ...(share.role === "accepts" ? {} : { tlsrpt: { ...config.tlsrpt, contact: undefined } }),
  };
}
