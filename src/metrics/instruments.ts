import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { DANE_OUTCOMES, type DaneOutcome } from "../policy/disposition.ts";
import type { RejectionReason } from "../submission/rejection.ts";
import { declared, values } from "./declaration.ts";
import {
  type DeliveryOutcome,
  DNS_SOURCES,
  EXPECTED_DELIVERIES,
  GROUPS,
  groupLabel,
  LOOKUP_TYPES,
  OUTCOMES,
  PROTOCOLS,
  protocolLabel,
  REJECTIONS,
  REPORT_RESULTS,
  type ReportResult,
  TRANSPORTS,
  tlsLabel,
  USAGES,
  type UsageLabel,
  VERDICTS,
} from "./labels.ts";
import { type Observations, observedMetrics } from "./observations.ts";

/**
 * Every metric of design.md §4 that the relay feeds, declared once. Never a domain as a label; label sets are closed and begin at zero, so
 * that rates and alerts see the first event too.
 */
/** prom-client's defaults without the three that promtool's lint refuses (gauges named _total). */
const REFUSED_DEFAULTS = ["nodejs_active_handles_total", "nodejs_active_requests_total", "nodejs_active_resources_total"];

const DNS_SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const DELIVERY_SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600];
const QUEUE_SECONDS = [0.01, 0.1, 1, 10, 60, 300, 900, 3600, 14_400, 43_200, 86_400, 432_000];

export type Instruments = {
  readonly registry: Registry;
  messageAccepted(): void;
  messageRejected(reason: RejectionReason): void;
  /** One recipient, one attempt. `tls` as in the log. */
  delivery(outcome: DeliveryOutcome, tls: string): void;
  /** One host tried, or kept from by policy. */
  daneOutcome(outcome: DaneOutcome, usage: UsageLabel): void;
  dnssecVerdict(type: (typeof LOOKUP_TYPES)[number], status: (typeof VERDICTS)[number]): void;
  /** The result of the validation probe. */
  dnssecValidating(state: "validating" | "not-validating"): void;
  /** Where DNS data comes from now. */
  dnsSource(mode: (typeof DNS_SOURCES)[number] | "none"): void;
  dnsQuery(transport: (typeof TRANSPORTS)[number], seconds: number): void;
  /** `protocol` and `group` as node:tls names them. */
  tlsHandshake(protocol: string, group: string | undefined): void;
  /** One attempt for one message at one destination. */
  deliveryDuration(outcome: DeliveryOutcome, seconds: number): void;
  /** A transaction that needed no connection of its own. */
  connectionReused(): void;
  /** One recipient whose message was sent to its end without a reply. */
  ambiguousEnding(): void;
  /** From acceptance to the end of a recipient. */
  queueWait(seconds: number): void;
  /** One report (RFC 8460) to one place. */
  tlsrptReport(result: ReportResult): void;
  /** `unknown`: what is in the queue could not be asked; its gauges then have no value rather than an old one. */
  observe(observations: Observations | "unknown"): void;
};

function defaultMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  for (const name of REFUSED_DEFAULTS) registry.removeSingleMetric(name);
}

function deliveryMetrics(registry: Registry) {
  const accepted = new Counter(
    declared({ name: "messages_accepted_total", help: "Messages taken at submission, each durable in the spool." }, registry),
  );
  const rejected = new Counter(
    declared(
      { name: "messages_rejected_total", help: `Refusals at submission. reason: ${values(REJECTIONS)}.`, labelNames: ["reason"] },
      registry,
    ),
  );
  const deliveries = new Counter(
    declared(
      {
        name: "deliveries_total",
        help: `Delivery attempts, one for each recipient. outcome: ${values(OUTCOMES)}; tls: wanted or wanted:got, ! in front where policy kept the message back, ? behind where undecided.`,
        labelNames: ["outcome", "tls"],
      },
      registry,
    ),
  );
  const dane = new Counter(
    declared(
      {
        name: "dane_outcomes_total",
        help: `MX hosts tried, by what DANE came to. outcome: ${values(DANE_OUTCOMES)}; usage (of the TLSA record): ${values(USAGES)}.`,
        labelNames: ["outcome", "usage"],
      },
      registry,
    ),
  );
  const reused = new Counter(
    declared(
      { name: "connections_reused_total", help: "Transactions on an outgoing connection that was already open." },
      registry,
    ),
  );
  const ambiguous = new Counter(
    declared(
      {
        name: "deliveries_ambiguous_total",
        help: "Recipients whose message was sent to its end without a reply: tried again, and perhaps delivered twice.",
      },
      registry,
    ),
  );
  for (const reason of REJECTIONS) rejected.inc({ reason }, 0);
  for (const labels of EXPECTED_DELIVERIES) deliveries.inc(labels, 0);
  for (const outcome of DANE_OUTCOMES) for (const usage of USAGES) dane.inc({ outcome, usage }, 0);
  return { accepted, rejected, deliveries, dane, reused, ambiguous };
}

function durationMetrics(registry: Registry) {
  const dns = new Histogram({
    ...declared(
      {
        name: "dns_query_duration_seconds",
        help: `Time of a DNS exchange. transport: ${values(TRANSPORTS)}.`,
        labelNames: ["transport"],
      },
      registry,
    ),
    buckets: DNS_SECONDS,
  });
  const delivery = new Histogram({
    ...declared(
      {
        name: "delivery_duration_seconds",
        help: `Time of a delivery attempt. outcome: ${values(OUTCOMES)}.`,
        labelNames: ["outcome"],
      },
      registry,
    ),
    buckets: DELIVERY_SECONDS,
  });
  const queueWait = new Histogram({
    ...declared(
      { name: "queue_wait_seconds", help: "Time from acceptance until a recipient was delivered or failed." },
      registry,
    ),
    buckets: QUEUE_SECONDS,
  });
  for (const transport of TRANSPORTS) dns.zero({ transport });
  for (const outcome of OUTCOMES) delivery.zero({ outcome });
  return { dns, delivery, queueWait };
}

function securityMetrics(registry: Registry) {
  const verdicts = new Counter(
    declared(
      {
        name: "dnssec_verdicts_total",
        help: `Look-ups by DNSSEC status (RFC 4035 section 4.3). type: ${values(LOOKUP_TYPES)}; status: ${values(VERDICTS)}.`,
        labelNames: ["type", "status"],
      },
      registry,
    ),
  );
  const validating = new Gauge(
    declared(
      { name: "dnssec_validating", help: "1 when a signed-good name was found secure and a signed-bad one bogus, else 0." },
      registry,
    ),
  );
  const source = new Gauge(
    declared(
      {
        name: "dns_source",
        help: `1 for where DNS data comes from now, as resolver.mode led to it. source: ${values(DNS_SOURCES)}.`,
        labelNames: ["source"],
      },
      registry,
    ),
  );
  const handshakes = new Counter(
    declared(
      {
        name: "tls_handshakes_total",
        help: `Outgoing TLS handshakes completed. protocol: ${values(PROTOCOLS)}; group: ${values(GROUPS)}.`,
        labelNames: ["protocol", "group"],
      },
      registry,
    ),
  );
  const reports = new Counter(
    declared(
      {
        name: "tlsrpt_reports_total",
        help: `TLS reports (RFC 8460), by place. result: ${values(REPORT_RESULTS)}.`,
        labelNames: ["result"],
      },
      registry,
    ),
  );
  for (const result of REPORT_RESULTS) reports.inc({ result }, 0);
  for (const type of LOOKUP_TYPES) for (const status of VERDICTS) verdicts.inc({ type, status }, 0);
  for (const protocol of PROTOCOLS) for (const group of GROUPS) handshakes.inc({ protocol, group }, 0);
  validating.set(0);
  const setSource = (mode: string): void => {
    for (const known of DNS_SOURCES) source.set({ source: known }, known === mode ? 1 : 0);
  };
  setSource("none");
  return { verdicts, validating, handshakes, setSource, reports };
}

/** A registry of its own with every metric in it. */
export function createInstruments(): Instruments {
  const registry = new Registry();
  defaultMetrics(registry);
  const { accepted, rejected, deliveries, dane, reused, ambiguous } = deliveryMetrics(registry);
  const { verdicts, validating, handshakes, setSource, reports } = securityMetrics(registry);
  const { dns, delivery, queueWait } = durationMetrics(registry);
  return {
    registry,
    messageAccepted: () => accepted.inc(),
    messageRejected: (reason) => rejected.inc({ reason }),
    delivery: (outcome, tls) => deliveries.inc({ outcome, tls: tlsLabel(tls) }),
    daneOutcome: (outcome, usage) => dane.inc({ outcome, usage }),
    dnssecVerdict: (type, status) => verdicts.inc({ type, status }),
    dnssecValidating: (state) => validating.set(state === "validating" ? 1 : 0),
    dnsSource: setSource,
    dnsQuery: (transport, seconds) => dns.observe({ transport }, seconds),
    tlsHandshake: (protocol, group) => handshakes.inc({ protocol: protocolLabel(protocol), group: groupLabel(group) }),
    deliveryDuration: (outcome, seconds) => delivery.observe({ outcome }, seconds),
    connectionReused: () => reused.inc(),
    ambiguousEnding: () => ambiguous.inc(),
    queueWait: (seconds) => queueWait.observe(seconds),
    tlsrptReport: (result) => reports.inc({ result }),
    observe: observedMetrics(registry),
  };
}
