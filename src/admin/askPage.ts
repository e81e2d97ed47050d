import { counted, dateText, spanText } from "../diagnosis/quantity.ts";
import type { QueueAction, QueueFilter, QueuePage } from "../spool/queueAdmin.ts";
import type { Asked } from "./asked.ts";
import { type Html, html, shortened } from "./html.ts";
import { type ActionRequest, filterFieldsOf } from "./pageForm.ts";
import { csrfField } from "./pageLayout.ts";
import { dataTable } from "./pageTable.ts";

/** Pages that ask something: for the token, and whether an action is meant. */

/** `trouble`: what was wrong with the token that was given; `back`: where the log-in leads. */
export function loginPage({ trouble, back }: { trouble?: string | undefined; back: string }): Html {
  const described = trouble === undefined ? html`` : html` aria-invalid="true" aria-describedby="trouble"`;
  return html`<h1>Log in</h1>
<p>Mail addresses are personal data, and actions change the queue: both need the token that <code>admin.tokenFile</code> names.</p>
${trouble === undefined ? undefined : html`<p class="alarm" id="trouble" role="alert">${trouble}</p>`}
<form method="post" action="/login"><input type="hidden" name="back" value="${back}">
<div class="field"><label for="token">Token</label><input id="token" name="token" type="password" autocomplete="current-password" size="44" required autofocus${described}></div>
<div class="actions"><button class="primary">Log in</button></div></form>
<p class="quiet small">Without a log-in there are <a href="/readyz">/readyz</a> and <a href="/metrics">/metrics</a>.</p>`;
}

const QUESTIONS: Readonly<Record<QueueAction, string>> = {
  retry: "Try again now?",
  hold: "Hold?",
  release: "Release?",
  delete: "Delete for good?",
};
const CONSEQUENCES: Readonly<Record<QueueAction, string>> = {
  retry: "All of it becomes due at once.",
  hold: "It is not tried until it is released; its lifetime goes on.",
  release: "What was held is tried again.",
  delete: "It is gone at once, and its senders are not told. This cannot be undone.",
};
export const CONFIRM_SAMPLE = 10;

/** `sample`: the first of what it would be done to. */
export function confirmPage(request: ActionRequest, sample: Asked<QueuePage>, csrf: string, now: number): Html {
  const { action, filter, back } = request;
  return html`<h1>${QUESTIONS[action]}</h1>
<p>This is about ${scopeText(filter)}. ${CONSEQUENCES[action]}</p>
${sampleTable(sample, now)}
<form method="post" action="/queue/act">${csrfField(csrf)}
<input type="hidden" name="action" value="${action}"><input type="hidden" name="confirmed" value="yes"><input type="hidden" name="back" value="${back}">
${filterFieldsOf(filter).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}
<div class="actions"><button class="primary${action === "delete" ? " danger" : ""}">Yes, ${action}</button><a class="button" href="${back}">No, go back</a></div></form>`;
}

function scopeText({ ids, domain, sender, state, reason, acceptedBefore }: QueueFilter): Html {
  const messages = ids?.length === 1 ? "one message" : counted(ids?.length ?? 0, "message");
  const parts = [
    ...(domain === undefined ? [] : [`to ${domain}`]),
    ...(sender === undefined ? [] : [`from ${sender === "" ? "<>" : sender}`]),
    ...(state === undefined ? [] : [`that is ${state}`]),
    ...(reason === undefined ? [] : [`whose last reason contains “${shortened(reason, 100)}”`]),
    ...(acceptedBefore === undefined ? [] : [`accepted before ${dateText(acceptedBefore)}`]),
  ];
  if (parts.length > 0) return html`${ids === undefined ? "everything" : `what of ${messages} is`} ${parts.join(", ")}`;
  if (ids === undefined) return html`<strong>the whole queue</strong>`;
  return html`${messages}, with all ${ids.length === 1 ? "its" : "their"} destinations`;
}

function sampleTable(sample: Asked<QueuePage>, now: number): Html {
  if (sample.kind === "unknown") return html`<p class="alarm">The queue could not be asked: ${sample.reason}</p>`;
  const { entries, next } = sample.value;
  if (entries.length === 0 && next === undefined) return html`<p>Nothing in the queue matches at the moment.</p>`;
  return html`${dataTable({
    caption: "The first of what this is about",
    columns: ["message", "waiting", "state", "destination", "recipients"],
    kinds: ["short", "short", "short", "name", "number"],
    rows: entries.map(({ id, acceptedAt, state, destination, recipients }) => [
      html`<span class="mono">${id}</span>`,
      spanText(now - acceptedAt),
      state,
      destination,
      recipients.length,
    ]),
  })}
${next === undefined ? undefined : html`<p>and more: these are only the first ${CONFIRM_SAMPLE}.</p>`}`;
}
