import { statfs } from "node:fs/promises";
import type { DeliveryEngine } from "../delivery/engine.ts";
import type { Observations } from "../metrics/observations.ts";
import type { OpenResolver } from "../resolver/openResolver.ts";
import type { Store } from "../spool/store.ts";
import type { DkimSigning } from "./dkimSigning.ts";
import type { Watch } from "./hostHistory.ts";
import type { Operator } from "./operator.ts";
import type { Parts } from "./parts.ts";
import type { Submission } from "./submission.ts";

type Observed = {
  store: Store;
  submission: Submission;
  engine: DeliveryEngine;
  resolver: OpenResolver;
  signing: DkimSigning;
  watch: Pick<Watch, "rollovers">;
  operator: Operator;
};

/** What a scrape asks of the parts. Rejects when the queue or its disk can't be asked. */
export async function observe(
  { config, clock, refused }: Parts,
  { store, submission, engine, resolver, signing, watch, operator }: Observed,
): Promise<Observations> {
  const { oldestAcceptedAt, ...queue } = await store.counts();
  const { hits, misses } = resolver.resolver.counts().answers;
  const exceptions = engine.activeExceptions();
  const largestWaiting = refused.largest(() => operator.api.destinations());
  const rollovers = watch.rollovers();
  return {
    queue,
    oldestMessageAgeSeconds: oldestAcceptedAt === undefined ? 0 : Math.max(0, clock.now() - oldestAcceptedAt) / 1000,
    ...(largestWaiting === undefined ? {} : { largestWaiting }),
    connections: { inbound: submission.listener.connections(), outbound: engine.openConnections },
    policyExceptions: exceptions.length,
    ...(exceptions.length === 0 ? {} : { nextExceptionExpiry: Math.min(...exceptions.map(({ expiresAt }) => expiresAt)) }),
    ...(config.spool.kind === "file" ? { spoolDisk: await spoolDisk(config.spool.directory) } : {}),
    unreadableFiles: [
      ...submission.unreadableFiles(),
      ...(operator.tokenCheck().length > 0 ? (["token"] as const) : []),
      ...(signing.checks().length > 0 ? (["dkim"] as const) : []),
    ],
    dnssecCache: { hits, misses },
    ...(rollovers === undefined ? {} : { rollovers: { totals: rollovers.totals, hostsAtRisk: rollovers.atRisk.length } }),
  };
}

async function spoolDisk(directory: string): Promise<{ free: number; size: number }> {
  const { bavail, blocks, bsize } = await statfs(directory);
  return { free: bavail * bsize, size: blocks * bsize };
}
