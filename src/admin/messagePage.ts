import { counted, dateText, spanText } from "../diagnosis/quantity.ts";
import type { AttemptRecord, QueuedMessage, QueueEntry } from "../spool/queueAdmin.ts";
import type { Asked } from "./asked.ts";
import type { DeliveryRecord } from "./deliveryRing.ts";
import { beginning, type Html, html, shortened } from "./html.ts";
import { destinationLink, explainLink } from "./overviewPage.ts";
import { csrfField, type Visitor } from "./pageLayout.ts";
import { dataTable, factList } from "./pageTable.ts";
import { actionButtons, nextText } from "./queuePage.ts";

/** One message with everything that is known of it. */
export type MessageView = {
  id: string;
  found: Asked<QueuedMessage | undefined>;
  /** The attempts that this process remembers, oldest first; also of a message that has left the queue. */
  remembered: readonly DeliveryRecord[];
  now: number;
  visitor: Visitor;
};

/** Of each table; a message may have thousands of recipients. The newest attempts are shown. */
const MAX_ROWS = 200;
const TEXT_CHARACTERS = 1000;

export function messagePage({ id, found, remembered, now, visitor }: MessageView): Html {
  const head = html`<h1>Message <span class="mono">${id}</span></h1>`;
  if (found.kind === "unknown")
    return html`${head}<p class="alarm">The queue could not be asked: ${found.reason}</p>${rememberedTable(remembered)}`;
  const message = found.value;
  if (message === undefined) return html`${head}${goneText(remembered)}${rememberedTable(remembered)}`;
  return html`${head}
${envelopeFacts(message, now)}
${visitor.kind === "operator" ? actionsForm(id, visitor.csrf) : undefined}
<h2 id="waiting">Who still waits</h2>
${message.entries.map((entry) => entrySection(entry, now))}
<h2 id="history">History, newest first</h2>
${attemptTable(message.attempts)}
${rememberedTable(remembered)}`;
}

function goneText(remembered: readonly DeliveryRecord[]): Html {
  const known =
    remembered.length > 0
      ? "What this process remembers of its last attempts:"
      : "Nothing of it was tried lately by this process; what is older is in the log.";
  return html`<p>It is not in the queue: delivered, given up, deleted, or never here. ${known}</p>`;
}

function envelopeFacts({ envelope }: QueuedMessage, now: number): Html {
  const needs = [
    envelope.requireTls ? "REQUIRETLS" : "",
    envelope.tlsRequiredNo ? "TLS-Required: No" : "",
    envelope.smtpUtf8 ? "SMTPUTF8" : "",
    envelope.eightBitMime ? "8BITMIME" : "",
  ].filter((need) => need !== "");
  return factList([
    ["Sender", envelope.sender === "" ? "<> (a notification)" : envelope.sender],
    ["Accepted", `${dateText(envelope.acceptedAt)}, ${spanText(now - envelope.acceptedAt)} ago`],
    ["Size", counted(envelope.size, "octet")],
    ["Asks for", needs.length === 0 ? "nothing special" : needs.join(", ")],
    ...(envelope.envelopeId === undefined ? [] : [["Envelope id of its sender", envelope.envelopeId] as const]),
  ]);
}

function actionsForm(id: string, csrf: string): Html {
  return html`<form method="post" action="/queue/act">${csrfField(csrf)}<input type="hidden" name="id" value="${id}"><input type="hidden" name="back" value="/queue/${id}">
<div class="actions" role="group" aria-label="Actions on this message">${actionButtons()}</div></form>`;
}

function entrySection(entry: QueueEntry, now: number): Html {
  const { destination, state, nextAttemptAt, recipients } = entry;
  const when = nextAttemptAt === undefined ? nextText(entry, now) : `${nextText(entry, now)}, at ${dateText(nextAttemptAt)}`;
  const more = recipients.length - MAX_ROWS;
  return html`<h3>${destinationLink(destination)}: ${state}</h3>
<p class="quiet small">next try: ${when}; ${explainLink(destination)}</p>
${dataTable({
  caption: `Recipients at ${destination} that still wait`,
  columns: ["recipient", "tried", "status", "last reason"],
  kinds: ["name", "short", "short"],
  rows: recipients
    .slice(0, MAX_ROWS)
    .map(({ address, attempts, status, reason }) => [
      address,
      attempts === 0 ? "not yet" : attempts === 1 ? "once" : `${attempts} times`,
      status ?? "",
      beginning(reason ?? "", TEXT_CHARACTERS),
    ]),
})}
${more > 0 ? html`<p class="quiet">and ${counted(more, "recipient")} more</p>` : undefined}`;
}

function attemptTable(attempts: readonly AttemptRecord[]): Html {
  if (attempts.length === 0) return html`<p class="quiet">No attempt has been made yet.</p>`;
  const more = attempts.length - MAX_ROWS;
  return html`${dataTable({
    caption: "Attempts for each recipient, newest first",
    columns: ["when", "recipient", "try", "outcome", "host", "status", "reason"],
    kinds: ["words", "name", "short", "short", "name", "short"],
    rows: attempts
      .slice(-MAX_ROWS)
      .reverse()
      .map(({ at, recipient, number, outcome, host, status, reason }) => [
        dateText(at),
        recipient,
        `${number}.`,
        outcome,
        host ?? "",
        status ?? "",
        beginning(reason ?? "", TEXT_CHARACTERS),
      ]),
  })}
${more > 0 ? html`<p class="quiet">and ${more} older ones</p>` : undefined}`;
}

/** What the queue does not keep: how the attempt was protected. */
function rememberedTable(remembered: readonly DeliveryRecord[]): Html | undefined {
  if (remembered.length === 0) return undefined;
  return html`<h2 id="protection">How the last attempts were protected, newest first</h2>
${dataTable({
  caption: "The last attempts of this process with TLS and DANE",
  columns: ["when", "recipient", "outcome", "protection", "reply or reason"],
  kinds: ["words", "name", "short"],
  rows: remembered
    .slice(-MAX_ROWS)
    .reverse()
    .map((record) => [
      dateText(record.at),
      record.recipient,
      record.outcome,
      protection(record),
      beginning(record.reason ?? record.reply ?? "", TEXT_CHARACTERS),
    ]),
})}`;
}

function protection({ tls, dane, dnssec, tlsa, protocol, cipher, group }: DeliveryRecord): Html {
  const channel = [protocol, cipher, group].filter((part) => part !== undefined).join(" ");
  return html`<code>${tls}</code>, DANE ${dane}<br>MX ${dnssec.mx}, address ${dnssec.address}, TLSA ${dnssec.tlsa}${tlsa === undefined ? undefined : html`<br><code>${shortened(tlsa, 32)}</code>`}${channel === "" ? undefined : html`<br>${channel}`}`;
}
