import { counted } from "../diagnosis/quantity.ts";
import { QUEUE_ACTIONS, type QueueAction, type QueueChange, type QueueFilter } from "../spool/queueAdmin.ts";
import { filterOf, type Read } from "./queueQuery.ts";

/** What a form of the page asks for, checked like what a program asks the API for. */
export type ActionRequest = {
  action: QueueAction;
  /** Empty: the whole queue, which was asked for in so many words. */
  filter: QueueFilter;
  /** Whether the question of the page before was answered. */
  confirmed: "yes" | "no";
  /** Where to go afterwards. */
  back: string;
};

const FILTER_FIELDS = ["domain", "sender", "state", "reason"] as const;
const NUMBER_FIELDS = ["olderThanSeconds", "acceptedBefore"] as const;
const MAX_PATH_CHARACTERS = 4000;
/** Pages of ours that a form may lead back to. */
const OWN_PATH = /^\/(?:(?:queue(?:\/[A-Za-z0-9]{1,64})?|explain)(?:\?[\x21\x23-\x7e]*)?)?$/;

/** A path of this page, or the first page: nobody can make a form lead elsewhere. */
export function ownPath(text: string | null | undefined): string {
  return typeof text === "string" && text.length <= MAX_PATH_CHARACTERS && OWN_PATH.test(text) ? text : "/";
}

/** POST /queue/act: `scope` is `all`, `filter`, or else the messages whose `id` is given. */
export function actionRequest(form: URLSearchParams, now: number): Read<ActionRequest> {
  const action = QUEUE_ACTIONS.find((known) => known === form.get("action"));
  if (action === undefined) return { kind: "wrong", message: `action is one of ${QUEUE_ACTIONS.join(", ")}` };
  const confirmed = form.get("confirmed") === "yes" ? "yes" : "no";
  const back = ownPath(form.get("back"));
  const filter = scopeOf(form, now);
  if (filter.kind === "wrong") return filter;
  return { kind: "read", value: { action, filter: filter.value, confirmed, back } };
}

function scopeOf(form: URLSearchParams, now: number): Read<QueueFilter> {
  switch (form.get("scope")) {
    case "all":
      return { kind: "read", value: {} };
    case "filter": {
      const filter = filterOf(filterFields(form), now);
      if (filter.kind === "read" && Object.keys(filter.value).length === 0)
        return { kind: "wrong", message: "the filter is empty" };
      return filter;
    }
    default: {
      const ids = [...new Set(form.getAll("id"))];
      if (ids.length === 0) return { kind: "wrong", message: "no message was chosen" };
      return filterOf({ ids }, now);
    }
  }
}

function filterFields(form: URLSearchParams): Record<string, unknown> {
  const given: Record<string, unknown> = {};
  // As the list that the form stands below has them: without them the form would mean more than the list shows.
  const ids = form.get("ids") ?? "";
  if (ids !== "") given.ids = ids.split(",");
  for (const field of FILTER_FIELDS) {
    const text = form.get(field);
    if (text !== null && text !== "") given[field] = text;
  }
  for (const field of NUMBER_FIELDS) {
    const text = form.get(field);
    if (text !== null && text !== "") given[field] = /^\d{1,16}$/.test(text) ? Number(text) : text;
  }
  return given;
}

/** The same filter as fields of a form; a span of time has become a moment, so that what is confirmed is what was asked for. */
export function filterFieldsOf({ ids, ...filter }: QueueFilter): readonly (readonly [string, string])[] {
  const fields = Object.entries(filter).map(
    ([name, value]) => [name, name === "sender" && value === "" ? "<>" : String(value)] as const,
  );
  if (ids === undefined) return [["scope", fields.length === 0 ? "all" : "filter"], ...fields];
  if (fields.length === 0) return ids.map((id) => ["id", id] as const);
  return [["scope", "filter"], ["ids", ids.join(",")], ...fields];
}

const DONE = { retry: "due now", hold: "held", release: "released", delete: "deleted" } as const;
const ALREADY = { retry: "held, and stay so until released", hold: "held already", release: "not held", delete: "left" } as const;

/** What came of an action, in a sentence. */
export function changeText(action: QueueAction, { changed, unchanged, busy, unknown }: QueueChange): string {
  const parts = [
    ...(changed > 0 ? [`${counted(changed, "entry")} ${DONE[action]}`] : []),
    ...(unchanged > 0 ? [`${unchanged} ${ALREADY[action]}`] : []),
    ...(busy > 0 ? [`${busy} left alone, since an attempt is under way: try again in a moment`] : []),
    ...(unknown.length > 0 ? [`${counted(unknown.length, "message")} not in the queue any more`] : []),
  ];
  return parts.length === 0 ? "Nothing in the queue matched." : `${parts.join("; ")}.`;
}
