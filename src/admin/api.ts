import {
  positionText,
  type QueueAction,
  type QueueAdmin,
  type QueueChange,
  type QueueFilter,
  type QueueStatistic,
  type StatisticKey,
} from "../spool/queueAdmin.ts";
import { type Access, type Actor, type Caller, permissionOf } from "./access.ts";
import { type ApiAnswer, answered, refused } from "./apiAnswer.ts";
import type { DeliveryRing } from "./deliveryRing.ts";
import { actionOf, isId, listQuery, statisticsQuery } from "./queueQuery.ts";
import { type DestinationStatus, destinationStatuses, type RelayState, statusBody } from "./relayStatus.ts";

/**
 * The operator's API. Times are milliseconds since the epoch; an error is `{"error": WORD, "message": SENTENCE}`.
 *
 * GET  /api/v1/status                what the relay is, its checks, its queue, who fails, what was delivered lately
 * GET  /api/v1/queue                 ?domain= &sender= &state= &reason= &olderThanSeconds= &limit= &after=
 * GET  /api/v1/queue/ID              one message with its whole history
 * GET  /api/v1/queue/statistics      ?by=destination|reason &limit=
 * POST /api/v1/queue/actions         {"action": "retry|hold|release|delete", "filter": {...} or "ids": [...] or "all": true}
 * GET  /api/v1/destinations          ?limit=, worst first
 * GET  /api/v1/messages/ID/history   the last attempts for a message that may have left the queue
 */
export type ApiRequest = {
  method: string;
  path: string;
  query: URLSearchParams;
  contentType: string | undefined;
  /** Reads the body; "too-large" beyond the limit. Not called before permission is given. */
  body: () => Promise<{ kind: "text"; text: string } | { kind: "too-large" }>;
};

/** Who did what to the queue, for the log. */
export type AuditRecord = { actor: Actor; action: QueueAction; filter: QueueFilter } & (
  | { outcome: "done"; change: QueueChange }
  | { outcome: "failed"; reason: string }
);

export type ApiOptions = {
  queueAdmin: QueueAdmin;
  access: () => Access;
  state: () => Promise<RelayState>;
  ring: DeliveryRing;
  now: () => number;
  monotonic: () => number;
  onAudit: (record: AuditRecord) => void;
};

/** A count of the whole queue is handed out this long: pages are reloaded. */
const STATISTICS_MILLISECONDS = 3000;
/** And for so many times the time that it took, so that a shared database is not kept busy by a million messages. */
const STATISTICS_SHARE = 20;
/** Of each count; what a request asks for is cut from it. */
const STATISTICS_LIMIT = 1000;

const PREFIX = "/api/v1/";

export class Api {
  readonly #options: ApiOptions;
  readonly #statistics = new Map<string, { until: number; counted: Promise<readonly QueueStatistic[]> }>();

  constructor(options: ApiOptions) {
    this.#options = options;
  }

  /** Whether `path` is the API's. */
  static has(path: string): boolean {
    return path.startsWith(PREFIX);
  }

  async answer(request: ApiRequest, caller: Caller): Promise<ApiAnswer> {
    const route = request.path.slice(PREFIX.length);
    const purpose = route === "queue/actions" ? "action" : "read";
    const permission = permissionOf(caller, purpose, this.#options.access());
    if (permission.kind === "refused") return permission.answer;
    try {
      if (purpose === "action") return await this.#act(request, permission.actor);
      if (request.method !== "GET" && request.method !== "HEAD") return notAllowed("GET, HEAD");
      return await this.#read(route, request.query);
    } catch (error) {
      // The spool's own words say what to do; anything else is a bug of ours.
      const spoolError = error instanceof Error && error.name === "StoreError";
      return refused(spoolError ? "spool-failed" : "internal", error instanceof Error ? error.message : String(error));
    }
  }

  /** Does it, and has it logged. */
  async perform(action: QueueAction, filter: QueueFilter, actor: Actor): Promise<QueueChange> {
    const { queueAdmin, onAudit } = this.#options;
    const change = await queueAdmin.act(action, filter).catch((error: unknown) => {
      onAudit({ actor, action, filter, outcome: "failed", reason: error instanceof Error ? error.message : String(error) });
      throw error;
    });
    onAudit({ actor, action, filter, outcome: "done", change });
    return change;
  }

  async #read(route: string, query: URLSearchParams): Promise<ApiAnswer> {
    const { ring, state } = this.#options;
    const [first = "", second = "", third, ...more] = route.split("/");
    switch (route) {
      case "status":
        return answered(statusBody(await state(), await this.destinations(), ring));
      case "queue":
        return this.#list(query);
      case "queue/statistics": {
        const read = statisticsQuery(query);
        if (read.kind === "wrong") return refused("bad-request", read.message);
        const counted = await this.#counted(read.value.by);
        return answered({ by: read.value.by, statistics: counted.slice(0, read.value.limit) });
      }
      case "destinations": {
        const read = statisticsQuery(query);
        if (read.kind === "wrong") return refused("bad-request", read.message);
        return answered({ destinations: (await this.destinations()).slice(0, read.value.limit) });
      }
      default:
        if (first === "queue" && isId(second) && third === undefined) return this.#show(second);
        if (first === "messages" && isId(second) && third === "history" && more.length === 0) {
          const history = ring.ofMessage(second);
          if (history.length > 0) return answered({ id: second, history });
          return refused("not-found", `nothing was tried for ${second} lately by this process; what is older is in the log`);
        }
        return refused("not-found", `there is no ${PREFIX}${route}`);
    }
  }

  async #list(query: URLSearchParams): Promise<ApiAnswer> {
    const { queueAdmin, now } = this.#options;
    const read = listQuery(query, now());
    if (read.kind === "wrong") return refused("bad-request", read.message);
    const { filter, ...page } = read.value;
    const { entries, next } = await queueAdmin.list(filter, page);
    return answered({ entries, ...(next === undefined ? {} : { next: positionText(next) }) });
  }

  async #show(id: string): Promise<ApiAnswer> {
    const message = await this.#options.queueAdmin.show(id);
    return message === undefined ? refused("not-found", `there is no message ${id} in the queue`) : answered(message);
  }

  async #act({ method, contentType, body }: ApiRequest, actor: Actor): Promise<ApiAnswer> {
    if (method !== "POST") return notAllowed("POST");
    // No form of another site's page can send this type without asking first.
    if (!/^application\/json *(?:;|$)/i.test(contentType ?? "")) {
      return refused("unsupported-media-type", "send the action as application/json");
    }
    const text = await body();
    if (text.kind === "too-large") return refused("too-large", "the body is too large: name the entries by a filter");
    const parsed = parsedJson(text.text);
    if (parsed.kind === "wrong") return refused("bad-request", parsed.message);
    const read = actionOf(parsed.value, this.#options.now());
    if (read.kind === "wrong") return refused("bad-request", read.message);
    if (read.kind === "unlimited") return refused("filter-required", 'give a filter or ids; for the whole queue say "all": true');
    return answered(await this.perform(read.value.action, read.value.filter, actor));
  }

  /** Worst first; with a count of the queue that may be some seconds old. */
  async destinations(): Promise<readonly DestinationStatus[]> {
    return destinationStatuses(await this.#counted("destination"), this.#options.ring);
  }

  /** One count at a time, however many ask. */
  #counted(by: StatisticKey): Promise<readonly QueueStatistic[]> {
    const { queueAdmin, monotonic } = this.#options;
    const known = this.#statistics.get(by);
    if (known !== undefined && monotonic() < known.until) return known.counted;
    const began = monotonic();
    const counted = queueAdmin.statistics(by, STATISTICS_LIMIT);
    const entry = { until: Number.POSITIVE_INFINITY, counted };
    this.#statistics.set(by, entry);
    counted.then(
      () => {
        const now = monotonic();
        entry.until = now + Math.max(STATISTICS_MILLISECONDS, STATISTICS_SHARE * (now - began));
      },
      () => {
        // Who waits for it hears of it; the next one asks again.
        this.#statistics.delete(by);
      },
    );
    return counted;
  }
}

function notAllowed(methods: string): ApiAnswer {
  return { ...refused("method-not-allowed", `only ${methods}`), headers: { allow: methods } };
}

function parsedJson(text: string): { kind: "read"; value: unknown } | { kind: "wrong"; message: string } {
  try {
    return { kind: "read", value: JSON.parse(text) };
  } catch (error) {
    return { kind: "wrong", message: `the body is no JSON: ${error instanceof Error ? error.message : String(error)}` };
  }
}
