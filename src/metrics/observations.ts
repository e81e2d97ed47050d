import { Counter, Gauge, type Registry } from "prom-client";
import { ROLLOVER_KINDS, type RolloverKind } from "../diagnosis/rollover.ts";
import { declared, values } from "./declaration.ts";
import { DANE_REFUSALS, type DaneRefusal, DIRECTIONS, QUEUE_STATES, WATCHED_FILES, type WatchedFile } from "./labels.ts";

/** What is asked for at each scrape, rather than counted as it happens. */
export type Observations = {
  queue: { incoming: number; active: number; deferred: number; held: number };
  /** Of the oldest message in the queue; 0 when it is empty. */
  oldestMessageAgeSeconds: number;
  /** Messages that wait for one destination, the most there are, by what its last attempt came to; absent: they are not counted yet. */
  largestWaiting?: Readonly<Record<DaneRefusal, number>>;
  connections: { inbound: number; outbound: number };
  /** Relaxing tlsPolicies in force. */
  policyExceptions: number;
  /** When the first of them ends, milliseconds since the epoch; absent: none is in force. */
  nextExceptionExpiry?: number;
  /** Of the disk that the spool is on, in octets; absent: it is no disk of ours. */
  spoolDisk?: { free: number; size: number };
  /** Configured files that can't be read now; the relay goes on with what it read before. */
  unreadableFiles: readonly WatchedFile[];
  /** Since the start. */
  dnssecCache: { hits: number; misses: number };
  /** In the history of hosts; absent: there is none, or it was not counted yet. */
  rollovers?: { totals: Readonly<Record<RolloverKind, number>>; hostsAtRisk: number };
};

type Observed = Observations | "unknown";

function queueMetrics(registry: Registry): (observed: Observed) => void {
  const messages = new Gauge(
    declared(
      { name: "queue_messages", help: `Messages in the queue. state: ${values(QUEUE_STATES)}.`, labelNames: ["state"] },
      registry,
    ),
  );
  const age = new Gauge(
    declared(
      { name: "queue_oldest_message_age_seconds", help: "Age of the oldest message in the queue; 0 when it is empty." },
      registry,
    ),
  );
  const largest = new Gauge(
    declared(
      {
        name: "queue_largest_destination_messages",
        help: `Messages that wait for one destination, the most there are, by what its last attempt came to; 0: no destination is refused for that. outcome: ${values(DANE_REFUSALS)}.`,
        labelNames: ["outcome"],
      },
      registry,
    ),
  );
  const free = new Gauge(
    declared({ name: "spool_free_bytes", help: "Free octets on the disk of the spool; NaN for PostgreSQL." }, registry),
  );
  const size = new Gauge(
    declared({ name: "spool_size_bytes", help: "Octets of the disk of the spool; NaN for PostgreSQL." }, registry),
  );
  return (observed) => {
    const known = observed === "unknown" ? undefined : observed;
    for (const state of QUEUE_STATES) messages.set({ state }, known?.queue[state] ?? Number.NaN);
    for (const outcome of DANE_REFUSALS) largest.set({ outcome }, known?.largestWaiting?.[outcome] ?? Number.NaN);
    age.set(known?.oldestMessageAgeSeconds ?? Number.NaN);
    free.set(known?.spoolDisk?.free ?? Number.NaN);
    size.set(known?.spoolDisk?.size ?? Number.NaN);
  };
}

function configurationMetrics(registry: Registry): (observed: Observed) => void {
  const exceptions = new Gauge(
    declared({ name: "policy_exceptions_active", help: "tlsPolicies in force that relax what DANE demands." }, registry),
  );
  const expiry = new Gauge(
    declared(
      {
        name: "policy_exceptions_next_expiry_timestamp_seconds",
        help: "When the first of the tlsPolicies in force that relax ends, since the epoch; NaN: there is none.",
      },
      registry,
    ),
  );
  const unreadable = new Gauge(
    declared(
      {
        name: "file_unreadable",
        help: `1 when a configured file can't be read, and what was read before is still used. file: ${values(WATCHED_FILES)}.`,
        labelNames: ["file"],
      },
      registry,
    ),
  );
  return (observed) => {
    if (observed === "unknown") return;
    exceptions.set(observed.policyExceptions);
    const { nextExceptionExpiry } = observed;
    expiry.set(nextExceptionExpiry === undefined ? Number.NaN : nextExceptionExpiry / 1000);
    for (const file of WATCHED_FILES) unreadable.set({ file }, observed.unreadableFiles.includes(file) ? 1 : 0);
  };
}

function connectionMetrics(registry: Registry): (observed: Observed) => void {
  const connections = new Gauge(
    declared(
      { name: "connections_open", help: `Open SMTP connections. direction: ${values(DIRECTIONS)}.`, labelNames: ["direction"] },
      registry,
    ),
  );
  const hits = new Counter(
    declared({ name: "dnssec_cache_hits_total", help: "Validated look-ups answered from the cache." }, registry),
  );
  const misses = new Counter(
    declared({ name: "dnssec_cache_misses_total", help: "Look-ups that the cache could not answer." }, registry),
  );
  return (observed) => {
    if (observed === "unknown") return;
    for (const direction of DIRECTIONS) connections.set({ direction }, observed.connections[direction]);
    hits.reset();
    hits.inc(observed.dnssecCache.hits);
    misses.reset();
    misses.inc(observed.dnssecCache.misses);
  };
}

function rolloverMetrics(registry: Registry): (observed: Observed) => void {
  const rollovers = new Gauge(
    declared(
      {
        name: "rollovers",
        help: `Changes of certificates under DANE in the kept history of mail hosts. kind: ${values(ROLLOVER_KINDS)}.`,
        labelNames: ["kind"],
      },
      registry,
    ),
  );
  const atRisk = new Gauge(
    declared(
      { name: "hosts_at_risk", help: "Mail hosts seen in the last week that their next certificate renewal will break." },
      registry,
    ),
  );
  return (observed) => {
    const known = observed === "unknown" ? undefined : observed.rollovers;
    for (const kind of ROLLOVER_KINDS) rollovers.set({ kind }, known?.totals[kind] ?? 0);
    atRisk.set(known?.hostsAtRisk ?? 0);
  };
}

/** The gauges of design.md §4, and how a scrape sets them. `unknown`: the queue could not be asked; its gauges then have no value. */
export function observedMetrics(registry: Registry): (observed: Observed) => void {
  const parts = [queueMetrics(registry), configurationMetrics(registry), connectionMetrics(registry), rolloverMetrics(registry)];
  return (observed) => {
    for (const part of parts) part(observed);
  };
}
