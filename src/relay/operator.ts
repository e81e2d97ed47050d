import type { Access, Actor } from "../admin/access.ts";
import { AdminToken, readToken } from "../admin/adminToken.ts";
import { Api, type AuditRecord } from "../admin/api.ts";
import { type ControlSocket, openControlSocket } from "../admin/controlSocket.ts";
import type { Check } from "../admin/health.ts";
import type { Config } from "../config/schema.ts";
import type { DeliveryEngine } from "../delivery/engine.ts";
import type { AuditEvent } from "../log/auditEvent.ts";
import type { OpenResolver } from "../resolver/openResolver.ts";

import type { AdministeredStore, QueueFilter } from "../spool/queueAdmin.ts";
import type { Parts } from "./parts.ts";

/** The operator's API as the configuration wants it: who may use it, what it knows, and what of its use the log tells. */
export type Operator = {
  api: Api;
  /** Reads the token again, from another file where it is elsewhere now; it counts from `apply` on. */
  reload(config: Config): { kind: "read"; apply: () => void } | { kind: "refused"; key: string; reason: string };
};

export type OperatorNeeds = {
  store: AdministeredStore;
  engine: DeliveryEngine;
  resolver: OpenResolver;
  checks: () => Promise<readonly Check[]>;
};

const TOKEN_KEY = "admin.tokenFile";
/** Ids that stand in the log; how many there were is in the counts. */
const MAX_LOGGED_IDS = 20;

/** Throws when the token cannot be read. */
export function openOperator(parts: Parts, needs: OperatorNeeds): Operator {
  const { config, clock, ring } = parts;
  const { store, engine, resolver, checks } = needs;
  const startedAt = clock.now();
  const first = tokenOf(parts, config);
  if (first.kind === "refused") throw new Error(`${first.key}: ${first.reason}`);
  let { token } = first;
  const hostnames = new Set([config.hostname.toLowerCase(), config.admin.listen.address.toLowerCase()]);
  const access = (): Access => ({ token: accessToken(token), hostnames });
  const api = new Api({
    queueAdmin: store.queueAdmin,
    access,
    ring,
    now: clock.now,
    monotonic: clock.monotonic,
    state: async () => ({
      version: parts.version ?? "unknown",
      hostname: config.hostname,
      startedAt,
      now: clock.now(),
      checks: await checks(),
      validation: resolver.validation(),
      counts: await store.counts(),
      exceptions: engine.activeExceptions(),
    }),
    onAudit: (record) => {
      parts.log.event(auditEvent(record));
      // Due now means tried now, also where a host or a destination is left alone for a while.
      if (record.action === "retry") engine.endRests();
    },
  });
  return {
    api,
    reload: (changed) => {
      const reading = tokenOf(parts, changed);
      if (reading.kind === "refused") return reading;
      const apply = (): void => {
        token = reading.token;
      };
      return { kind: "read", apply };
    },
  };
}

/** The control socket, for a spool of our own; a shared one is reached directly. */
export async function openControl({ config }: Parts, { api }: Operator): Promise<ControlSocket> {
  if (config.spool.kind === "file") return await openControlSocket(api, config.spool.directory);
  return { close: () => Promise.resolve() };
}

type TokenResult = { kind: "token"; token: AdminToken | undefined } | { kind: "refused"; key: string; reason: string };

function tokenOf({ clock, log }: Parts, { admin: { tokenFile } }: Config): TokenResult {
  if (tokenFile === undefined) return { kind: "token", token: undefined };
  const reading = readToken(tokenFile);
  if (reading.kind === "unusable") return { kind: "refused", key: TOKEN_KEY, reason: `${tokenFile}: ${reading.reason}` };
  const onChange = (change: { kind: "renewed" } | { kind: "unusable"; reason: string }): void => {
    if (change.kind === "renewed") {
      log.event({
        event: "config",
        key: TOKEN_KEY,
        state: "reloaded",
        reason: "the token has changed: the old one is worth nothing now",
      });
    } else {
      log.event({
        event: "config",
        key: TOKEN_KEY,
        reason: `the token in use stays, since ${tokenFile} cannot be used: ${change.reason}`,
      });
    }
  };
  return { kind: "token", token: new AdminToken({ file: tokenFile, monotonic: clock.monotonic, onChange }, reading.token) };
}

function accessToken(token: AdminToken | undefined): Access["token"] {
  return token === undefined ? { kind: "none" } : { kind: "configured", matches: (presented) => token.matches(presented) };
}

function auditEvent(record: AuditRecord): AuditEvent {
  const { actor, action, filter } = record;
  const base = { event: "audit", ...whoOf(actor), action, filter: loggedFilter(filter), outcome: record.outcome } as const;
  if (record.outcome === "failed") return { ...base, reason: record.reason };
  const { changed, unchanged, busy, unknown } = record.change;
  return { ...base, changed, unchanged, busy, unknown: unknown.length };
}

function whoOf(actor: Actor): Pick<AuditEvent, "who" | "client"> {
  return actor.who === "local" ? { who: "local" } : { who: actor.who, client: actor.client };
}

function loggedFilter({ ids, acceptedBefore, ...rest }: QueueFilter): AuditEvent["filter"] {
  return {
    ...rest,
    ...(ids === undefined ? {} : { ids: ids.slice(0, MAX_LOGGED_IDS) }),
    ...(acceptedBefore === undefined ? {} : { acceptedBefore: new Date(acceptedBefore).toISOString() }),
  };
}
