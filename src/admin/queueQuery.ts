import { domainToASCII } from "node:url";
import {
  positionOf,
  QUEUE_ACTIONS,
  QUEUE_STATES,
  type QueueAction,
  type QueueFilter,
  type QueuePosition,
  STATISTIC_KEYS,
  type StatisticKey,
} from "../spool/queueAdmin.ts";

/** What a request says of the queue, checked: a filter, a page, an action. */
export type Read<T> = { kind: "read"; value: T } | { kind: "wrong"; message: string };

export const MAX_PAGE = 1000;
const DEFAULT_PAGE = 100;
const MAX_IDS = 10_000;
const MAX_TEXT = 1000;
/** Of a Date: the audit log says which day it is. */
const LAST_MILLISECOND = 8.64e15;

const FILTER_KEYS = ["domain", "sender", "state", "reason", "olderThanSeconds", "acceptedBefore", "ids"] as const;
const ACTION_KEYS = ["action", "filter", "ids", "all"];

function wrong(message: string): { kind: "wrong"; message: string } {
  return { kind: "wrong", message };
}

/** GET /api/v1/queue: every parameter at most once. */
export function listQuery(
  query: URLSearchParams,
  now: number,
): Read<{ filter: QueueFilter; limit: number; after?: QueuePosition }> {
  const given = onlyOnce(query, [...FILTER_KEYS, "limit", "after"]);
  if (given.kind === "wrong") return given;
  const { limit: limitText, after: afterText, ...rest } = given.value;
  const filter = filterOf(Object.fromEntries(Object.entries(rest).map(([key, text]) => [key, queryValue(key, text)])), now);
  if (filter.kind === "wrong") return filter;
  const limit = limitText === undefined ? DEFAULT_PAGE : Number(limitText);
  if (!/^\d+$/.test(limitText ?? "1") || limit < 1 || limit > MAX_PAGE)
    return wrong(`limit is a whole number from 1 to ${MAX_PAGE}`);
  if (afterText === undefined) return { kind: "read", value: { filter: filter.value, limit } };
  const after = positionOf(afterText);
  if (after === undefined) return wrong("after is what an earlier page gave as next");
  return { kind: "read", value: { filter: filter.value, limit, after } };
}

/** Numbers are text in a query, and lists comma separated. */
function queryValue(key: string, text: string): unknown {
  if (key === "ids") return text.split(",");
  return (key === "olderThanSeconds" || key === "acceptedBefore") && /^\d+$/.test(text) ? Number(text) : text;
}

/** GET /api/v1/queue/statistics and /api/v1/destinations. */
export function statisticsQuery(query: URLSearchParams): Read<{ by: StatisticKey; limit: number }> {
  const given = onlyOnce(query, ["by", "limit"]);
  if (given.kind === "wrong") return given;
  const by = STATISTIC_KEYS.find((key) => key === (given.value.by ?? "destination"));
  if (by === undefined) return wrong(`by is one of ${STATISTIC_KEYS.join(", ")}`);
  const limit = Number(given.value.limit ?? "50");
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE) return wrong(`limit is a whole number from 1 to ${MAX_PAGE}`);
  return { kind: "read", value: { by, limit } };
}

/** The body of POST /api/v1/queue/actions. Without a filter the action is for everything, which must be said: `"all": true`. */
export function actionOf(body: unknown, now: number): Read<{ action: QueueAction; filter: QueueFilter }> | { kind: "unlimited" } {
  const fields = object(body);
  if (fields === undefined) return wrong("the body is a JSON object");
  const unknown = Object.keys(fields).find((key) => !ACTION_KEYS.includes(key));
  if (unknown !== undefined) return wrong(`there is no field ${JSON.stringify(unknown)}; there are ${ACTION_KEYS.join(", ")}`);
  const action = QUEUE_ACTIONS.find((known) => known === fields.action);
  if (action === undefined) return wrong(`action is one of ${QUEUE_ACTIONS.join(", ")}`);
  if (fields.all !== undefined && typeof fields.all !== "boolean") return wrong("all is true or false");
  const given = fields.filter === undefined ? {} : object(fields.filter);
  if (given === undefined) return wrong("filter is a JSON object");
  const filter = filterOf({ ...given, ...(fields.ids === undefined ? {} : { ids: fields.ids }) }, now);
  if (filter.kind === "wrong") return filter;
  if (Object.keys(filter.value).length === 0 && fields.all !== true) return { kind: "unlimited" };
  return { kind: "read", value: { action, filter: filter.value } };
}

/** The fields of a filter as a user writes them. */
export function filterOf(given: Readonly<Record<string, unknown>>, now: number): Read<QueueFilter> {
  const unknown = Object.keys(given).find((key) => !(FILTER_KEYS as readonly string[]).includes(key));
  if (unknown !== undefined) return wrong(`there is no filter ${JSON.stringify(unknown)}; there are ${FILTER_KEYS.join(", ")}`);
  const { domain, sender, state, reason, olderThanSeconds, acceptedBefore, ids } = given;
  const filter: QueueFilter = {};
  for (const [key, text] of Object.entries({ domain, sender, reason })) {
    if (text !== undefined && (typeof text !== "string" || text.length > MAX_TEXT))
      return wrong(`${key} is text of at most ${MAX_TEXT} characters`);
  }
  if (typeof domain === "string") {
    const destination = destinationOf(domain);
    if (destination === undefined)
      return wrong(`domain is a domain name, .NAME for its subdomains, or [ADDRESS], not ${JSON.stringify(domain)}`);
    filter.domain = destination;
  }
  // As people write the null reverse-path.
  if (typeof sender === "string") filter.sender = sender === "<>" ? "" : sender;
  if (typeof reason === "string" && reason !== "") filter.reason = reason;
  if (state !== undefined) {
    const known = QUEUE_STATES.find((one) => one === state);
    if (known === undefined) return wrong(`state is one of ${QUEUE_STATES.join(", ")}`);
    filter.state = known;
  }
  if (olderThanSeconds !== undefined) {
    if (typeof olderThanSeconds !== "number" || !(olderThanSeconds >= 0 && olderThanSeconds <= 1e10))
      return wrong("olderThanSeconds is a number of seconds");
    filter.acceptedBefore = Math.floor(now - 1000 * olderThanSeconds);
  }
  if (acceptedBefore !== undefined) {
    if (typeof acceptedBefore !== "number" || !Number.isInteger(acceptedBefore) || Math.abs(acceptedBefore) > LAST_MILLISECOND)
      return wrong("acceptedBefore is a number of milliseconds since the epoch");
    filter.acceptedBefore = Math.min(acceptedBefore, filter.acceptedBefore ?? acceptedBefore);
  }
  if (ids !== undefined) {
    const valid = Array.isArray(ids) && ids.length <= MAX_IDS && ids.every(isId);
    if (!valid) return wrong(`ids is a list of at most ${MAX_IDS} queue ids`);
    filter.ids = ids;
  }
  return { kind: "read", value: filter };
}

export function isId(text: unknown): text is string {
  return typeof text === "string" && /^[A-Za-z0-9]{1,64}$/.test(text);
}

/** As the queue has it: A-labels in lower case, without the final dot. */
function destinationOf(text: string): string | undefined {
  if (/^\[[0-9A-Fa-fIPipv.:]{1,64}\]$/.test(text)) return text.toLowerCase().replace(/^\[ipv6:/, "[IPv6:");
  const dot = text.startsWith(".") ? "." : "";
  const ascii = domainToASCII(text.slice(dot.length).replace(/\.$/, ""));
  return ascii === "" || ascii.length > 253 ? undefined : dot + ascii;
}

function object(of: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof of === "object" && of !== null && !Array.isArray(of) ? (of as Record<string, unknown>) : undefined;
}

function onlyOnce(query: URLSearchParams, known: readonly string[]): Read<Record<string, string>> {
  const given: Record<string, string> = {};
  for (const [key, text] of query) {
    if (!known.includes(key)) return wrong(`there is no parameter ${JSON.stringify(key)}; there are ${known.join(", ")}`);
    if (given[key] !== undefined) return wrong(`${key} is given twice`);
    given[key] = text;
  }
  return { kind: "read", value: given };
}
