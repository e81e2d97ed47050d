import type { TlsException } from "../delivery/tlsPolicies.ts";
import type { ValidationState } from "../resolver/validationMonitor.ts";
import type { QueueStatistic } from "../spool/queueAdmin.ts";
import type { QueueCounts } from "../spool/store.ts";
import type { DeliveryRecord, DeliveryRing, RecentDestination } from "./deliveryRing.ts";
import type { Check } from "./health.ts";

/** What the relay is and how it does, as the parts know it. */
export type RelayState = {
  version: string;
  hostname: string;
  /** Milliseconds since the epoch. */
  startedAt: number;
  now: number;
  checks: readonly Check[];
  validation: ValidationState;
  counts: QueueCounts;
  exceptions: readonly TlsException[];
};

/** One destination, from what waits for it and from the last attempts of this process. */
export type DestinationStatus = {
  destination: string;
  /** Waiting. */
  messages: number;
  recipients: number;
  oldestAcceptedAt?: number;
  /** The most frequent reason of those that wait, else that of the last attempt. */
  reason?: string;
  /** Attempts in the ring, by outcome. */
  recent: { delivered: number; deferred: number; failed: number };
  last?: DeliveryRecord;
};

const RECENT = 50;
const FAILING = 10;

/** GET /api/v1/status. */
export function statusBody(state: RelayState, destinations: readonly DestinationStatus[], ring: DeliveryRing): object {
  const { version, hostname, startedAt, now, checks, validation, counts, exceptions } = state;
  const { oldestAcceptedAt, ...byState } = counts;
  const { kind, mode, source, reason } = validation;
  return {
    version,
    hostname,
    startedAt,
    uptimeSeconds: Math.max(0, Math.floor((now - startedAt) / 1000)),
    checks,
    dnssec: { state: kind === "validating" ? "validating" : "not-validating", mode, source, reason },
    queue: { ...byState, ...(oldestAcceptedAt === undefined ? {} : { oldestAcceptedAt }) },
    exceptions: exceptions.map(({ domain, level, reason: why, expiresAt }) => ({
      domain,
      level,
      ...(why === undefined ? {} : { reason: why }),
      expiresAt,
    })),
    failing: destinations.filter(isFailing).slice(0, FAILING),
    deliveries: ring.recent(RECENT, ({ outcome }) => outcome === "delivered"),
    failures: ring.recent(RECENT, ({ outcome }) => outcome !== "delivered"),
  };
}

function isFailing({ recent, reason }: DestinationStatus): boolean {
  return reason !== undefined || recent.deferred + recent.failed > 0;
}

/** Worst first: by recipients that wait, then by attempts that did not deliver. */
export function destinationStatuses(waiting: readonly QueueStatistic[], ring: DeliveryRing): readonly DestinationStatus[] {
  const recent = ring.destinations();
  const known = waiting.map((one): DestinationStatus => {
    const { key, messages, recipients, oldestAcceptedAt, reason } = one;
    const seen = recentOf(recent.get(key));
    return { destination: key, messages, recipients, oldestAcceptedAt, ...seen, ...(reason === undefined ? {} : { reason }) };
  });
  const listed = new Set(known.map(({ destination }) => destination));
  for (const [destination, seen] of recent) {
    if (!listed.has(destination)) known.push({ destination, messages: 0, recipients: 0, ...recentOf(seen) });
  }
  const troubles = ({ recent: { deferred, failed } }: DestinationStatus): number => deferred + failed;
  return known.sort((one, other) => other.recipients - one.recipients || troubles(other) - troubles(one));
}

function recentOf(seen: RecentDestination | undefined): Pick<DestinationStatus, "recent" | "last" | "reason"> {
  if (seen === undefined) return { recent: { delivered: 0, deferred: 0, failed: 0 } };
  const { last, ...recent } = seen;
  return { recent, last, ...(last.reason === undefined ? {} : { reason: last.reason }) };
}
