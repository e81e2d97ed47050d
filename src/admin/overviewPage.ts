import { counted, dateText, spanText } from "../diagnosis/quantity.ts";
import type { QueueCounts } from "../spool/store.ts";
import type { Asked } from "./asked.ts";
import type { Check } from "./health.ts";
import { beginning, type Html, html } from "./html.ts";
import { outcomePicture } from "./outcomePicture.ts";
import type { OutcomeMinute } from "./outcomeSeries.ts";
import type { Visitor } from "./pageLayout.ts";
import { dataTable, factList } from "./pageTable.ts";
import type { DestinationStatus } from "./relayStatus.ts";
import { type RelayFacts, type RelayVerdict, relayVerdict } from "./relayVerdict.ts";

/** The first page: how the relay is, what waits and why, what became of attempts. */
export type Overview = {
  facts: RelayFacts;
  checks: readonly Check[];
  counts: Asked<QueueCounts>;
  /** Worst first. */
  destinations: Asked<readonly DestinationStatus[]>;
  minutes: readonly OutcomeMinute[];
  lastHour: readonly OutcomeMinute[];
  visitor: Visitor;
};

const MAX_DESTINATIONS = 15;
const MAX_FAILING = 8;
const MAX_EXCEPTIONS = 50;
const MAX_AT_RISK = 20;
/** Below what a count keeps of a reason, so that what was cut says so. */
const REASON_CHARACTERS = 190;
const MARKS = { fine: "✓", degraded: "!", trouble: "✗" } as const;
const STATES = { ok: "fine", degraded: "degraded", failed: "trouble" } as const;

export function overviewPage(overview: Overview): Html {
  const { facts, checks, counts, destinations, minutes, visitor } = overview;
  return html`${verdictBox(relayVerdict(overview), facts.now)}
${queueFacts(counts, facts)}
${readerNote(visitor)}
<h2 id="destinations">Waiting, by destination</h2>
${waitingTable(destinations, counts, facts.now)}
<h2 id="outcomes">Delivery attempts and DANE, the last six hours</h2>
<p class="quiet small">Each recipient of each attempt counts, of this process since ${dateText(facts.startedAt)}; times are UTC. All of it is in the metrics and the log.</p>
${outcomePicture(minutes, facts.now)}
<h2 id="failing">Destinations that fail most</h2>
${failingTable(destinations, facts.now)}
<h2 id="renewals">Hosts that will break at their next renewal</h2>
${riskTable(facts)}
<h2 id="checks">Checks</h2>
${dataTable({
  caption: "The checks of /readyz",
  columns: ["check", "state", "in words"],
  kinds: ["short", "short"],
  rows: checks.map(({ name, status, text }) => [name, state(STATES[status], status), text]),
})}
<h2 id="dnssec">DNSSEC</h2>
${dnssecFacts(facts)}
<h2 id="exceptions">Exceptions from what DANE demands</h2>
${exceptionsTable(facts)}`;
}

function verdictBox({ kind, headline, reasons }: RelayVerdict, now: number): Html {
  const [first = "", ...more] = reasons;
  const said = more.length === 0 ? html`<p>${first}</p>` : html`<ul>${reasons.map((reason) => html`<li>${reason}</li>`)}</ul>`;
  return html`<section class="verdict ${kind}"><h1><span class="mark" aria-hidden="true">${MARKS[kind]}</span> ${headline}</h1>${said}<p class="quiet small">As of ${dateText(now)}.</p></section>`;
}

function state(kind: keyof typeof MARKS, word: string): Html {
  return html`<span class="state ${kind}"><span aria-hidden="true">${MARKS[kind]}</span> ${word}</span>`;
}

function queueFacts(counts: Asked<QueueCounts>, { now, connections, startedAt }: RelayFacts): Html {
  const open = factOf("Connections", `${connections.inbound} in, ${connections.outbound} out`);
  const up = factOf("Running for", spanText(now - startedAt));
  if (counts.kind === "unknown") return factList([factOf("Queue", `could not be asked: ${counts.reason}`), open, up]);
  const { incoming, active, deferred, held, oldestAcceptedAt } = counts.value;
  return factList([
    factOf("Not tried yet", String(incoming)),
    factOf("Being delivered", String(active)),
    factOf("Tried, waiting", String(deferred)),
    factOf("Held", String(held)),
    factOf("Oldest message", oldestAcceptedAt === undefined ? "none" : spanText(now - oldestAcceptedAt)),
    open,
    up,
  ]);
}

function factOf(term: string, value: string): readonly [string, Html] {
  return [term, html`<span class="big">${value}</span>`];
}

function readerNote(visitor: Visitor): Html | undefined {
  return visitor.kind === "reader" ? html`<p class="quiet small">${visitor.because}</p>` : undefined;
}

function unknown(what: string, reason: string): Html {
  return html`<p class="alarm">${what} could not be asked: ${reason}</p>`;
}

function waitingTable(destinations: Asked<readonly DestinationStatus[]>, counts: Asked<QueueCounts>, now: number): Html {
  if (destinations.kind === "unknown") return unknown("The queue", destinations.reason);
  const waiting = destinations.value.filter(({ recipients }) => recipients > 0);
  if (waiting.length === 0) {
    // The count by destination is some seconds old at most.
    const some =
      counts.kind === "known" && counts.value.incoming + counts.value.active + counts.value.deferred + counts.value.held > 0;
    return html`<p class="quiet">${some ? "What is in the queue has just come: load the page again in a while." : "Nothing waits."}</p>`;
  }
  const more = waiting.length - MAX_DESTINATIONS;
  return html`${dataTable({
    caption: "Destinations that mail waits for, most recipients first",
    columns: ["destination", "recipients", "messages", "oldest", "last reason"],
    kinds: ["name", "number", "number", "short", "brief"],
    rows: waiting
      .slice(0, MAX_DESTINATIONS)
      .map(({ destination, recipients, messages, oldestAcceptedAt, reason }) => [
        destinationLink(destination),
        recipients,
        messages,
        oldestAcceptedAt === undefined ? "" : spanText(now - oldestAcceptedAt),
        beginning(reason ?? "not tried yet", REASON_CHARACTERS),
      ]),
  })}
${more > 0 ? html`<p>and ${counted(more, "destination")} more: <a href="/queue">the whole queue</a></p>` : undefined}`;
}

export function destinationLink(destination: string): Html {
  return html`<a href="/queue?domain=${encodeURIComponent(destination)}">${destination}</a>`;
}

export function explainLink(target: string): Html {
  return html`<a href="/explain?domain=${encodeURIComponent(target)}">explain<span class="skip"> ${target}</span></a>`;
}

function failingTable(destinations: Asked<readonly DestinationStatus[]>, now: number): Html {
  if (destinations.kind === "unknown") return unknown("The queue", destinations.reason);
  const troubles = ({ recent }: DestinationStatus): number => recent.deferred + recent.failed;
  const failing = destinations.value.filter((one) => troubles(one) > 0).sort((one, other) => troubles(other) - troubles(one));
  if (failing.length === 0) return html`<p class="quiet">None of the last attempts of this process failed.</p>`;
  return dataTable({
    caption: "Destinations by attempts that did not deliver, among the last attempts of this process",
    columns: ["destination", "failed", "last try", "TLS", "last reason", "why"],
    kinds: ["name", "short", "short", "short", "brief", "short"],
    rows: failing
      .slice(0, MAX_FAILING)
      .map((one) => [
        destinationLink(one.destination),
        `${troubles(one)} of ${troubles(one) + one.recent.delivered}`,
        one.last === undefined ? "" : `${spanText(now - one.last.at)} ago`,
        html`<code>${one.last?.tls}</code>`,
        beginning(one.last?.reason ?? "", REASON_CHARACTERS),
        explainLink(one.destination),
      ]),
  });
}

const SOURCES = {
  forward: "asks the resolver of the configuration, and validates what it says",
  recursive: "asks from the root down, and validates",
  none: "has no source of DNS data",
} as const;

function dnssecFacts({ validation: { kind, mode, source, reason } }: RelayFacts): Html {
  const validating =
    kind === "validating" ? state("fine", "yes") : state("degraded", kind === "unknown" ? "not known yet" : "no");
  return html`${factList([
    ["Validating", validating],
    ["This relay", SOURCES[mode]],
    ["Source, and why", source],
    ["Last probe", reason],
  ])}
${kind === "validating" ? undefined : html`<p>Mail to destinations that cannot be validated waits in the queue; none is sent unprotected.</p>`}`;
}

/** What their operators can mend before mail waits. */
function riskTable({ hostsAtRisk }: RelayFacts): Html {
  if (hostsAtRisk === undefined) return html`<p class="quiet">No history of hosts is kept (history.days is 0).</p>`;
  if (hostsAtRisk.length === 0) return html`<p class="quiet">None of those that mail went to in the last week.</p>`;
  return dataTable({
    caption: "Mail hosts whose certificate ends soon, with TLSA records that the next one will not match",
    columns: ["host", "why"],
    kinds: ["name"],
    rows: hostsAtRisk.slice(0, MAX_AT_RISK).map(({ host, explanation }) => [host, explanation]),
  });
}

function exceptionsTable({ exceptions, now }: RelayFacts): Html {
  if (exceptions.length === 0) return html`<p class="quiet">None is in force.</p>`;
  return dataTable({
    caption: "Entries of delivery.tlsPolicies that relax what DANE demands",
    columns: ["domain", "level", "because", "until"],
    kinds: ["name", "short"],
    rows: [...exceptions]
      .sort((one, other) => one.expiresAt - other.expiresAt)
      .slice(0, MAX_EXCEPTIONS)
      .map(({ domain, level, reason, expiresAt }) => [
        domain,
        level,
        reason ?? "no reason given",
        `${dateText(expiresAt)}, in ${spanText(expiresAt - now)}`,
      ]),
  });
}
