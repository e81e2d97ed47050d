import type { Actor } from "../admin/access.ts";
import type { AuditRecord } from "../admin/api.ts";
import type { AuditEvent } from "../log/auditEvent.ts";
import type { AuthenticationEvent } from "../log/authenticationEvent.ts";
import type { QueueFilter } from "../spool/queueAdmin.ts";

/** Ids that stand in the log; where there were more, it says how many. */
const MAX_LOGGED_IDS = 20;

/** What the log says of an action on the queue. */
export function auditEvent(record: AuditRecord): AuditEvent {
  const { actor, action, filter } = record;
  const base = { event: "audit", ...whoOf(actor), action, filter: loggedFilter(filter), outcome: record.outcome } as const;
  if (record.outcome === "failed") return { ...base, reason: record.reason };
  const { changed, unchanged, busy, unknown } = record.change;
  return { ...base, changed, unchanged, busy, unknown: unknown.length };
}

/** What the log says of a log-in at the page. */
export function logInEvent(client: string): AuthenticationEvent {
  return { event: "authentication", result: "succeeded", client, reason: "the token of admin.tokenFile, at the operator's page" };
}

function whoOf(actor: Actor): Pick<AuditEvent, "who" | "client"> {
  return actor.who === "local" ? { who: "local" } : { who: actor.who, client: actor.client };
}

function loggedFilter({ ids, acceptedBefore, ...rest }: QueueFilter): AuditEvent["filter"] {
  return {
    ...rest,
    ...(ids === undefined ? {} : { ids: ids.slice(0, MAX_LOGGED_IDS) }),
    ...(ids === undefined || ids.length <= MAX_LOGGED_IDS ? {} : { messages: ids.length }),
    ...(acceptedBefore === undefined ? {} : { acceptedBefore: new Date(acceptedBefore).toISOString() }),
  };
}
