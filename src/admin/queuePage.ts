import { counted, spanText } from "../diagnosis/quantity.ts";
import { positionText, QUEUE_STATES, type QueueEntry, type QueuePage } from "../spool/queueAdmin.ts";
import type { Asked } from "./asked.ts";
import { beginning, type Html, html, shortened } from "./html.ts";
import { destinationLink } from "./overviewPage.ts";
import { csrfField, type Visitor } from "./pageLayout.ts";
import { dataTable } from "./pageTable.ts";

/** The queue as a list, a page at a time. */
export type QueueListing = {
  /** As the address bar has it. */
  query: URLSearchParams;
  /** Why the filter cannot be used. */
  wrong?: string;
  found: Asked<QueuePage>;
  now: number;
  visitor: Visitor;
};

export const QUEUE_PAGE = 50;
/** The page of a message has the whole of it. */
const REASON_CHARACTERS = 130;
const SHOWN_RECIPIENTS = 3;
const AGES = [
  ["", "any age"],
  ["600", "10 minutes"],
  ["3600", "1 hour"],
  ["14400", "4 hours"],
  ["86400", "1 day"],
  ["259200", "3 days"],
] as const;

export function queuePage({ query, wrong, found, now, visitor }: QueueListing): Html {
  return html`<h1>Queue</h1>
${filterForm(query)}
${wrong === undefined ? undefined : html`<p class="alarm" role="alert">${wrong}</p>`}
${found.kind === "unknown" ? html`<p class="alarm">The queue could not be asked: ${found.reason}</p>` : listing(found.value, { query, now, visitor })}`;
}

function filterForm(query: URLSearchParams): Html {
  const age = query.get("olderThanSeconds") ?? "";
  const ages = AGES.some(([value]) => value === age) ? AGES : [...AGES, [age, `${age} seconds`] as const];
  return html`<form method="get" action="/queue"><div class="fields">
${textField("domain", "Destination", query, "example.org")}
${textField("sender", "Sender", query, "<>: notifications")}
${textField("reason", "Reason contains", query, "")}
<div><label for="state">State</label><select id="state" name="state">${["", ...QUEUE_STATES].map((one) => option(one, one === "" ? "any state" : one, query.get("state") ?? ""))}</select></div>
<div><label for="olderThanSeconds">Waiting for at least</label><select id="olderThanSeconds" name="olderThanSeconds">${ages.map(([value, text]) => option(value, text, age))}</select></div>
<div><button>Filter</button></div>
</div></form>`;
}

function textField(name: string, label: string, query: URLSearchParams, example: string): Html {
  return html`<div><label for="${name}">${label}</label><input id="${name}" name="${name}" value="${query.get(name) ?? ""}" placeholder="${example}" autocomplete="off" spellcheck="false"></div>`;
}

function option(value: string, text: string, chosen: string): Html {
  return value === chosen
    ? html`<option value="${value}" selected>${text}</option>`
    : html`<option value="${value}">${text}</option>`;
}

function listing({ entries, next }: QueuePage, { query, now, visitor }: Omit<QueueListing, "found" | "wrong">): Html {
  const last =
    next === undefined
      ? undefined
      : html`<a class="button" rel="next" href="${pageAfter(query, positionText(next))}">Next ${QUEUE_PAGE}</a>`;
  const first = query.has("after") ? html`<a class="button" href="${pageAfter(query, undefined)}">First page</a>` : undefined;
  const pages = html`<div class="actions">${first}${last}</div>`;
  if (entries.length === 0 && next === undefined) {
    return html`<p class="quiet">${filterOf(query).length > 0 ? "Nothing in the queue matches." : "The queue is empty."}</p>${pages}`;
  }
  const list = entryTable(entries, now, visitor);
  if (visitor.kind !== "operator") return html`${list}${pages}`;
  return html`<form method="post" action="/queue/act">${csrfField(visitor.csrf)}
<input type="hidden" name="back" value="${pathOf(query)}">${list}
<div class="actions" role="group" aria-label="Actions on the chosen messages">${actionButtons()}</div></form>
${pages}
${wholeFilter(query, visitor.csrf)}`;
}

/** The whole of what matches, at whichever page it is; each is asked for again. */
function wholeFilter(query: URLSearchParams, csrf: string): Html {
  const filter = filterOf(query);
  const what = filter.length === 0 ? "the whole queue" : "everything that matches the filter";
  return html`<details><summary>Act on ${what}</summary><form method="post" action="/queue/act">${csrfField(csrf)}
<input type="hidden" name="scope" value="${filter.length === 0 ? "all" : "filter"}">${filter.map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}
<input type="hidden" name="back" value="/queue"><div class="actions">${actionButtons()}</div></form></details>`;
}

export function actionButtons(): Html {
  return html`<button name="action" value="retry">Retry now</button><button name="action" value="hold">Hold</button><button name="action" value="release">Release</button><button name="action" value="delete" class="danger">Delete…</button>`;
}

function filterOf(query: URLSearchParams): readonly [string, string][] {
  return [...query].filter(([name, value]) => name !== "after" && name !== "limit" && value !== "");
}

/** The list with the same filter from another position on. */
function pageAfter(query: URLSearchParams, after: string | undefined): string {
  const wanted = new URLSearchParams(filterOf(query));
  if (after !== undefined) wanted.set("after", after);
  return pathOf(wanted);
}

function pathOf(query: URLSearchParams): string {
  const text = query.toString();
  return text === "" ? "/queue" : `/queue?${text}`;
}

function entryTable(entries: readonly QueueEntry[], now: number, visitor: Visitor): Html {
  const choosing = visitor.kind === "operator";
  const listed = new Set<string>();
  return dataTable({
    caption: "Messages in the queue, oldest first",
    columns: [
      ...(choosing ? ["choose"] : []),
      "message",
      "waiting",
      "state",
      "tried",
      "next try",
      "destination",
      "recipients",
      "last reason",
    ],
    kinds: [...(choosing ? (["pick"] as const) : []), "short", "short", "short", "short", "short", "name", "name", "brief"],
    rows: entries.map((entry) => {
      const { id, acceptedAt, state, destination, recipients } = entry;
      const tries = Math.max(0, ...recipients.map(({ attempts }) => attempts));
      // A message with several destinations has an entry for each; what is chosen is the message.
      const box = listed.has(id)
        ? html`<span class="quiet">as above</span>`
        : html`<input type="checkbox" name="id" value="${id}" aria-label="choose ${id}, to ${shortened(destination, 60)}">`;
      listed.add(id);
      return [
        ...(choosing ? [box] : []),
        html`<a class="mono" href="/queue/${id}">${id}</a>`,
        spanText(now - acceptedAt),
        state,
        tries === 0 ? "not yet" : tries === 1 ? "once" : `${tries} times`,
        nextText(entry, now),
        destinationLink(destination),
        recipientsText(entry),
        reasonText(entry),
      ];
    }),
  });
}

export function nextText({ state, nextAttemptAt }: QueueEntry, now: number): string {
  if (state === "active") return "under way";
  if (state === "held") return "when released";
  if (nextAttemptAt === undefined) return "";
  return nextAttemptAt <= now ? "due" : `in ${spanText(nextAttemptAt - now)}`;
}

function recipientsText({ recipients }: QueueEntry): string {
  const shown = recipients.slice(0, SHOWN_RECIPIENTS).map(({ address }) => shortened(address, 80));
  const more = recipients.length - shown.length;
  return `${shown.join(", ")}${more > 0 ? ` and ${counted(more, "other")}` : ""}`;
}

function reasonText({ recipients }: QueueEntry): string {
  const reasons = new Set(
    recipients.flatMap(({ status, reason }) => (reason === undefined ? [] : [`${status ?? ""} ${reason}`.trim()])),
  );
  const [first, ...more] = reasons;
  if (first === undefined) return "not tried yet";
  return `${beginning(first, REASON_CHARACTERS)}${more.length > 0 ? ` (and ${counted(more.length, "other reason")})` : ""}`;
}
