import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue } from "prom-client";

/** Metrics of worker processes as those of one relay: what is counted is summed; what each knows of the same thing is told once. */
export type WorkerMetrics = readonly MetricObjectWithValues<MetricValue<string>>[];

type Aggregator = "max" | "min" | "first";

const PREFIX = "dane_relay_";
/** The worst of all workers where one is enough to act on, and what is the same for all of them. */
const AGGREGATORS: Readonly<Record<string, Aggregator>> = {
  queue_oldest_message_age_seconds: "max",
  queue_largest_destination_messages: "max",
  dnssec_validating: "min",
  dns_source: "max",
  policy_exceptions_active: "max",
  policy_exceptions_next_expiry_timestamp_seconds: "min",
  spool_free_bytes: "min",
  spool_size_bytes: "max",
  file_unreadable: "max",
  rollovers: "max",
  hosts_at_risk: "max",
};

/** The text of /metrics. */
export function aggregated(workers: readonly WorkerMetrics[]): Promise<string> {
  const named = workers.map((metrics) =>
    metrics.map((metric) => {
      const aggregator = AGGREGATORS[metric.name.slice(PREFIX.length)];
      return aggregator === undefined ? metric : { ...metric, aggregator };
    }),
  );
  return AggregatorRegistry.aggregate(named as unknown as object[]).metrics();
}

/** Messages in the queue of one worker; undefined: its metrics do not say. */
export function queuedMessages(metrics: WorkerMetrics): number | undefined {
  const values = metrics.find(({ name }) => name === `${PREFIX}queue_messages`)?.values ?? [];
  const sum = values.reduce((total, { value }) => total + value, 0);
  return values.length === 0 || Number.isNaN(sum) ? undefined : sum;
}
